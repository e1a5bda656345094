"""The files that a manifest names, and the rule that they lie inside the bundle."""

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from workbench.complaints import FILE
from workbench.manifest import Manifest
from workbench.schema import BadInputError, Fault


def named_files(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(key of the manifest, file name) of every file that the manifest names."""
    model = manifest.model
    if model.file is not None:
        yield "model.file", model.file
    if model.entry is not None:
        yield "model.entry", code_file(model.entry)
    for i, refit in enumerate(model.refits):
        yield f"model.refits.{i}.file", refit.file
    for name in ("panel", "returns", "decisions", "holdings", "universe", "vintages"):
        if section := getattr(manifest, name):
            yield f"{name}.file", section.file
    if manifest.split and manifest.split.trial_returns:
        yield "split.trial_returns", manifest.split.trial_returns
    if manifest.features_code:
        yield "features_code.entry", manifest.features_code.entry.partition(":")[0]
        yield "features_code.raw", manifest.features_code.raw
    for i, minutes in enumerate(manifest.evidence.minutes):
        yield f"evidence.minutes.{i}", minutes


def code_file(entry: str) -> str:
    """The file of `package.module:function`."""
    return entry.partition(":")[0].replace(".", "/") + ".py"


def safe_path(folder: Path, name: str, key: str) -> Path:
    """The path of a regular file inside `folder`; `BadInputError` for anything else, above all for a way out of the folder."""
    reason = _escape(folder, name)
    if reason is not None:
        raise BadInputError([Fault(f"fault.path.{reason}", FILE, key, values={"path": name[:80]})])
    return folder / name


def _escape(folder: Path, name: str) -> str | None:
    """Why the file may not be read; None if it may."""
    parts = PurePosixPath(name).parts
    if not name.strip() or not name.isprintable() or name != name.strip():
        return "unreadable"
    if name.startswith(("/", "~")) or PureWindowsPath(name).drive or "\\" in name:
        return "absolute"
    if ".." in parts:
        return "outside"
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            return "link"
    if not path.exists():
        return "missing"
    if not stat.S_ISREG(path.stat().st_mode):
        return "no_file"
    return None if path.resolve().is_relative_to(folder.resolve()) else "outside"
