"""The files that a manifest names, and the rule that they lie inside the bundle's folder."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from workbench.manifest import Manifest


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


def escape(folder: Path, name: str) -> str | None:
    """Why the file may not be read; None if it is a regular file inside `folder`, reached by no link."""
    parts = PurePosixPath(name).parts
    steps = [folder.joinpath(*parts[: i + 1]) for i in range(len(parts))]
    if not name.strip() or not name.isprintable() or name != name.strip():
        return "unreadable"
    if name.startswith(("/", "~")) or PureWindowsPath(name).drive or "\\" in name:
        return "absolute"
    if ".." in parts:
        return "outside"
    if any(step.is_symlink() for step in steps):
        return "link"
    if not (folder / name).is_file():
        return "missing"
    return None
