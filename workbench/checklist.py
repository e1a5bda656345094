"""A checklist: the TOML files of a folder, one a family, read into `Check`s.

The TOML holds everything that is not arithmetic: the lines and where they come from, how bad a breach is, and the words. A check's
table bears the name of the function in checks/FAMILY.py that measures it; the folder is the registry.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from workbench.manifest import Words
from workbench.schema import BadInputError, Fault
from workbench.shipped import shipped

FAMILIES = "TRVXBG"
"""The order of the families by the first letter of their codes: time, risk, regime, explanation, backtest, governance."""


class Check(BaseModel):
    """One question put to a bundle: what is measured, where the lines are, and what to say about it.

    A value beyond `warn_above`/`fail_above` (or below `warn_below`/`fail_below`) is a breach. With `warn_p`/`fail_p` the check is
    statistical: a breach must be significant as well. `must_show` is the effect that a sample has to be able to show before silence
    counts as a pass (default: the fail line). `also_warn` names facts that, beyond their number, make the outcome at best `warn`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    family: str
    code: str = Field(pattern=r"^[TRVXBG][1-9]\d*$")
    severity: Literal["critical", "major", "minor"]
    pattern: Literal["borrowed_tomorrow", "equity_in_a_bond_coat", "fair_weather_model", "support"]
    headline: bool = False
    timed: bool = False
    unit: str
    warn_above: float | None = None
    fail_above: float | None = None
    warn_below: float | None = None
    fail_below: float | None = None
    warn_p: float | None = Field(default=None, gt=0, lt=1)
    fail_p: float | None = Field(default=None, gt=0, lt=1)
    must_show: float | None = None
    also_warn: dict[str, float] = {}
    settings: dict[str, float | int] = {}
    source: Words
    mark: Literal["V", "M", "D", "U"]
    refs: tuple[str, ...] = ()
    maps_to: tuple[str, ...] = ()
    title: Words
    why: Words
    remedy: Words
    words: dict[str, Words] = {}

    @model_validator(mode="after")
    def _lines_agree(self) -> Self:
        above, below = (self.warn_above, self.fail_above), (self.warn_below, self.fail_below)
        given = [pair for pair in (above, below) if pair != (None, None)]
        if len(given) != 1 or None in given[0]:
            raise ValueError("give warn_above and fail_above, or warn_below and fail_below")
        if (self.warn_p is None) != (self.fail_p is None):
            raise ValueError("give both warn_p and fail_p, or neither")
        if self.beyond(self.warn, self.fail):
            raise ValueError("the warn line must not lie beyond the fail line")
        if self.warn_p is not None and self.fail_p is not None and self.fail_p > self.warn_p:
            raise ValueError("fail_p must not be larger than warn_p")
        return self

    @property
    def warn(self) -> float:
        """The line beyond which a value is a warning."""
        line = self.warn_below if self.warn_above is None else self.warn_above
        assert line is not None  # noqa: S101 - the validator saw to it
        return line

    @property
    def fail(self) -> float:
        """The line beyond which a value is a failure."""
        line = self.fail_below if self.fail_above is None else self.fail_above
        assert line is not None  # noqa: S101 - the validator saw to it
        return line

    @property
    def statistical(self) -> bool:
        """Whether a breach must be significant."""
        return self.fail_p is not None

    def beyond(self, value: float, line: float) -> bool:
        """Whether `value` lies on the bad side of `line`; on the line is not beyond it."""
        return value > line if self.fail_above is not None else value < line


def checklist_folder(checklist: str | Path = "fixed_income_plus") -> Path:
    """Give the folder of a shipped checklist by its name (looked up in the listing), or the folder that a path names."""
    listing = {folder.name: folder for folder in shipped("audits").iterdir() if folder.is_dir()}
    folder = listing.get(str(checklist), Path(checklist))
    if not any(folder.glob("*.toml")):
        known = ", ".join(sorted(listing))
        raise BadInputError([Fault("audit.no_such_checklist", str(checklist), values={"known": known})])
    return folder


def load_checklist(checklist: str | Path = "fixed_income_plus") -> tuple[Check, ...]:
    """Read every check of a checklist, in the order of the codes: T, R, V, X, B, G, then by number.

    Raises BadInputError with every fault at once: no such checklist, a table that is wrong, a code that is given twice.
    """
    checks, faults = [], []
    for file in sorted(checklist_folder(checklist).glob("*.toml")):
        try:
            tables = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            faults.append(Fault("audit.no_toml", file.name, values={"why": error}))
            continue
        for name, table in tables.items():
            try:
                checks.append(_check(file.stem, name, table))
            except ValidationError as error:
                faults += [_fault(file.name, name, complaint) for complaint in error.errors()]
    codes = [check.code for check in checks]
    for check in checks:
        if codes.count(check.code) > 1:
            faults.append(Fault("audit.code_twice", f"{check.family}.toml", check.name, values={"code": check.code}))
    if faults:
        raise BadInputError(faults)
    return tuple(sorted(checks, key=lambda check: (FAMILIES.index(check.code[0]), int(check.code[1:]))))


def _check(family: str, name: str, table: Any) -> Check:
    """Name and family come from where the table stands; a table that sets them itself gives them twice."""
    if not isinstance(table, dict):
        return Check.model_validate(table)
    given = {f"{key} (set by the file)": table[key] for key in ("name", "family") if key in table}
    return Check.model_validate(table | {"name": name, "family": family} | given)


def _fault(file: str, name: str, complaint: ErrorDetails) -> Fault:
    place = ".".join([name, *map(str, complaint["loc"])])
    return Fault("audit.bad_check", file, place, values={"why": complaint["msg"]})
