"""bundle.toml read through the manifest's types, and each complaint of the parser or of pydantic turned into a `Fault`."""

import difflib
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from workbench.foreign import nearest, shown
from workbench.manifest import Manifest
from workbench.schema import BadInputError, Fault, Message

FILE = "bundle.toml"
LARGEST = 2**20

Place = tuple[str | int, ...]
_BOUNDS = {"greater_than_equal": "≥", "less_than_equal": "≤", "greater_than": ">", "less_than": "<"}
_KINDS = {
    "int": "whole",
    "float": "number",
    "string": "text",
    "bool": "truth",
    "tuple": "list",
    "dict": "table",
    "model": "table",
}


def read_manifest(path: Path) -> tuple[Manifest | None, list[Fault]]:
    """The manifest and everything wrong with it.

    Where keys are wrong the manifest comes without them, so that model and tables can be checked all the same; None where what is
    left is none. Raises `BadInputError` if the file is no TOML.
    """
    raw = _toml(path)
    faults: list[Fault] = []
    while True:
        try:
            return Manifest.model_validate(raw), faults
        except ValidationError as error:
            complaints = error.errors(include_url=False)
            faults = faults or _faults(raw, complaints)
            left = deepcopy(raw)
            for complaint in complaints:
                _prune(left, _place(left, complaint["loc"]))
            if left == raw or not {"bundle", "model", "panel"} <= set(left):
                return None, faults
            raw = left


def _toml(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise BadInputError([Fault("fault.manifest.large", FILE)])
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInputError([Fault("fault.manifest.encoding", FILE, row=line)]) from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (content.count(b"\n") + 1, 1)
        values = {"reason": shown(str(error).partition(" (at ")[0], 120), "line": line, "column": column}
        raise BadInputError([Fault("fault.manifest.syntax", FILE, row=line, values=values)]) from None


def _place(raw: Any, loc: Place) -> Place:
    """Pydantic's location without the names that it gives to a union's branches and to a mapping's keys."""
    place: list[str | int] = []
    for part in loc:
        if not isinstance(raw, dict | list | tuple):
            break
        place.append(part)
        try:
            raw = raw[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            break
    return tuple(place)


def _prune(raw: Any, place: Place) -> None:
    """Take the key at `place` out; where it is missing, the table that misses it."""
    *way, last = place
    for part in way[:-1]:
        raw = raw[part]
    table = raw[way[-1]] if way else raw
    if isinstance(table, dict) and last in table:
        del table[last]
    elif way and isinstance(raw, dict):
        raw.pop(way[-1], None)
    elif way and isinstance(raw, list) and len(raw) > int(way[-1]):
        raw.pop(int(way[-1]))


def _faults(raw: dict[str, Any], complaints: list[Any]) -> list[Fault]:
    """One fault a place: a union complains once for each of its branches."""
    found: dict[str, Fault] = {}
    for complaint in complaints:
        place = _place(raw, complaint["loc"])
        fault = _fault(raw, place, complaint)
        found.setdefault(str(fault.place), fault)
    return list(found.values())


def _fault(raw: dict[str, Any], place: Place, complaint: dict[str, Any]) -> Fault:
    kind, context, dotted = complaint["type"], complaint.get("ctx", {}), shown(".".join(map(str, place)), 120)
    known = _known(place[:-1])
    values: dict[str, object] = {"key": shown(place[-1]) if place else ""}
    if kind == "extra_forbidden" or complaint["loc"][-1] == "[key]":
        close = difflib.get_close_matches(str(place[-1]).lower(), known)
        key = "unknown_near" if close else "unknown"
        return Fault(f"fault.key.{key}", FILE, dotted, values=values | {"known": nearest(str(place[-1]), known)})
    if kind == "missing":
        return Fault("fault.key.missing", FILE, dotted, values=values)
    if kind == "value_error":
        needed = "entry" if raw["model"].get("format") == "python" else "file"
        return Fault("fault.key.missing", FILE, f"{dotted}.{needed}", values={"key": needed})
    values["found"] = shown(repr(complaint["input"]))
    if kind == "literal_error":
        return Fault(
            "fault.value.choice", FILE, dotted, values=values | {"expected": context["expected"].replace("'", "")}
        )
    if kind in _BOUNDS:
        bound = f"{_BOUNDS[kind]} {next(iter(context.values()))}"
        return Fault("fault.value.bound", FILE, dotted, values=values | {"expected": bound})
    return Fault(
        "fault.value.type", FILE, dotted, values=values | {"expected": _expected(kind, place, complaint["loc"])}
    )


def _expected(kind: str, place: Place, loc: Place) -> Message:
    if {"datetime", "date"} & set(loc[len(place) :]):
        return Message("fault.expected.moment")
    if kind == "string_pattern_mismatch":
        return Message("fault.expected.entry" if place[-1] == "entry" else "fault.expected.name")
    if kind == "too_short":
        return Message("fault.expected.some")
    return Message(
        f"fault.expected.{next((word for start, word in _KINDS.items() if kind.startswith(start)), 'other')}"
    )


def _known(place: Place) -> list[str]:
    """The keys that may stand in the table at `place`; none where any may."""
    kind: Any = Manifest
    for part in place:
        kind = _inside(kind, part)
    kind = _table(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    if get_origin(kind) is dict and get_origin(get_args(kind)[0]) is Literal:
        return [str(choice) for choice in get_args(get_args(kind)[0])]
    return []


def _table(kind: Any) -> Any:
    """The member of an optional type that is a table."""
    if get_origin(kind) in (Union, UnionType):
        return next((arm for arm in get_args(kind) if arm is not type(None)), None)
    return kind


def _inside(kind: Any, part: str | int) -> Any:
    kind = _table(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
        return fields.get(str(part))
    arguments = get_args(kind)
    return (arguments[1] if get_origin(kind) is dict else arguments[0]) if arguments else None
