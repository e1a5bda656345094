"""The wire format of protocol buffers, read strictly: every length inside its message, every field known, none twice that stands once.

A reader that is laxer than the library's, or merges what the library merges otherwise, would check another file than the one that
runs; so what is not in a message's table is refused, and messages are kept as slices of the file from which a checked copy is made.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST = {VARINT: 10, FIXED64: 8, FIXED32: 4}
# Lists of numbers may stand element by element, millions of them; one match runs over them all.
_RUN = {
    VARINT: rb"%s([\x80-\xff]{0,9}+[\x00-\x7f])",
    FIXED32: rb"%s(.{4})",
}


class WireError(Exception):
    """Not a message of this kind; the text names the field."""


@dataclass(frozen=True)
class Known:
    """A field that may stand in a message: its name, how it is written, whether more than once; `run`: many of them are taken in one go, packed."""

    name: str
    wire: int = BYTES
    many: bool = False
    run: bool = False


Table = Mapping[int, Known]
Found = dict[str, list[bytes | int]]


def read(data: bytes, table: Table) -> Found:
    """The fields of a message by name: numbers, and texts, messages and packed lists as bytes. WireError for anything odd."""
    found: Found = {known.name: [] for known in table.values()}
    for number, _, value in fields(data, table):
        name = table[number].name
        if found[name] and not table[number].many:
            raise WireError(f"{name} twice")
        if isinstance(value, list):
            found[name] += value
        else:
            found[name].append(value)
    return found


def fields(data: bytes, table: Table) -> Iterator[tuple[int, bytes, bytes | int | list[bytes]]]:
    """Each field's number, its own bytes with the tag, and its value."""
    at, end = 0, len(data)
    while at < end:
        start = at
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        known = table.get(number)
        if known is None:
            raise WireError(f"field {number}")
        if known.run and wire == known.wire:
            at, several = _texts(data, start, at) if wire == BYTES else _run(data, start, at, wire)
            yield number, data[start:at], several
            continue
        if wire not in {known.wire, BYTES} or (wire != known.wire and not known.many):
            raise WireError(known.name)
        value: bytes | int
        if wire == VARINT:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if wire == BYTES else (_LONGEST[wire], at)
            if size > end - at:
                raise WireError(f"{known.name} is cut off")
            value, at = data[at : at + size], at + size
        yield number, data[start:at], value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place after it.

    >>> varint(bytes([0xAC, 0x02]), 0)
    (300, 2)
    """
    value = 0
    for i in range(_LONGEST[VARINT]):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:  # noqa: PLR2004
            return value & (2**64 - 1), at + i + 1
    raise WireError("a number is cut off")


def signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    return value - 2**64 if value >= 2**63 else value


def whole(stretches: list[bytes | int], most: int = 4096) -> list[int]:
    """A repeated int64 field, packed or not, as numbers; WireError beyond `most` bytes."""
    numbers = list[int]()
    for stretch in stretches:
        if isinstance(stretch, int):
            numbers.append(signed(stretch))
            continue
        if len(stretch) > most:
            raise WireError("too many numbers")
        at = 0
        while at < len(stretch):
            value, at = varint(stretch, at)
            numbers.append(signed(value))
    return numbers


def written(number: int, value: bytes | int) -> bytes:
    """A field as it is written: a number, or bytes."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:  # noqa: PLR2004
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _texts(data: bytes, start: int, at: int) -> tuple[int, list[bytes]]:
    """The end of a list of texts, and the texts."""
    tag, texts, end = data[start:at], list[bytes](), start
    while data.startswith(tag, end):
        size, at = varint(data, end + len(tag))
        if size > len(data) - at:
            raise WireError("a list is cut off")
        end = at + size
        texts.append(data[at:end])
    return end, texts


def _run(data: bytes, start: int, at: int, wire: int) -> tuple[int, bytes]:
    """The end of a list that stands element by element, each with its tag, and the same list packed."""
    one = _RUN[wire] % re.escape(data[start:at])
    match = re.compile(b"(?:%s)++" % one, re.DOTALL).match(data, start)
    if match is None:
        raise WireError("a list is cut off")
    return match.end(), b"".join(re.findall(one, match[0], re.DOTALL))
