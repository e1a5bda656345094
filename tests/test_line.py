import threading
import time

import pytest

from workbench.line import LONGEST, Cancelled, Line, LineFullError


def queue_up(line, *callers):
    """A thread a caller, each in line before the next comes; gives the order in which they were served, as it grows."""
    served, threads = [], []

    def serve(caller):
        line.enter(caller, 5000)
        served.append(caller)
        line.leave()

    for caller in callers:
        threads.append(threading.Thread(target=serve, args=(caller,)))
        threads[-1].start()
        until(lambda: len(line) == len(threads))
    return served, threads


def until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_callers_take_turns():
    line = Line()
    line.enter("first", 0)
    served, threads = queue_up(line, "greedy", "greedy", "greedy", "modest", "quiet")
    line.leave()
    for thread in threads:
        thread.join()
    assert served == ["greedy", "modest", "quiet", "greedy", "greedy"]
    assert line.idle


def test_whoever_waits_too_long_goes():
    line = Line()
    line.enter("first", 0)
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        line.enter("second", 50)
    assert 0.04 < time.monotonic() - before < 1
    assert len(line) == 0
    line.leave()
    line.enter("third", 0)


def test_what_nobody_waits_for_leaves_the_line_at_once():
    line, cancelled, gone = Line(), Cancelled(), []
    line.enter("first", 0)

    def wait():
        try:
            line.enter("second", 5000, cancelled)
        except TimeoutError:
            gone.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: len(line) == 1)
    before = time.monotonic()
    cancelled.set()
    thread.join()
    assert gone[0] - before < 1
    assert len(line) == 0


def test_a_line_has_an_end():
    line = Line()
    line.enter("first", 0)
    _, threads = queue_up(line, *range(LONGEST))
    with pytest.raises(LineFullError):
        line.enter("one too many", 5000)
    line.leave()
    for thread in threads:
        thread.join()
    line.enter("now", 0)
