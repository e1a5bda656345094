"""The folder of parts and its manifest: what made them, which are finished, and that they are still as they were written."""

import fcntl
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench import durable
from workbench.foreign import shown
from workbench.panel.job import Job
from workbench.panel.part import Receipt
from workbench.schema import BadInputError, Fault

# The underscore keeps it out of the way of whoever reads the folder as one table.
MANIFEST = "_manifest.json"


class Folder:
    """One run's hold on the folder; a context manager. Raises `BadInputError` where the folder is another's, or in use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.finished: dict[int, Receipt] = {}
        self._settings: dict[str, object] = {}
        self._parts = 0

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            values = {"reason": error.strerror}
            raise BadInputError([Fault("panel.no_folder", shown(self.path, 200), values=values)]) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise BadInputError([Fault("panel.busy", shown(self.path, 200))]) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def begin(self, job: Job) -> list[int]:
        """The parts that are still to be done: those without a receipt, and those that are not as their receipt says."""
        self._settings, self._parts = job.settings(), len(job.parts)
        there = {entry.name for entry in self.path.iterdir()}
        for name in [name for name in there if name.startswith((".part-", f".{MANIFEST}."))]:
            (self.path / name).unlink()  # cut off by a kill
            there.discard(name)
        if there:
            known = self._known()
            self._refuse_others(known.get("settings", {}))
            receipts = (Receipt(**{**entry, "named": tuple(entry["named"])}) for entry in known["finished"])
            self.finished = {each.part: each for each in receipts if _whole(job.file(each.part), each.sha256)}
        self.write()
        return [part for part in job.parts if part not in self.finished]

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads((self.path / MANIFEST).read_bytes())
            if isinstance(known["settings"], dict) and isinstance(known["finished"], list):
                return dict(known)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise BadInputError([Fault("panel.not_ours", shown(self.path, 200), values={"manifest": MANIFEST})])

    def _refuse_others(self, were: dict[str, object]) -> None:
        now = json.loads(json.dumps(self._settings))
        faults = [
            Fault("panel.other_settings", MANIFEST, key, values={"was": shown(were.get(key)), "now": shown(now[key])})
            for key in now
            if were.get(key) != now[key]
        ]
        if faults:
            raise BadInputError(faults)

    def add(self, receipt: Receipt) -> None:
        """Note a finished part."""
        self.finished[receipt.part] = receipt
        self.write()

    def write(self) -> None:
        """Write the manifest as it is now."""
        finished = [asdict(self.finished[part]) for part in sorted(self.finished)]
        document = {"settings": self._settings, "parts": self._parts, "finished": finished}
        durable.write(self.path / MANIFEST, json.dumps(document, ensure_ascii=False, indent=1).encode())


def _whole(file: Path, sha256: str) -> bool:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False
