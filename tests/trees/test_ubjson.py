"""UBJSON is read within bounds: what the sizes in the file promise is held against what is there."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.trees.ubjson import DEEPEST, UbjsonError, decode, encode


def size(n: int) -> bytes:
    return b"L" + struct.pack(">q", n)


def test_what_is_written_is_read():
    value = {
        "words": ["a", "利率", ""],
        "numbers": [0, -1, 126, 127, 128, 40_000, -(2**40)],
        "floats": np.array([1.5, np.nan, -np.inf], np.float32),
        "whole": np.array([-1, 2**31 - 1], np.int32),
        "long": np.array([2**60], np.int64),
        "bytes": np.array([0, 255], np.uint8),
        "none": np.zeros(0, np.float32),
        "empty": {},
        "half": 0.5,
    }
    read = decode(encode(value))
    assert isinstance(read, dict)
    assert list(read) == sorted(value)
    for key, expected in value.items():
        assert np.array_equal(read[key], expected, equal_nan=key == "floats")
    assert encode(read) == encode(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[i\x01i\x02]", [1, 2]),
        (b"[TFD\x3f\xf0\0\0\0\0\0\0]", [True, False, 1.0]),
        (b"{i\x01aU\xff}", {"a": 255}),
        (b"SI\x00\x02hi", "hi"),
    ],
)
def test_what_other_writers_may_write(content, expected):
    assert decode(content) == expected


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (b"", True),
        (b"{", True),
        (b"[", True),
        (b"S", True),
        (b"S" + size(9) + b"short", True),
        (b"S" + size(2**62) + b"short", True),
        (b"S" + size(-1), False),
        (b"Sd\x40\0\0\0ab", False),
        (b"S" + size(1) + b"\xff", False),
        (b"[$d#" + size(2**62), True),
        (b"[$d#" + size(2) + b"\0" * 7, True),
        (b"[$S#" + size(1), False),
        (b"[$d" + size(1), False),
        (b"[#" + size(2**62) + b"i\x01", True),
        (b"{" + size(1) + b"aT" + size(1) + b"aT}", False),
        (b"[" * 100_000, False),
        (b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), False),
        (b"?", False),
        (b"TT", False),
    ],
)
def test_what_does_not_hold_is_refused_without_asking_for_memory(content, cut):
    with pytest.raises(UbjsonError) as raised:
        decode(content)
    assert raised.value.cut is cut
    assert 0 <= raised.value.at <= len(content)


@given(st.sampled_from([b"", b"{", b"[", b"[$d#", b"[#", b"S"]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(beginning, content):
    with contextlib.suppress(UbjsonError):
        decode(beginning + content)
