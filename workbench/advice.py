"""The worked example of adoption: a public log of 118 students who were shown advice. They are not traders, and their seconds are no latency.

datasets/data/human_advice_adoption_log.csv (SOURCES.md there): each answered an exam question by spreading confidence over four options,
was shown an answer said to come from an AI chatbot or an expert, and could spread it anew.
"""

import numpy as np
import pandas as pd

from workbench.schema import Floats
from workbench.shipped import shipped
from workbench.threshold import Ints

FILE = "human_advice_adoption_log.csv"
ADOPTED = 0.5
"""Adopted: the reader went at least half of the way from the own answer to the advised one."""


def advice_log() -> tuple[pd.DataFrame, Ints] | None:
    """The log in the columns of [decisions], and each row's person; None where the data do not ship with the package.

    predicted: the student's own probability of the advised option before the advice. latency_ms: time taken to answer again.
    outcome: whether the advice was right. Left out: no option was advised, or the student was certain of it already.
    """
    path = shipped("datasets") / "data" / FILE
    if not path.exists():
        return None
    table = pd.read_csv(path)
    predicted: Floats = np.full(len(table), np.nan)
    for option in "ABCD":
        advised = (table["advice_answer"] == option).to_numpy()
        predicted[advised] = table.loc[advised, f"init_choice{option}"]
    kept = predicted < 1
    columns = {
        "predicted": predicted,
        "latency_ms": 1000 * table["adjusted_seconds"].to_numpy(),
        "adopted": (table["weight_on_advice"] >= ADOPTED).to_numpy().astype(np.float64),
        "outcome": table["advice_is_correct"].to_numpy().astype(np.float64),
    }
    people: Ints = np.unique(table["participant"][kept], return_inverse=True)[1].astype(np.intp)
    return pd.DataFrame(columns)[kept].reset_index(drop=True), people
