"""Pickles in all their wrappings, told by content and never opened: reading one runs whatever code it holds.

A pickle begins with an opcode (Python, `pickletools`), compressed ones behind the mark of zlib, gzip, bz2, xz, LZMA, LZ4 or Zstandard;
PyTorch wraps one into a zip, numpy puts one behind the header of an array of objects.
"""

import bz2
import io
import lzma
import re
import zlib
from pathlib import Path

import pyarrow as pa

from workbench.schema import BadInputError, Fault, Message

# What is read of a file, and what of it is unpacked: bz2 gives nothing before a whole block of 0.9 MB.
MOST_READ, MOST_UNPACKED, MOST_MEMORY = 2 << 20, 1 << 20, 128 << 20

_FRAMED = re.compile(rb"\x80[\x02-\x05]")
_NAME = rb"[A-Za-z_][\w.]*\r?\n"
# Protocols 0 and 1 have no mark of their own: a class, a container or text put into the memo, a tuple.
_OLD = re.compile(
    rb"\(*(?:[ci]%b%b|[dl]p\d+\r?\n|[\]}][qr]|[VS][^\n]*\np\d+\r?\n)|\(+(?:[IFL][^\n]+\n|[KMJGX])" % (_NAME, _NAME)
)
_OBJECTS = re.compile(rb"\x93NUMPY.{1,5}\{[^}]*'\|?O\d?'", re.DOTALL)
_IN_ZIP = re.compile(rb"PK\x03\x04.{26}[^\0]{0,200}\.(?:pkl|pickle|joblib)", re.DOTALL)
_TORCH_MAGIC = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
ADVISED = ("lightgbm", "xgboost", "catboost", "sklearn", "torch")
_LIBRARY = re.compile(rf"(?<!\.)(?:{'|'.join(ADVISED)})".encode())


def is_pickle(path: Path) -> bool:
    """Whether the file is, or holds, a pickle of any protocol; what it is called does not matter."""
    content, complete = _unpacked(path)
    if _FRAMED.match(content) or _OBJECTS.match(content) or _IN_ZIP.match(content):
        return True
    return bool(_OLD.match(content)) and (not complete or content.endswith(b"."))


def library_in(path: Path) -> str | None:
    """The library whose classes the pickle names first, one of `ADVISED`; None if none is seen near its beginning."""
    content, _ = _unpacked(path)
    if _TORCH_MAGIC in content[:64] or _IN_ZIP.match(content):
        return "torch"
    found = _LIBRARY.search(content)
    return found.group().decode() if found else None


def refuse_pickled_model(path: Path, file: str) -> None:
    """Raise `BadInputError`, with the way to a format that can be read, where the file is a pickle."""
    if is_pickle(path):
        advice = Message(f"fault.pickled.{library_in(path) or 'unknown'}")
        raise BadInputError([Fault("fault.model.pickled", file, values={"advice": advice})])


def refuse_pickled_table(path: Path, file: str) -> None:
    """Raise `BadInputError` where the file is a pickle."""
    if is_pickle(path):
        raise BadInputError([Fault("fault.table.pickled", file)])


def _unpacked(path: Path) -> tuple[bytes, bool]:
    """The file's beginning without compression, and whether that is all of it; empty where the compression is damaged."""
    with path.open("rb") as stream:
        raw = stream.read(MOST_READ)
        complete = not stream.read(1)
    try:
        content = _expand(raw)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException):
        return b"", False
    return content[:MOST_UNPACKED], complete and len(content) < MOST_UNPACKED


def _expand(raw: bytes) -> bytes:
    if raw[:2] in {b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, MOST_UNPACKED)  # 32: zlib or gzip
    if raw.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(raw, MOST_UNPACKED)
    if raw.startswith((b"\xfd7zXZ\0", b"]\0\0")):
        return lzma.LZMADecompressor(memlimit=MOST_MEMORY).decompress(raw, MOST_UNPACKED)
    for mark, name in ((b"\x04\x22\x4d\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if raw.startswith(mark):
            return bytes(pa.CompressedInputStream(io.BytesIO(raw), name).read(MOST_UNPACKED))
    return raw
