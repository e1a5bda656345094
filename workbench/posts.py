"""The bundles' places at the desk: the line before each, the worker that serves it, and what that worker has loaded."""

import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from workbench.line import LONGEST, Cancelled, Line, LineFullError
from workbench.schema import Message, ModelFailedError, ModelFile, StrategyBundle
from workbench.supervisor import GRACE_MS, ModelRaisedError, Supervisor, WorkerGoneError, WorkerProcess
from workbench.text import words
from workbench.trees import warm
from workbench.wire import Head, StalledError

LOAD_MS = 30_000
BATCH_MS = 600_000
POSTS = 8
# An audit's work gives way to a person's, also on a machine with few cores.
NICE = {"live": 0, "batch": 10}


@dataclass
class Post:
    """One place: a bundle's questions of one kind, `live` (somebody waits) or `batch`."""

    bundle: StrategyBundle
    kind: str
    line: Line = field(default_factory=Line)
    worker: WorkerProcess | None = None
    loaded: dict[str, Head] = field(default_factory=dict)
    users: int = 0

    def dismiss(self) -> None:
        """End the worker, if there is one."""
        if self.worker is not None:
            self.worker.kill()

    def let_end(self) -> None:
        """Give a late worker a moment, then the next in line their turn."""
        try:
            if self.worker is not None:
                self.worker.drain(GRACE_MS)
        finally:
            self.line.leave()


class Posts:
    """At most POSTS of them; the one that was idle longest makes room. One supervisor a format, started when it is first needed."""

    def __init__(self, formats: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], Post] = {}
        self._supervisors = {name: Supervisor(name) for name in formats}

    def close(self) -> None:
        """Let all workers go."""
        with self._lock:
            for post in self._held.values():
                post.dismiss()
            for supervisor in self._supervisors.values():
                supervisor.close()
            self._held.clear()
            self._supervisors.clear()

    @contextmanager
    def turn(
        self, bundle: StrategyBundle, kind: str, wait_ms: float, caller: Hashable, cancelled: Cancelled | None = None
    ) -> Iterator[Post]:
        """The bundle's post, when it is the caller's turn; LineFullError, or TimeoutError if that takes longer than `wait_ms`.

        A worker that is late gets a moment to end what it does, so that a busy machine does not cost it its model; nobody waits for that.
        """
        post = self._post(bundle, kind)
        try:
            post.line.enter(caller, wait_ms, cancelled)
        except BaseException:
            self._leave(post)
            raise
        late = False
        try:
            yield post
        except TimeoutError as error:
            late = not isinstance(error, StalledError)
            if late:
                threading.Thread(target=post.let_end, daemon=True).start()
            else:
                post.dismiss()
            raise
        finally:
            if not late:
                post.line.leave()
            self._leave(post)

    def _post(self, bundle: StrategyBundle, kind: str) -> Post:
        key = (bundle.bundle_sha256, kind)
        with self._lock:
            post = self._held.pop(key, None) or Post(bundle, kind)
            post.users += 1
            idle = [k for k, p in self._held.items() if p.line.idle and not p.users]
            for k in idle[: max(len(self._held) + 1 - POSTS, 0)]:
                self._held.pop(k).dismiss()
            self._held[key] = post  # the last one is the most recently used
        return post

    def _leave(self, post: Post) -> None:
        with self._lock:
            post.users -= 1

    def ready(self, post: Post, model: ModelFile) -> tuple[WorkerProcess, Head]:
        """A living worker that has loaded `model`, and what it said of it."""
        if post.worker is None or not post.worker.alive:
            post.dismiss()
            post.worker, post.loaded = self._supervisor(model.format).hire(), {}
        card = post.loaded.get(model.sha256)
        if card is None or (card["pending"] and warm.done()):
            head: Head = {"op": "load", "model": model.sha256, "format": model.format, "path": str(model.path)}
            head |= {"entry": model.entry, "features": list(post.bundle.panel.features), "nice": NICE[post.kind]}
            try:
                for card, _ in post.worker.ask(head, {}, LOAD_MS):
                    post.loaded[model.sha256] = card
            except TimeoutError as late:
                post.dismiss()
                said = {"key": "desk.hung", "values": {"file": model.name, "seconds": LOAD_MS / 1000}}
                raise ModelRaisedError(said) from late
        return post.worker, post.loaded[model.sha256]

    def _supervisor(self, format: str) -> Supervisor:  # noqa: A002 - the manifest's word
        with self._lock:
            if format not in self._supervisors:
                self._supervisors[format] = Supervisor(format)
            return self._supervisors[format]


@contextmanager
def told(model: ModelFile) -> Iterator[None]:
    """Turn what keeps a batch from its answer into a ModelFailedError."""
    try:
        yield
    except LineFullError as full:
        raise ModelFailedError(Message("desk.busy", {"waiting": LONGEST})) from full
    except TimeoutError as late:
        raise ModelFailedError(Message("desk.hung", {"file": model.name, "seconds": BATCH_MS / 1000})) from late
    except (WorkerGoneError, ModelRaisedError) as error:
        raise ModelFailedError(reason(error, model)) from error


def reason(error: WorkerGoneError | ModelRaisedError, model: ModelFile) -> Message:
    """Why there is no answer, in words."""
    if isinstance(error, WorkerGoneError):
        return Message("desk.crashed", {"file": model.name})
    if error.said.get("key") in words():
        return Message(error.said["key"], error.said["values"])
    said = {name: str(error.said.get(name)) for name in ("kind", "text")}
    return Message("desk.raised", {"file": model.name, **said})
