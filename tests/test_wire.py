import json
import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from workbench.wire import HEAD_LIMIT, PeerGoneError, TornMessageError, receive, send


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@given(
    st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=20) | st.none(), max_size=4),
    arrays(np.float64, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)),
    arrays(np.bool_, array_shapes(min_dims=1, max_dims=2, max_side=6)),
)
def test_what_is_sent_arrives(head, numbers, mask):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, head, {"numbers": numbers, "mask": mask})
        got, received = receive(theirs, 1000)
    assert got == head
    np.testing.assert_array_equal(received["numbers"], numbers)
    np.testing.assert_array_equal(received["mask"], mask)


def test_hanging_up_is_told_from_silence(pair):
    ours, theirs = pair
    with pytest.raises(TimeoutError):
        receive(theirs, 5)
    ours.close()
    with pytest.raises(PeerGoneError):
        receive(theirs, 1000)


def test_half_a_message_is_not_waited_for_beyond_the_deadline(pair):
    ours, theirs = pair
    ours.sendall(struct.pack("!IQ", 100, 0) + b"{")
    with pytest.raises(TimeoutError):
        receive(theirs, 20)


@pytest.mark.parametrize(
    "message",
    [
        struct.pack("!IQ", HEAD_LIMIT + 1, 0),
        struct.pack("!IQ", 4, 1 << 60),
        struct.pack("!IQ", 4, 0) + b"\xff\xfe{}",
        struct.pack("!IQ", 2, 0) + b"[]",
        struct.pack("!IQ", 2, 0) + b"{}",
    ],
)
def test_nonsense_is_refused(pair, message):
    ours, theirs = pair
    ours.sendall(message)
    with pytest.raises(TornMessageError):
        receive(theirs, 1000)


def test_numbers_that_do_not_fill_their_shape_are_refused(pair):
    ours, theirs = pair
    text = json.dumps({"head": {}, "arrays": [["x", "f8", [1000]]]}).encode()
    ours.sendall(struct.pack("!IQ", len(text), 8) + text + b"12345678")
    with pytest.raises(TornMessageError):
        receive(theirs, 1000)


def test_sending_to_nobody_says_so(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(PeerGoneError):
        send(ours, {}, {"x": np.zeros(1000)})
