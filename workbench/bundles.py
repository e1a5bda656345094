"""A folder on disk becomes a `StrategyBundle`: everything is checked, all faults are told at once, and no model code is run."""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from workbench import models
from workbench.foreign import shown
from workbench.manifest import Manifest, Moment
from workbench.reading.complaints import FILE, read_manifest
from workbench.reading.line_up import in_line
from workbench.reading.paths import code_file, escape, named_files
from workbench.reading.pickles import refuse_pickled_model
from workbench.reading.roles import Shelf, read_panel, read_returns, read_tables
from workbench.reading.stream import Stream
from workbench.reading.survey import survey
from workbench.schema import BadInputError, Fault, Message, ModelFile, Panel, Returns, StrategyBundle
from workbench.shipped import shipped

Gathering = list[Fault]


@contextmanager
def _gather(faults: Gathering) -> Iterator[None]:
    """Go on after a part that is bad: its faults are told with the others."""
    try:
        yield
    except BadInputError as error:
        faults += error.faults


def shipped_bundles() -> tuple[str, ...]:
    """The names of the bundles that ship with the package."""
    return tuple(sorted(file.parent.name for file in shipped("datasets").glob(f"*/{FILE}")))


def format_of(folder_or_name: str | Path) -> tuple[str, ...]:
    """The model format that a manifest names, before anything is checked; () where that cannot be told yet."""
    try:
        with (_folder(folder_or_name) / FILE).open("rb") as stream:
            named = tomllib.load(stream)["model"]["format"]
    except (BadInputError, OSError, ValueError, KeyError, TypeError):
        return ()
    return (named,) if named in models.formats() else ()


def load_bundle(folder_or_name: str | Path, *, trust_code: bool = False) -> StrategyBundle:
    """Read a bundle's folder, or a shipped bundle by its name.

    Raises `BadInputError` with every fault of manifest, model and tables that can be found without the others. Models that are Python
    code are accepted only with `trust_code`; nothing is run here in any case.
    """
    found = _open(folder_or_name, trust_code=trust_code)
    manifest, faults, shelf = found.manifest, found.faults, Shelf(found.paths)
    panel = _panel(manifest, shelf, found.names, faults, found.notes)
    returns = _returns(manifest, shelf, faults, found.notes)
    tables = _tables(manifest, shelf, returns, faults, found.notes)
    return found.bundle(panel, returns, tables)


def open_bundle(folder_or_name: str | Path, *, trust_code: bool = False) -> tuple[StrategyBundle, Stream]:
    """The same for whoever goes through the panel in a stream: it is checked, and the bundle's own panel and tables hold no rows."""
    found = _open(folder_or_name, trust_code=trust_code)
    manifest, panel, stream = found.manifest, None, None
    with _gather(found.faults):
        features = _features(manifest, found.names, found.faults, found.notes)
        if manifest.panel.file in found.paths:
            stream = Stream(found.paths[manifest.panel.file], manifest.panel, features)
            fitted = found.moments.get("split.train_end")
            decisions = survey(stream, fitted, manifest.split.embargo if manifest.split else 0)
            panel = Panel(decisions, pd.DataFrame(), features)
            found.notes += stream.notes
    bundle = found.bundle(panel, None, {})
    assert stream is not None  # noqa: S101 - else bundle() has raised
    return replace(bundle, panel=Panel(bundle.panel.times[:0], pd.DataFrame(), bundle.panel.features)), stream


@dataclass
class _Opened:
    """A manifest with its files and models checked; tables come next. `names`: the current model's features, as `_models_features` gives them."""

    folder: Path
    manifest: Manifest
    faults: Gathering
    paths: dict[str, Path]
    moments: dict[str, pd.Timestamp]
    names: tuple[str, ...] | None = None
    notes: list[Message] = field(default_factory=list)

    def bundle(
        self, panel: Panel | None, returns: Returns | None, tables: Mapping[str, pd.DataFrame]
    ) -> StrategyBundle:
        """All of it, or `BadInputError` with the faults."""
        named = {**self.paths, FILE: self.folder / FILE}
        hashes = {} if self.faults else {name: _sha256(path) for name, path in named.items()}
        line_up: tuple[ModelFile, ...] = ()
        if panel is not None and not self.faults:
            with _gather(self.faults):
                line_up = in_line(self.manifest, self.paths, hashes, panel, self.moments)
        if self.faults or panel is None:
            raise BadInputError(self.faults)
        listing = "".join(f"{sha}  {name}\n" for name, sha in sorted(hashes.items()))
        return StrategyBundle(
            folder=self.folder,
            manifest=self.manifest,
            models=line_up,
            panel=panel,
            returns=returns,
            tables=tables,
            panel_sha256=hashes[self.manifest.panel.file],
            bundle_sha256=hashlib.sha256(listing.encode()).hexdigest(),
            notes=tuple(self.notes),
        )


def _open(folder_or_name: str | Path, *, trust_code: bool) -> _Opened:
    folder = _folder(folder_or_name).resolve()  # a worker stands elsewhere
    manifest, faults = read_manifest(_safe_path(folder, FILE, FILE))
    if manifest is None:
        raise BadInputError(faults)
    paths: dict[str, Path] = {}
    for key, name in named_files(manifest):
        with _gather(faults):
            paths[name] = _safe_path(folder, name, key)
    found = _Opened(folder, manifest, faults, paths, _moments(manifest, faults))
    found.names = _models_features(manifest, paths, faults, found.notes, trust_code=trust_code)
    return found


def _folder(folder_or_name: str | Path) -> Path:
    folder, name = Path(folder_or_name), str(folder_or_name)
    if not (folder / FILE).exists() and name in shipped_bundles():
        return shipped("datasets") / name
    if not folder.is_dir():
        values = {"name": shown(name, 80), "shipped": ", ".join(shipped_bundles())}
        raise BadInputError([Fault("fault.bundle.not_found", shown(name, 80), values=values)])
    return folder


def _safe_path(folder: Path, name: str, key: str) -> Path:
    reason = escape(folder, name)
    if reason is not None:
        raise BadInputError([Fault(f"fault.path.{reason}", FILE, key, values={"path": shown(name, 80)})])
    return folder / name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _moments(manifest: Manifest, faults: Gathering) -> dict[str, pd.Timestamp]:
    """The manifest's dates by key, as moments without zone; a text that is no date is a fault."""
    given: dict[str, Moment | None] = {}
    if manifest.split:
        given |= {"split.train_end": manifest.split.train_end, "split.valid_end": manifest.split.valid_end}
    for i, refit in enumerate(manifest.model.refits):
        given |= {f"model.refits.{i}.from": refit.since, f"model.refits.{i}.train_end": refit.train_end}
    if manifest.governance:
        given |= {f"governance.{k}": getattr(manifest.governance, k) for k in ("approved", "expires")}
    moments = {}
    for key, value in given.items():
        moment = None if value is None else _moment(value)
        if moment is not None:
            moments[key] = moment
        elif value is not None:
            values = {"key": key, "found": shown(value), "expected": Message("fault.expected.moment")}
            faults.append(Fault("fault.value.type", FILE, key, values=values))
    return moments


def _moment(value: Moment) -> pd.Timestamp | None:
    """The moment without its zone, or None: a text that is no date, or a bare number, which the types take for seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?", value):
        return None
    try:
        moment = pd.Timestamp(value).tz_localize(None)
    except ValueError:
        return None
    return moment if moment.year > 1970 else None  # noqa: PLR2004


def _models_features(
    manifest: Manifest, paths: Mapping[str, Path], faults: Gathering, notes: list[Message], *, trust_code: bool
) -> tuple[str, ...] | None:
    """Check every model file, and note what a reader should know of it; the current model's feature names, () if it has none, None if it cannot be known."""
    model = manifest.model
    if model.format == "python" and not trust_code:
        faults.append(Fault("fault.model.untrusted", FILE, "model.format"))
        return None
    module = models.find(model.format)
    names: dict[str, tuple[str, ...]] = {}
    current = model.file if model.format != "python" else code_file(model.entry or ":")
    for name in dict.fromkeys([current, *(refit.file for refit in model.refits)]):
        if name in paths:
            try:
                refuse_pickled_model(paths[str(name)], str(name))
                names[str(name)] = module.inspect(paths[str(name)])
                notes += getattr(module, "notes", lambda _: ())(paths[str(name)])
            except BadInputError as error:
                faults += [replace(fault, file=str(name)) for fault in error.faults]
    for name, theirs in names.items():
        if str(current) in names and theirs != names[str(current)]:
            faults.append(Fault("fault.model.refit_features", name, values={"current": current}))
    return names.get(str(current))


def _panel(
    manifest: Manifest, shelf: Shelf, names: tuple[str, ...] | None, faults: Gathering, notes: list[Message]
) -> Panel | None:
    if manifest.panel.file not in shelf.paths:
        return None
    with _gather(faults):
        features = _features(manifest, names, faults, notes)
        sheet = shelf.sheet(manifest.panel.file)
        panel = read_panel(sheet, manifest.panel, features)
        notes += sheet.notes
        return panel
    return None


def _features(
    manifest: Manifest, names: tuple[str, ...] | None, faults: Gathering, notes: list[Message]
) -> tuple[str, ...]:
    """The panel's feature columns in the model's order; what the manifest lists must be the same set."""
    given = manifest.panel.features
    if given is not None and len(set(given)) < len(given):
        twice = ", ".join(sorted({shown(name) for name in given if given.count(name) > 1}))
        faults.append(Fault("fault.features.twice", FILE, "panel.features", values={"names": twice}))
    if names is None:
        return given or ()
    unnamed = names == tuple(f"Column_{i}" for i in range(len(names)))
    if given is None:
        if unnamed:
            faults.append(Fault("fault.features.unnamed", FILE, "panel.features", values={"count": len(names)}))
            return ()
        return names
    if unnamed and (not names or len(given) == len(names)):
        if names:
            notes.append(Message("fault.note.by_position", {"count": len(names)}))
        return given
    missing, extra = [n for n in names if n not in given], [n for n in given if n not in names]
    if missing or extra:
        values = {"missing": ", ".join(missing[:10]) or "–", "extra": ", ".join(shown(n) for n in extra[:10]) or "–"}
        faults.append(Fault("fault.features.other", FILE, "panel.features", values=values))
    elif given != names:
        notes.append(Message("fault.note.reordered", {"features": ", ".join(names)}))
    return names


def _returns(manifest: Manifest, shelf: Shelf, faults: Gathering, notes: list[Message]) -> Returns | None:
    if manifest.returns is None or manifest.returns.file not in shelf.paths:
        return None
    with _gather(faults):
        sheet = shelf.sheet(manifest.returns.file)
        returns = read_returns(sheet, manifest.returns)
        notes += sheet.notes
        return returns
    return None


def _tables(
    manifest: Manifest, shelf: Shelf, returns: Returns | None, faults: Gathering, notes: list[Message]
) -> dict[str, pd.DataFrame]:
    tables: dict[str, pd.DataFrame] = {}
    for file, read in read_tables(shelf, manifest, returns):
        if file in shelf.paths:
            with _gather(faults):
                name, sheet, table = read()
                tables[name] = table
                notes += sheet.notes
    return tables
