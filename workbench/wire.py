"""How desk and worker talk: a JSON head and raw numbers over a socket pair. Never pickles: a worker may have been taken over."""

import json
import socket
import struct
from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

Head = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

HEAD_LIMIT = 16 << 20
BODY_LIMIT = 2 << 30
_SIZES = struct.Struct("!IQ")
_DTYPES = {"f8": np.float64, "i8": np.int64, "?": np.bool_}


class PeerGoneError(Exception):
    """The other side closed the socket: it crashed or was killed."""


class StalledError(TimeoutError):
    """Time was up in the middle of a message: what comes next would not be understood."""


class TornMessageError(Exception):
    """What came is not a message: sizes out of bounds, no JSON, or numbers that do not fill their shape."""


def send(sock: socket.socket, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Send one message; arrays are float64, int64 or bool. Raises PeerGoneError if nobody is there any more."""
    parts, listing = [], []
    for name, array in (arrays or {}).items():
        code = next(c for c, dtype in _DTYPES.items() if array.dtype == dtype)
        listing.append([name, code, list(array.shape)])
        parts.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    text = json.dumps({"head": head, "arrays": listing}).encode()
    try:
        sock.sendall(_SIZES.pack(len(text), sum(part.nbytes for part in parts)) + text)
        for part in parts:  # as they lie in memory: joining megabytes first would cost more than sending them
            sock.sendall(part)
    except (BrokenPipeError, ConnectionResetError) as gone:
        raise PeerGoneError from gone


def receive(sock: socket.socket, timeout_ms: float | None = None) -> tuple[Head, Arrays]:
    """Receive one message, waiting at most `timeout_ms` for the whole of it.

    Raises TimeoutError (StalledError where a part had come), PeerGoneError or TornMessageError.
    """
    until = None if timeout_ms is None else monotonic() + timeout_ms / 1000
    head_size, body_size = _SIZES.unpack(_read(sock, _SIZES.size, until, TimeoutError))
    if head_size > HEAD_LIMIT or body_size > BODY_LIMIT:
        raise TornMessageError(f"{head_size} + {body_size} bytes announced")
    try:
        message = json.loads(_read(sock, head_size, until))
        return message["head"], _arrays(message["arrays"], _read(sock, body_size, until))
    except (ValueError, KeyError, TypeError) as torn:
        raise TornMessageError(str(torn)) from torn


def _arrays(listing: list[tuple[str, str, list[int]]], body: bytearray) -> Arrays:
    arrays: Arrays = {}
    start = 0
    for name, code, shape in listing:
        dtype = np.dtype(_DTYPES[code])
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, dtype, count, start).reshape(shape)
        start += count * dtype.itemsize
    return arrays


def _read(sock: socket.socket, size: int, until: float | None, late: type[TimeoutError] = StalledError) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        left = None if until is None else until - monotonic()
        if left is not None and left <= 0:
            raise StalledError if got else late
        sock.settimeout(left)
        try:
            count = sock.recv_into(view[got:], min(size - got, 1 << 20))
        except TimeoutError:
            continue
        except ConnectionResetError as gone:
            raise PeerGoneError from gone
        if not count:
            raise PeerGoneError
        got += count
    return data
