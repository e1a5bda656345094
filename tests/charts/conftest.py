"""Lets these tests take their nouns from tests/chart_specimens.py, as those of report and snapshot do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
