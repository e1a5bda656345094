"""Damaged copies of a model file, and a process of its own to try each in."""

import json
import os
import random
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.schema import BadInputError


def mutants(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Damaged copies: bits, bytes, cuts, doubled and lost stretches, extreme words, edited numbers, edited structure."""
    draw = random.Random(seed)
    ways = [_bits, _bytes, _cut, _lost, _doubled, _word, _number, _structure]
    for _ in range(count):
        content = draw.choice(seeds)
        yield draw.choice(ways)(content, draw)


def _bits(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 4])):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _bytes(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])]) + content[at + 1 :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _lost(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + content[at + draw.choice([1, 2, 4, 40]) :]


def _doubled(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[: at + draw.choice([1, 4, 40])] + content[at:]


def _word(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) // 4) * 4
    words = [2**31 - 1, 2**32 - 1, 2**31, 1_000_000, 0, 1]
    word = struct.pack(draw.choice("<>") + "I", draw.choice(words))
    return content[:at] + draw.choice([word, struct.pack("<f", float("nan"))]) + content[at + 4 :]


def _number(content: bytes, draw: random.Random) -> bytes:
    """One number of the text replaced by an extreme one; in a binary file a word."""
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit() and not chr(content[i - 1]).isdigit()]
    if content[:1] != b"{" or content[1:2] == b"L":
        return _word(content, draw)
    at = draw.choice(places)
    end = at
    while chr(content[end]) in "0123456789.Ee+-":
        end += 1
    extreme = ["-1", "0", "1", "2", "1000000", "2147483647", "4294967296", "1e38", "1e39", "NaN", "-Infinity", "9" * 30]
    return content[:at] + draw.choice(extreme).encode() + content[end:]


def _structure(content: bytes, draw: random.Random) -> bytes:
    """One entry of a JSON document removed, doubled or exchanged; in a binary file a stretch copied elsewhere."""
    try:
        document = json.loads(content)
    except ValueError:
        start, to, n = draw.randrange(len(content)), draw.randrange(len(content)), draw.choice([4, 16, 64])
        return content[:to] + content[start : start + n] + content[to + n :]
    node = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw.choice(keys)
        deeper = isinstance(node[key], dict | list) and len(node[key]) > 0
        if not deeper or draw.random() < 0.1:
            break
        node = node[key]
    change = draw.randrange(3)
    if change == 0:
        del node[key]
    elif change == 1 and isinstance(node, list):
        node.insert(key, draw.choice([node[key], -1, 0, 10**6, None, "x", []]))
    else:
        node[key] = draw.choice([None, -1, 0, 3, 10**6, 10**10, 0.5, "7", "x", [], {}, [0], True])
    return json.dumps(document).encode()


def put_to(work: Callable[[], None], seconds: float = 10) -> str:
    """Do the work in a forked child: "refused" (BadInputError), "done", "error …", "crash …" or "hang"."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(int(seconds))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
        held = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + (2 << 30), held + (2 << 30)))
        silent = os.open(os.devnull, os.O_RDWR)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            work()
            os.write(writing, b"done")
        except BadInputError:
            os.write(writing, b"refused")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it goes into the table
            os.write(writing, f"error {type(error).__name__}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if answer:
        return answer
    died_of = os.WTERMSIG(status)
    return "hang" if died_of in {signal.SIGALRM, signal.SIGXCPU} else f"crash {died_of}"
