"""A desk under continuous questions while its workers are killed, stopped and led astray; every answer is held against a reference."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
from builders import make_bundle
from desk_bundles import python_bundle

from workbench.bundles import load_bundle
from workbench.decision import background
from workbench.desk import Desk
from workbench.ledger import Ledger
from workbench.posts import Post
from workbench.schema import Explanation, StrategyBundle
from workbench.supervisor import WorkerProcess

BUDGET, LATE = 400.0, 50.0
ROWS = 40  # the last so many decisions are asked for
ASKERS = 4
# A sampled value may be off by so many standard errors; an interval of fewer draws, by Student's, has no such far end.
ERRORS, DRAWS = 6, 30
Reference = Callable[[int], np.ndarray]


@dataclass
class Patient:
    """A healthy bundle, what is right for each of its rows, and whether the askers leave it alone for a moment."""

    bundle: StrategyBundle
    right: Reference
    spared: bool = False


@dataclass
class Round:
    """What became of the answers that ended while one kind of fault was at work."""

    outcomes: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    latest: float = -np.inf


class Drill:
    """One desk with a ledger, four healthy bundles asked without end by four threads, and faults on demand.

    `late`: milliseconds after its deadline at which an answer is a fault. `wrong` gathers what should never be; `kinds` has the rounds of each fault. Use as a context manager; `kinds` and `wrong` are complete
    once it has ended.
    """

    def __init__(self, folder: Path, seed: int, late: float = LATE) -> None:
        self.dice, self.folder, self.late = random.Random(seed), folder, late
        self.healthy = {
            "trees": trees(folder / "trees"),
            "product": products(folder, "product", 0),
            "wide": products(folder, "product", 16),
            "long": products(folder, "takes_long", 16),
        }
        self.astray = {name: products(folder, name, 0) for name in ("sleeps", "swells", "crashes", "chatters", "forks")}
        self.desk = Desk(Ledger(folder / "ledger.sqlite"))
        self.kinds: dict[str, Round] = {}
        self.wrong: list[str] = []
        self.given = self.few = 0
        self._threads = threading.active_count()
        self.now = "before"
        self.open: list[tuple[int, int]] = []
        self._door, self._over, self._rest = threading.Lock(), threading.Event(), threading.Event()
        self._resting = threading.Semaphore(0)
        self._askers = [threading.Thread(target=self._ask_on, args=(seed + 1 + i,)) for i in range(ASKERS)]

    def __enter__(self):
        for patient in self.healthy.values():
            self.ask(patient)
        for asker in self._askers:
            asker.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._over.set()
        self._rest.clear()
        for asker in self._askers:
            asker.join()
        self.desk.close()
        chain = self.desk.ledger.verify()
        if chain.count != self.given or not chain.holds():
            self.wrong.append(f"{self.given} answers, {chain.count} records, chain {chain}")
        if not until(lambda: not relatives(self.folder)):
            self.wrong.append(f"processes left behind: {relatives(self.folder)}")

    def ask(self, patient: Patient, at: int = -1, budget_ms: float = BUDGET) -> Explanation:
        """One question; its answer is judged and counted."""
        before = time.perf_counter()
        answer = self.desk.explain(patient.bundle, at=patient.bundle.panel.times[at], budget_ms=budget_ms)
        took = (time.perf_counter() - before) * 1000 - answer.stages_ms.get("load", 0.0)
        self.note(patient, at, answer, took - budget_ms)
        return answer

    def note(self, patient: Patient, at: int, answer: Explanation, late: float) -> None:
        """Judge an answer to the row `at` that came `late` milliseconds after its deadline, and count it."""
        verdict = outcome(answer)
        faults = [f"late by {late:.0f} ms: {answer.stages_ms}"] if late > self.late else []
        if len(answer.values):
            faults += misses(answer, patient.right(at))
        with self._door:
            seen = self.kinds.setdefault(self.now, Round())
            seen.outcomes[verdict] += 1
            seen.latest = max(seen.latest, late)
            self.given += 1
            self.few += len(answer.values) > 0 and not answer.exact and answer.samples < DRAWS
            self.wrong += [f"{self.now}: {answer.bundle}, row {at}: {fault} ({verdict})" for fault in faults]

    def _ask_on(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self._over.is_set():
            if self._rest.is_set():
                self._resting.release()
                until(lambda: not self._rest.is_set())
            patient = dice.choice([patient for patient in self.healthy.values() if not patient.spared])
            try:
                self.ask(patient, -dice.randint(1, ROWS))
            except Exception as error:  # noqa: BLE001 - an asker that ends would hide what comes after
                with self._door:
                    self.wrong.append(f"{self.now}: {type(error).__name__}: {error}")

    def misled(self, name: str) -> None:
        """Ask a model that does what it should not."""
        answer = self.ask(self.astray[name])
        if len(answer.values) and name in {"sleeps", "swells", "crashes"}:
            self.wrong.append(f"{name}: values out of nowhere")

    def play(self, kind: str) -> None:
        """One round: the fault at a random moment, and the questions that meet it."""
        time.sleep(self.dice.uniform(0, 0.1))
        with self._door:
            self.now = kind
            self.kinds.setdefault(kind, Round()).rounds += 1
        FAULTS[kind](self)
        time.sleep(self.dice.uniform(0, 0.1))

    def count(self) -> None:
        """Let all come to rest and note the open files and threads that neither a worker, a zygote nor an asker accounts for."""
        self._rest.set()
        for _ in self._askers:
            self._resting.acquire()
        until(
            lambda: threading.active_count() <= self._threads + ASKERS + 1
        )  # the late workers' last moments; the ledger's writer stays
        self.desk.ledger.flush()
        posts = self.desk._posts
        workers = [post.worker for post in posts._held.values()]
        workers += [supervisor._spare for supervisor in posts._supervisors.values()]
        held = 2 * sum(worker is not None and not worker._killed for worker in workers) + len(posts._supervisors)
        self.open.append((sum(1 for _ in Path("/proc/self/fd").iterdir()) - held, threading.active_count()))
        self._rest.clear()

    def post(self, patient: Patient) -> Post | None:
        """The bundle's place at the desk, while it has one."""
        return self.desk._posts._held.get((patient.bundle.bundle_sha256, "live"))

    def worker(self, patient: Patient) -> WorkerProcess | None:
        """The process that holds the bundle's model, or is about to."""
        post = self.post(patient)
        return None if post is None or post.worker is None or post.worker._killed else post.worker

    def any_of(self, *names: str) -> Patient:
        """A healthy bundle by chance."""
        return self.healthy[self.dice.choice(names or tuple(self.healthy))]

    @contextmanager
    def alone(self, patient: Patient) -> Iterator[Post]:
        """Its place, once nobody asks for the bundle; nobody begins to while this lasts."""
        patient.spared = True
        try:
            self.ask(patient)
            until(lambda: (post := self.post(patient)) is not None and post.line.idle)
            yield self.desk._posts._post(patient.bundle, "live")
        finally:
            patient.spared = False

    def while_asked(self, patient: Patient, seconds: float) -> WorkerProcess | None:
        """The worker at a random moment of answering, at most so long after the question."""
        until(lambda: (post := self.post(patient)) is not None and post.line._taken and bool(post.loaded))
        time.sleep(self.dice.uniform(0, seconds))
        return self.worker(patient)


def strike(worker: WorkerProcess | None, number: signal.Signals) -> None:
    """A signal from outside, unknown to the desk; through the process's descriptor, so that it hits nobody else."""
    if worker is not None:
        with suppress(OSError):  # it is gone already
            signal.pidfd_send_signal(worker._handle, number)


def killed_idle(drill: Drill) -> None:
    patient = drill.any_of()
    with drill.alone(patient) as post:
        strike(post.worker, signal.SIGKILL)
        drill.ask(patient)


def killed_loading(drill: Drill) -> None:
    patient = drill.any_of()
    with drill.alone(patient) as post:
        before = post.worker
        strike(before, signal.SIGKILL)
        until(lambda: not before.alive)
        asker = threading.Thread(target=drill.ask, args=(patient,))
        asker.start()
        until(lambda: post.worker is not before)
        time.sleep(drill.dice.uniform(0, 0.02))
        strike(post.worker, signal.SIGKILL)
        asker.join()


def killed_in_call(drill: Drill) -> None:
    strike(drill.while_asked(drill.any_of(), 0.2), signal.SIGKILL)


def killed_replying(drill: Drill) -> None:
    patient = drill.any_of("wide", "long")
    with drill.alone(patient) as post:
        before = time.perf_counter()
        ticket = drill.desk.ask(patient.bundle, budget_ms=BUDGET)
        ticket.first()
        time.sleep(drill.dice.uniform(0, 0.02))
        strike(post.worker, signal.SIGKILL)
        answer = ticket.last()
        took = (time.perf_counter() - before) * 1000 - answer.stages_ms.get("load", 0.0)
        drill.note(patient, -1, answer, took - BUDGET)


def stopped(drill: Drill) -> None:
    strike(drill.while_asked(drill.any_of(), 0.2), signal.SIGSTOP)
    time.sleep(BUDGET / 1000)


def stopped_for_a_while(drill: Drill) -> None:
    worker = drill.while_asked(drill.any_of(), 0.2)
    strike(worker, signal.SIGSTOP)
    time.sleep(drill.dice.uniform(0.05, 0.6))
    strike(worker, signal.SIGCONT)


def zygote_killed(drill: Drill) -> None:
    supervisor = drill.desk._posts._supervisors[drill.dice.choice(("python", "lightgbm"))]
    supervisor._zygote.kill()
    drill.ask(drill.any_of())


def led_astray(name: str) -> Callable[[Drill], None]:
    return lambda drill: drill.misled(name)


FAULTS: dict[str, Callable[[Drill], None]] = {
    "kill -9 of an idle worker": killed_idle,
    "kill -9 of a loading worker": killed_loading,
    "kill -9 in a call": killed_in_call,
    "kill -9 between replies": killed_replying,
    "SIGSTOP in a call": stopped,
    "SIGSTOP, later SIGCONT": stopped_for_a_while,
    "a model that sleeps": led_astray("sleeps"),
    "a model that eats memory": led_astray("swells"),
    "a model that segfaults": led_astray("crashes"),
    "a model that writes to stdout and stderr": led_astray("chatters"),
    "a model that forks": led_astray("forks"),
    "kill -9 of a zygote": zygote_killed,
}


def trees(folder: Path) -> Patient:
    """LightGBM, exact; what is right comes from the library itself, in this process."""
    bundle = load_bundle(make_bundle(folder))
    rows = bundle.panel.X[-ROWS:]
    right = lightgbm.Booster(model_file=str(folder / "model.txt")).predict(rows, pred_contrib=True)[:, :-1]
    return Patient(bundle, lambda at: right[at])


def products(folder: Path, function: str, idle: int) -> Patient:
    """A formula whose interventional Shapley values over the desk's own background can be written down.

    The product of k numbers is worth, to one of them, its own difference times the others' products, each taken from the row or from the
    background, weighted by s! (k - s - 1)! / k! (Shapley 1953), s of them from the row.
    """
    bundle = python_bundle(folder, function, idle=idle)
    last = len(bundle.panel.times)

    @cache
    def right(at: int) -> np.ndarray:
        x, z = bundle.panel.X[at], background(bundle, last + at, 0).rows
        values = np.zeros(len(x))
        a, b, c, d = range(4)
        if function == "takes_long":  # a b c + d² a
            for j, k, m in ((a, b, c), (b, c, a), (c, a, b)):
                others = (x[k] * x[m] + z[:, k] * z[:, m]) / 3 + (x[k] * z[:, m] + z[:, k] * x[m]) / 6
                values[j] += np.mean((x[j] - z[:, j]) * others)
            values[a] += np.mean((x[a] - z[:, a]) * (x[d] ** 2 + z[:, d] ** 2) / 2)
            values[d] += np.mean((x[d] ** 2 - z[:, d] ** 2) * (x[a] + z[:, a]) / 2)
        else:  # a b + c
            values[a] = np.mean((x[a] - z[:, a]) * (x[b] + z[:, b]) / 2)
            values[b] = np.mean((x[b] - z[:, b]) * (x[a] + z[:, a]) / 2)
            values[c] = np.mean(x[c] - z[:, c])
        return values

    return Patient(bundle, right)


def outcome(answer: Explanation) -> str:
    """What kind of answer it is, in a word."""
    if not len(answer.values):
        return "nothing: desk." + answer.reason.key.removeprefix("desk.") if answer.reason else "nothing"
    if answer.complete:
        return "exact" if answer.exact else "settled"
    return "cut short"


def misses(answer: Explanation, right: np.ndarray) -> list[str]:
    """How an answer with values contradicts the reference."""
    off = np.abs(answer.values - right)
    allowed = 1e-9 + (0 if answer.exact else ERRORS) * answer.std_error
    few = not answer.exact and answer.samples < DRAWS
    found = (
        []
        if few or (off <= allowed).all()
        else [f"off by {off.max():.2g} of {allowed[off.argmax()]:.2g}, {answer.samples} draws"]
    )
    return found + ([] if answer.additivity_gap <= 1e-6 else [f"gap {answer.additivity_gap:.2g}"])


def relatives(folder: Path) -> list[str]:
    """Processes that were given `folder` as their TMPDIR: zygotes, workers and what models started."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"TMPDIR={folder}\0".encode() in environ.read_bytes():
                found.append(environ.parent.name)
    return found


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Wait until it is so; whether it came to be in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
