"""What a panel of any length costs: `python tests/bench/panel.py [--rows N] [--trees T] [--features D] [--leaves L]` writes tests/bench/panel.md.

Random rows in row groups of a million, random trees, in a temporary folder; each run is the command itself. Processor time is that of the
command and all that it starts (starting and loading included), memory the largest sum of all their private pages and, beside it, of their resident sets (which counts what they share in each of them),
sampled ten times a second.
"""

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from workbench.bench.specimens import Specimen, forest_text

BLOCK, GROUP = 100_000, 1_000_000
SAMPLE_S = 0.1


def write_bundle(folder: Path, rows: int, specimen: Specimen) -> Path:
    """A bundle of `rows` decisions, a minute apart, written block by block."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(specimen.features)]
    (folder / "model.txt").write_text(forest_text(specimen, rng), "utf-8")
    text = '[bundle]\nname = "bench"\n[model]\nfile = "model.txt"\nformat = "lightgbm"\n'
    (folder / "bundle.toml").write_text(text + '[panel]\nfile = "panel.parquet"\ntime = "time"\n', "utf-8")
    schema = pa.schema([("time", pa.timestamp("us")), *((name, pa.float64()) for name in names)])
    with pyarrow.parquet.ParquetWriter(folder / "panel.parquet", schema) as writer:
        for first in range(0, rows, GROUP):
            blocks = []
            for start in range(first, min(first + GROUP, rows), BLOCK):
                n = min(BLOCK, rows - start)
                times = np.datetime64("2000-01-01", "us") + np.arange(start, start + n) * np.timedelta64(
                    60_000_000, "us"
                )
                blocks.append(pa.table([pa.array(times), *map(pa.array, rng.normal(size=(len(names), n)))], schema))
            writer.write_table(pa.concat_tables(blocks), GROUP)
    return folder


@dataclass
class Cost:
    """One run: seconds, processor seconds, memory in MB early and late, and what the command printed."""

    name: str
    wall: float
    cpu: float
    private: list[float]
    resident: list[float]
    status: int


def descendants(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += descendants(int(child))
    return found


def memory(pids: list[int]) -> tuple[float, float]:
    """MB of private pages, and of resident sets, of all the processes together."""
    private = resident = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        private += kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        resident += kilobytes["Rss"]
    return private / 1024, resident / 1024


def processor(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch(threading.Thread):
    """Samples a run until it ends; `kill`: what dies (SIGKILL) when half the parts stand, a `worker` or the `command` itself."""

    def __init__(self, process: subprocess.Popen, out: Path, kill: str, parts: int) -> None:
        super().__init__()
        self.process, self.out, self.kill, self.parts = process, out, kill, parts
        self.cpu: dict[int, float] = {}
        self.private: list[float] = []
        self.resident: list[float] = []

    def run(self) -> None:
        while self.process.poll() is None:
            pids = descendants(self.process.pid)
            for pid in pids:
                with contextlib.suppress(OSError):  # it has just ended
                    self.cpu[pid] = processor(pid)
            private, resident = memory(pids)
            self.private.append(private)
            self.resident.append(resident)
            if self.kill and len(list(self.out.glob("part-*.parquet"))) >= self.parts // 2:
                busiest = max(pids[1:], key=lambda pid: self.cpu.get(pid, 0.0))
                os.kill(self.process.pid if self.kill == "command" else busiest, signal.SIGKILL)
                self.kill = ""
            time.sleep(SAMPLE_S)


def run(name: str, words: list[str], *, kill: str = "", parts: int = 0, out: Path) -> Cost:
    """Run the command and watch it."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "workbench.cli", "panel", *words], cwd=ROOT)
    watch = Watch(process, out, kill, parts)
    watch.start()
    status = process.wait()
    watch.join()
    return Cost(name, time.perf_counter() - began, sum(watch.cpu.values()), watch.private, watch.resident, status)


def line(cost: Cost, rows: int) -> str:
    half = len(cost.private) // 2
    early, late = max(cost.private[:half], default=0), max(cost.private[half:], default=0)
    numbers = f"{cost.wall:.1f} | {cost.wall / rows * 1e6:.2f} | {cost.cpu / rows * 1e6:.2f}"
    return (
        f"| {cost.name} | {cost.status} | {numbers} | {early:.0f} / {late:.0f} | {max(cost.resident, default=0):.0f} |"
    )


def main() -> None:
    asked = argparse.ArgumentParser()
    for option, default in (
        ("rows", 200_000),
        ("trees", 5),
        ("features", 50),
        ("leaves", 7),
        ("rows-per-part", 100_000),
    ):
        asked.add_argument(f"--{option}", type=int, default=default)
    asked.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    asked.add_argument("--killed", choices=("worker", "both"), default="both", help="what dies half-way, run by run")
    asked.add_argument("--folder", type=Path, help="where data and results go; default: a temporary folder")
    given = asked.parse_args()
    parts = -(-given.rows // given.rows_per_part)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        os.environ["WORKBENCH_HOME"] = str(folder / "home")
        (folder / "bundle").mkdir()
        specimen = Specimen(given.features, trees=given.trees, leaves=given.leaves)
        bundle = write_bundle(folder / "bundle", given.rows, specimen)
        one, two, three = (folder / name for name in ("one", "two", "three"))
        common = ["--workers", str(given.workers), "--rows-per-part", str(given.rows_per_part)]

        def words(out: Path) -> list[str]:
            return [str(bundle), "--out", str(out), *common]

        costs = [run("undisturbed", words(one), out=one)]
        costs.append(run("a worker is killed half-way", words(two), kill="worker", parts=parts, out=two))
        others = [two]
        if given.killed == "both":
            costs.append(run("the command is killed half-way", words(three), kill="command", parts=parts, out=three))
            costs.append(run("and run again", words(three), out=three))
            others.append(three)
        files = sorted(path.name for path in one.glob("part-*"))
        same = all((one / f).read_bytes() == (other / f).read_bytes() for f in files for other in others)
        size = sum(path.stat().st_size for path in one.iterdir())
    asked_for = " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in vars(given).items() if value is not None
    )
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    columns = "run | exit | wall s | wall µs/row | processor µs/row | private MB, first / second half | resident MB, shared pages in each"
    head = ["# A panel explained, measured", ""]
    head += [f"`python tests/bench/panel.py {asked_for}`, {machine}; load average {os.getloadavg()[0]:.1f}.", ""]
    head += [f"| {columns} |", "|---|---|---|---|---|---|---|"]
    lines = [line(cost, given.rows) for cost in costs]
    told = "equal byte for byte" if same and len(files) == parts else "NOT EQUAL"
    tail = ["", f"{len(files)} files, {size / 1e6:.0f} MB; the files of all runs: {told}."]
    Path(__file__).with_suffix(".md").write_text("\n".join([*head, *lines, *tail]) + "\n", "utf-8")
    print("\n".join([*lines, *tail]))


if __name__ == "__main__":
    main()
