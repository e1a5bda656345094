"""What names of columns say, in English and Chinese (names.toml): roles, families, lags, units, horizons. A name proves nothing; it is a guess's reason."""

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
TIMES, ENTITIES, LABELS = (frozenset(_LISTS[name].split()) for name in ("times", "entities", "labels"))
COUNTERS = frozenset(["", *_LISTS["counters"].split()])
RETURNS = {role: frozenset(names.split()) for role, names in _LISTS["returns"].items()}

_FORWARD = re.compile(
    r"(?:^|_)(?:fwd|forward|future|fut|next|ahead)(?:_|\d|$)|^(?:y|target|label)_|_(?:target|label|y)$|未来|下期|次日|下一|前瞻"
)
_SPAN = re.compile(
    r"(?<![\da-z.])(?:h|t\+|fwd)?(\d{1,3})(?:_?(days?|d|bd|weeks?|w|months?|m|个?交易日|日|天|周|个?月|期))?(?![\da-z])"
)
_LAGS = (
    re.compile(
        r"(?P<base>.+?)[ _.\-]*(?:(?<![A-Za-z])(?:lag|lagged|shift)|滞后)[ _]*(?P<rows>\d{1,3})(?:d|日|天|期|行)?",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(r"(?P<base>.+?)(?:_[lL]|[_ ]?\(?[tT]-)(?P<rows>\d{1,3})\)?", re.DOTALL),
    re.compile(r"(?:lag|l|滞后)[ _]?(?P<rows>\d{1,3})(?:日|天|期)?[ _.](?P<base>.+)", re.IGNORECASE | re.DOTALL),
)
_SPACING: Sequence[tuple[tuple[str, ...], tuple[float, float]]] = (
    (("week", "w", "周"), (5, 9)),
    (("month", "m", "月"), (25, 35)),
    (("day", "d", "日", "天"), (0.5, 4)),
)
_UNITS = (
    ("percent", re.compile(r"(?:^|_)(?:pct|percent)(?:_|$)|%|百分比")),
    ("basis points", re.compile(r"(?:^|_)bps?(?:_|$)|基点")),
)


_FAMILIES = [
    (entry["family"], re.compile(rf"(?<![a-z])(?:{entry['words'].replace(' ', '|')})(?![a-z])|{entry['parts']}"))
    for entry in _LISTS["families"]
]


def plain(name: str) -> str:
    """A name as it is compared with the lists: no case, no width, blanks and dashes as `_`.

    >>> plain(" Trade-Date"), plain("tradeDate")
    ('trade_date', 'trade_date')
    """
    text = unicodedata.normalize("NFKC", name).strip()
    return re.sub(r"[\s\-_]+", "_", re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", text)).lower()


def family_of(name: str) -> tuple[str, str] | None:
    """The family that the name speaks of, and the word that says so.

    >>> family_of("fsi_volatility_lag2"), family_of("10年期国债收益率"), family_of("x1")
    (('volatility', 'volatility'), ('rates', '国债'), None)
    """
    text = plain(name)
    fits = ((family, pattern.search(text)) for family, pattern in _FAMILIES)
    return next(((family, match.group()) for family, match in fits if match), None)


def lag_of(name: str) -> tuple[str, int] | None:
    """The column that this one is an older value of, and by how many rows.

    >>> lag_of("y10_lag5"), lag_of("利率滞后5期"), lag_of("L5.y10"), lag_of("level")
    (('y10', 5), ('利率', 5), ('y10', 5), None)
    """
    match = next((match for pattern in _LAGS if (match := pattern.fullmatch(name.strip()))), None)
    return (match["base"], int(match["rows"])) if match and int(match["rows"]) else None


def unit_of(name: str) -> str | None:
    """The unit that the name states."""
    return next((unit for unit, pattern in _UNITS if pattern.search(plain(name))), None)


def label_like(name: str) -> int | None:
    """0 for a name that only a label bears, 1 for one that speaks of the future, None for others."""
    return 0 if plain(name) in LABELS else 1 if _FORWARD.search(plain(name)) else None


def horizon_in(name: str, days_apart: float) -> int | None:
    """Rows of a label's horizon by its name, where rows stand `days_apart`; None where a unit does not fit the rows.

    >>> horizon_in("fwd_ret_20d", 1.0), horizon_in("未来3个月收益", 30.4), horizon_in("fwd_1m", 1.0)
    (20, 3, None)
    """
    found = _SPAN.findall(plain(name))
    if not found:
        return None
    number, unit = next((span for span in found if span[1]), found[-1])
    low, high = next((span for marks, span in _SPACING if unit.rstrip("s").endswith(marks)), (0.0, 1e9))
    return int(number) or None if low <= days_apart <= high else None
