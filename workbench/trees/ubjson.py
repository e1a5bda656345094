"""UBJSON (ubjson.org, draft 12) as XGBoost writes it, read within bounds and written anew.

Numbers are big-endian; an array of one type is its count and then the plain bytes, which become a numpy array without a copy. Sizes
are held against what is left of the file before anything is made of them, so that a damaged one asks for no memory.
"""

import struct

import numpy as np
from numpy.typing import NDArray

DEEPEST = 16
MOST_VALUES = 4_000_000
# Markers as struct's codes, which say the same to numpy's dtypes.
_NUMBERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_WHOLE = b"iUIlL"
_CONSTANTS = {b"T": True, b"F": False}
_WIDTHS = ((b"i", 2**7 - 1), (b"I", 2**15 - 1), (b"l", 2**31 - 1), (b"L", 2**63))
_MARKERS = {"u1": b"U", "i4": b"l", "i8": b"L", "f4": b"d"}


class UbjsonError(ValueError):
    """The bytes are not UBJSON from `at` on; `cut`: because they end there."""

    def __init__(self, at: int, *, cut: bool = False) -> None:
        super().__init__(f"no UBJSON from byte {at} on")
        self.at, self.cut = at, cut


def decode(content: bytes) -> object:
    """The one value that the bytes hold: dict, list, 1-D array (of one number type), str, int, float or bool; else `UbjsonError`."""
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise UbjsonError(reader.at)
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at, self.values = content, 0, 0

    def take(self, n: int) -> bytes:
        if n > len(self.content) - self.at:
            raise UbjsonError(self.at, cut=True)
        self.at += n
        return self.content[self.at - n : self.at]

    def value(self, marker: bytes, depth: int) -> object:
        self.values += 1
        if depth > DEEPEST or self.values > MOST_VALUES:
            raise UbjsonError(self.at)
        if marker == b"{":
            return self.table(depth)
        if marker == b"[":
            return self.array(depth)
        if marker == b"S":
            return self.text()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        return self.number(marker)

    def number(self, marker: bytes) -> int | float:
        if marker not in _NUMBERS:
            raise UbjsonError(self.at)
        code = _NUMBERS[marker]
        number: int | float = struct.unpack(code, self.take(struct.calcsize(code)))[0]
        return number

    def size(self) -> int:
        marker = self.take(1)
        size = self.number(marker) if marker in _WHOLE else -1
        if size < 0:
            raise UbjsonError(self.at)
        return int(size)

    def text(self) -> str:
        try:
            return self.take(self.size()).decode()
        except UnicodeDecodeError:
            raise UbjsonError(self.at) from None

    def table(self, depth: int) -> dict[str, object]:
        read: dict[str, object] = {}
        while self.content[self.at : self.at + 1] != b"}":
            key = self.text()
            if key in read:
                raise UbjsonError(self.at)
            read[key] = self.value(self.take(1), depth + 1)
        self.at += 1
        return read

    def array(self, depth: int) -> list[object] | NDArray[np.generic]:
        marker = self.take(1)
        if marker == b"$":
            code = _NUMBERS.get(self.take(1))
            if code is None or self.take(1) != b"#":
                raise UbjsonError(self.at)
            return np.frombuffer(self.take(self.size() * struct.calcsize(code)), code)
        if marker == b"#":
            size = self.size()
            if size > len(self.content) - self.at:
                raise UbjsonError(self.at, cut=True)
            return [self.value(self.take(1), depth + 1) for _ in range(size)]
        read = []
        while marker != b"]":
            read.append(self.value(marker, depth + 1))
            marker = self.take(1)
        return read


def encode(value: object) -> bytes:
    """The same values as bytes, the way that XGBoost writes them: keys sorted, floats as float32, arrays by their own type."""
    if isinstance(value, dict):
        return b"{" + b"".join(_text(key) + encode(value[key]) for key in sorted(value)) + b"}"
    if isinstance(value, np.ndarray):
        marker = _MARKERS[value.dtype.str[1:]]
        return b"[$" + marker + b"#" + _size(len(value)) + value.astype(_NUMBERS[marker]).tobytes()
    if isinstance(value, list):
        return b"[#" + _size(len(value)) + b"".join(encode(each) for each in value)
    if isinstance(value, str):
        return b"S" + _text(value)
    if isinstance(value, int):
        marker = next(marker for marker, most in _WIDTHS if abs(value) < most)
        return marker + struct.pack(_NUMBERS[marker], value)
    return b"d" + struct.pack(">f", value)


def _text(text: str) -> bytes:
    content = text.encode()
    return _size(len(content)) + content


def _size(n: int) -> bytes:
    return b"L" + struct.pack(">q", n)
