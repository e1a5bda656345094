"""How the promise was kept, from the ledger: percentiles of the time to an answer, the share over budget, where late ones lost it.

An answer that never came is later than any that did: it counts in every percentile, and one that falls on it has no milliseconds.
Days are days of UTC.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from workbench.ledger import Database, Ledger, Record
from workbench.schema import Floats
from workbench.text import text, words

PROMISE_MS = 800.0
PERCENTS = (50, 95, 99)
COLUMNS = {"bundle": "bundle", "model": "model", "method": "method", "day": "substr(written, 1, 10)"}
Z = 1.959964  # of a two-sided 95 % interval
TAIL = 0.025
STEPS = 40  # points of a distribution a decade of time
UNCOUNTED = "load"
_FROM = (
    "FROM records WHERE kind = 'explanation' AND elapsed_ms IS NOT NULL AND (?1 IS NULL OR bundle = ?1)"
    " AND (?2 IS NULL OR method = ?2) AND (?3 IS NULL OR written >= ?3)"
)


@dataclass(frozen=True)
class Which:
    """The answers asked for; None: all. `since` is an ISO date or time in UTC."""

    bundle: str | None = None
    method: str | None = None
    since: str | None = None

    @property
    def values(self) -> tuple[str | None, str | None, str | None]:
        """In the order of the query's placeholders."""
        return self.bundle, self.method, self.since


ALL = Which()


@dataclass(frozen=True)
class Late:
    """The counted stage that took most of an answer over budget, and its milliseconds."""

    stage: str
    ms: float

    def spoken(self, lang: str) -> str:
        """The stage in words, with its time."""
        key = f"chart.stage.{self.stage}"
        name = text(key, lang) if key in words() else self.stage
        return text("latency.stage", lang, stage=name, ms=f"{self.ms:,.0f}")


@dataclass(frozen=True)
class Percentile:
    """A percentile by nearest rank in milliseconds, with a 95 % interval by order statistics (David & Nagaraja 2003, 7.1).

    `ms` is None where it is `missing`: `too_few` answers (the nearest rank would be the last of all), or `no_answer` came at that
    rank. An end of the interval is None where the sample does not bound it, or no answer came there.
    """

    ms: float | None
    low: float | None
    high: float | None
    missing: str | None = None

    def spoken(self, lang: str) -> str:
        """Milliseconds, or in a word why there are none."""
        return f"{self.ms:,.0f}" if self.ms is not None else text(f"latency.{self.missing}", lang)


@dataclass(frozen=True)
class Summary:
    """The answers of one group: `over` of `count` were late or never came (`unanswered`), `in_promise` came by 800 ms.

    `share_low` and `share_high` are Wilson's 95 % interval of the share over budget.
    """

    group: Mapping[str, str | None]
    count: int
    over: int
    unanswered: int
    in_promise: int
    share_low: float
    share_high: float
    percentiles: Mapping[int, Percentile]
    largest_ms: float | None

    def to_dict(self) -> dict[str, Any]:
        """The machine's form."""
        shares = {"low": self.share_low, "share": self.over / self.count, "high": self.share_high}
        told = {f"p{percent}": asdict(found) for percent, found in self.percentiles.items()}
        counts = {name: getattr(self, name) for name in ("count", "over", "unanswered", "largest_ms")}
        return dict(self.group) | counts | {"over_budget": shares, "by_800_ms": self.in_promise / self.count} | told


@dataclass(frozen=True)
class Curve:
    """The share of requests whose answer had come by each time, in milliseconds; it ends below 1 where some never came."""

    name: str
    count: int
    ms: tuple[float, ...]
    share: tuple[float, ...]


def summaries(ledger: Ledger, by: Sequence[str] = (), which: Which = ALL) -> list[Summary]:
    """One summary a group, in the groups' order; `by` names columns of COLUMNS, none: all in one. No answers: no summary.

    Memory does not grow with the ledger: SQLite sorts, and only the wanted ranks are kept.
    """
    listed = ", ".join(COLUMNS[name] for name in by) or "''"
    counts = (
        f"count(*), sum(answered), sum(NOT within_budget), sum(answered AND elapsed_ms <= {PROMISE_MS}),"
        " max(CASE WHEN answered THEN elapsed_ms END)"
    )
    with ledger.reading() as database:
        rows = database.execute(f"SELECT {counts}, {listed} {_FROM} GROUP BY {listed} ORDER BY {listed}", which.values)
        counted = {group: numbers for *numbers, group in ((*row[:5], row[5:]) for row in rows)}
        picked = {
            group: _pick(times, counted[group][0])
            for group, times in _times(database, listed, which)
            if group in counted
        }
    return [_summary(by, group, numbers, picked.get(group, {})) for group, numbers in counted.items()]


def _times(database: Database, listed: str, which: Which) -> Iterator[tuple[tuple[Any, ...], Iterator[float]]]:
    """A group at a time, the milliseconds of the answers that came, ascending."""
    query = f"SELECT elapsed_ms, {listed} {_FROM} AND answered ORDER BY {listed}, elapsed_ms"
    for group, rows in groupby(database.execute(query, which.values), key=lambda row: row[1:]):
        yield group, (row[0] for row in rows)


def _pick(times: Iterable[float], count: int) -> dict[int, float]:
    """Rank -> milliseconds, of the ranks that percentiles of `count` requests ask for."""
    wanted = {rank for percent in PERCENTS for rank in ranks(count, percent)}
    return {rank: ms for rank, ms in enumerate(times, start=1) if rank in wanted}


def _summary(by: Sequence[str], group: tuple[Any, ...], numbers: Sequence[Any], picked: Mapping[int, float]) -> Summary:
    count, answered, over, in_promise, largest = numbers
    percentiles = {}
    for percent in PERCENTS:
        low, rank, high = ranks(count, percent)
        missing = "too_few" if rank == count else None if rank in picked else "no_answer"
        ms = None if missing else picked[rank]
        percentiles[percent] = Percentile(ms, picked.get(low), picked.get(high), missing)
    interval = wilson(over, count)
    named = dict(zip(by, group, strict=False))
    return Summary(named, count, over, count - answered, in_promise, *interval, percentiles, largest)


def ranks(count: int, percent: int) -> tuple[int, int, int]:
    """Ranks, from 1, of a percentile's lower end, itself and its upper end; an end of 0 or above `count` has no such rank.

    The number of answers below the true percentile is binomial: the ends leave at most 2.5 % on either side.

    >>> ranks(100, 50)
    (40, 50, 61)
    """
    q = percent / 100
    spread = (
        10 * math.sqrt(count * q * (1 - q)) + 10
    )  # beyond it a binomial count has no probability that a double could show
    first = max(math.floor(count * q - spread), 0)
    k = np.arange(first, min(math.ceil(count * q + spread), count) + 1, dtype=np.float64)
    below = np.cumsum(np.exp(_log_binomial(k, count, q)))
    low = first + int(np.searchsorted(below, TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - TAIL)) + 1
    return low, -(-count * percent // 100), high


def _log_binomial(k: Floats, count: int, q: float) -> Floats:
    """(n,) log P(K = k) of consecutive `k`, from the first on by the ratio of neighbours."""
    first = int(k[0])
    start = math.lgamma(count + 1) - math.lgamma(first + 1) - math.lgamma(count - first + 1)
    start += first * math.log(q) + (count - first) * math.log1p(-q)
    steps = np.log((count - k[:-1]) / (k[:-1] + 1)) + math.log(q / (1 - q))
    return start + np.concatenate([[0.0], np.cumsum(steps)])


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's (1927) 95 % interval of a share.

    >>> [round(end, 4) for end in wilson(0, 100)]
    [0.0, 0.037]
    """
    share, extra = hits / count, Z * Z / count
    middle, half = share + extra / 2, Z * math.sqrt(share * (1 - share) / count + extra / (4 * count))
    return max((middle - half) / (1 + extra), 0.0), min((middle + half) / (1 + extra), 1.0)


def curves(ledger: Ledger, by: str = "method", which: Which = ALL) -> list[Curve]:
    """The distribution of the time to an answer, a curve a group, at the promise itself and at 40 times a decade."""
    listed = COLUMNS[by]
    with ledger.reading() as database:
        counts = dict(
            database.execute(f"SELECT {listed}, count(*) {_FROM} GROUP BY 1 ORDER BY 1", which.values).fetchall()
        )
        came = {group[0]: _steps(times) for group, times in _times(database, listed, which)}
    return [_curve(str(name), count, came.get(name, {})) for name, count in counts.items()]


def _steps(times: Iterable[float]) -> dict[float, int]:
    """The empirical distribution, thinned: how many had come by each time of the grid at which it rises."""
    return {_edge(ms): rank for rank, ms in enumerate(times, start=1)}


def _curve(name: str, count: int, steps: Mapping[float, int]) -> Curve:
    return Curve(name, count, tuple(steps), tuple(rank / count for rank in steps.values()))


def _edge(ms: float) -> float:
    """The grid's next time from `ms` on."""
    edge = 10 ** (math.ceil(STEPS * math.log10(max(ms, 1e-3))) / STEPS)
    return PROMISE_MS if ms <= PROMISE_MS < edge else edge


def choices(ledger: Ledger) -> dict[str, list[str]]:
    """The bundles and methods that the ledger knows explanations of."""
    with ledger.reading() as database:
        return {
            name: [
                row[0] for row in database.execute(f"SELECT DISTINCT {name} {_FROM} ORDER BY 1", ALL.values) if row[0]
            ]
            for name in ("bundle", "method")
        }


def late_stage(body: Mapping[str, Any]) -> Late | None:
    """Where the time of an answer over budget went; None for other records.

    Where nothing came the time after the queue went by waiting for the model, whatever stage it was booked on.
    """
    stages = {name: float(ms) for name, ms in (body.get("stages_ms") or {}).items() if name != UNCOUNTED}
    if body.get("within_budget", True) or not stages:
        return None
    if not body.get("features") and not stages.get("compute"):
        stages["compute"] = stages.pop("return", 0.0)
    return Late(*max(stages.items(), key=lambda item: item[1]))


def over_budget(ledger: Ledger, which: Which = ALL, limit: int | None = None) -> list[Record]:
    """The newest explanations that were late or never came, the newest first."""
    kept = ledger.records("explanation", limit, bundle=which.bundle, method=which.method, since=which.since, over=True)
    return kept[::-1]
