"""What an XGBoost model file holds, JSON or UBJSON, as plain values; and the faults that its tables may have."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.foreign import shown
from workbench.model_file import content_of
from workbench.schema import BadInputError, Fault
from workbench.trees.ubjson import UbjsonError, decode

LARGEST_MB = 128  # Python's lists take up to eight times what the same numbers take as text
MOST_LISTS = 2_000_000
MOST_FAULTS = 20

Table = Mapping[str, Any]


def bad(file: str, fault: str, place: str | None, **values: object) -> BadInputError:
    """One fault at one place of the file, to be raised."""
    return BadInputError([Fault(f"fault.xgboost.{fault}", file, place, values=values)])


def read_values(path: Path) -> object:
    """What the file holds; `BadInputError` for what is neither JSON nor UBJSON to its end, or too large."""
    content = content_of(path, LARGEST_MB)
    if b"learner" not in content[:64]:
        raise bad(path.name, "not_this", None)
    try:
        return decode(content) if content[1:2] in b"LlIUi" else _json(content)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) - 1 or error.msg.startswith("Unterminated")
        raise _unreadable(path.name, error.pos, cut=cut) from None
    except UbjsonError as error:
        raise _unreadable(path.name, error.at, cut=error.cut) from None
    except (ValueError, RecursionError):
        raise _unreadable(path.name, 0, cut=False) from None


def _unreadable(file: str, at: int, *, cut: bool) -> BadInputError:
    return BadInputError([Fault("fault.model.cut", file)]) if cut else bad(file, "damaged", None, at=at)


def _json(content: bytes) -> object:
    if content.count(b"[") + content.count(b"{") > MOST_LISTS:
        raise ValueError
    return json.loads(content, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError
    return read


def is_whole(value: object) -> bool:
    """Whether this is a whole number from 0 on that fits 31 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def table(file: str, value: object, place: str, needed: Collection[str], also: Collection[str] = ()) -> Table:
    """The value as a table that has what is needed and nothing that is not known."""
    if not isinstance(value, dict):
        raise bad(file, "value", place or None, found=shown(value))
    faults = [
        Fault("fault.xgboost.missing", file, place, values={"key": key}) for key in sorted(set(needed) - set(value))
    ]
    unknown = sorted(set(value) - set(needed) - set(also))
    faults += [Fault("fault.xgboost.unknown", file, place, values={"key": shown(key)}) for key in unknown]
    if faults:
        raise BadInputError(faults[:MOST_FAULTS])
    return value
