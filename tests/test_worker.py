import socket
import threading

import numpy as np
import pytest
from desk_bundles import python_bundle

from workbench.wire import PeerGoneError, receive, send
from workbench.worker import Worker


@pytest.fixture
def talk(tmp_path):
    """A worker in a thread, so that its lines can be seen; gives a function that asks and collects the replies."""
    bundle = python_bundle(tmp_path, "product", idle=16)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=Worker(theirs).serve)
    thread.start()

    def ask(head, arrays=None):
        send(ours, head, arrays)
        replies = []
        while True:
            reply, numbers = receive(ours, 10_000)
            if "done" in reply or "error" in reply:
                return replies, reply
            replies.append((reply, numbers))

    path, features = str(bundle.models[0].path), list(bundle.panel.features)
    ask.load = {"op": "load", "model": "m", "format": "python", "path": path, "features": features}
    ask.load |= {"entry": "author:product", "nice": 0}
    ask.X = bundle.panel.X
    yield ask
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    theirs.close()


def test_loading_says_what_applies(talk):
    (card, _), *_ = talk(talk.load)[0]
    assert card["methods"] == {"lime": None, "shap": None}
    assert (card["scale"], card["takes_missing"], card["library"]) == ("probability", True, [])


def test_predictions_come_in_order(talk):
    talk(talk.load)
    ((_, numbers),), _ = talk({"op": "predict", "model": "m"}, {"rows": talk.X})
    np.testing.assert_allclose(numbers["predictions"], talk.X[:, 0] * talk.X[:, 1] + talk.X[:, 2])


def test_an_explanation_streams_and_stops_by_itself(talk):
    talk(talk.load)
    arrays = {"rows": talk.X[-1:], "background": talk.X[:50]}
    head = {"op": "explain", "model": "m", "method": "shap", "seed": 1, "budget_ms": 100}
    (first, *estimates), end = talk(head, arrays)
    assert end["done"]
    assert first[1]["predictions"].shape == (1,)
    samples = [said["samples"] for said, _ in estimates if "samples" in said]  # the last reply may tell the spread
    assert samples[-1] > samples[0]
    assert estimates[-1][0]["elapsed_ms"] < 2000


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ({"op": "predict", "model": "never loaded"}, "KeyError"),
        ({"op": "no such operation"}, "KeyError"),
        ({"op": "attributions", "model": "m"}, "AttributeError"),
    ],
)
def test_an_error_is_an_answer_and_the_worker_goes_on(talk, head, kind):
    talk(talk.load)
    _, end = talk(head, {"rows": talk.X[:1]})
    assert end["error"]["kind"] == kind
    assert talk(talk.load)[1]["done"]


@pytest.mark.parametrize(("width", "key"), [(19, "fault.model.no_kernel"), (1001, "fault.model.wide")])
def test_interactions_are_refused_in_words(talk, width, key):
    talk(talk.load)
    _, end = talk({"op": "interactions", "model": "m"}, {"rows": np.zeros((2, width))})
    assert end["error"]["key"] == key


def test_nobody_answers_after_hanging_up():
    ours, theirs = socket.socketpair()
    ours.close()
    Worker(theirs).serve()
    with pytest.raises(PeerGoneError):
        send(theirs, {}, {"x": np.zeros(100)})
    theirs.close()
