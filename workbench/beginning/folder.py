"""A model file and a table become a bundle's folder: whole or not at all, with copies of the files and a guessed manifest."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench import durable, models
from workbench.beginning.draft import Draft
from workbench.beginning.guesses import PanelGuesser, guess_returns
from workbench.beginning.toml import manifest_text
from workbench.bundles import load_bundle
from workbench.foreign import shown
from workbench.reading.complaints import FILE
from workbench.reading.pickles import refuse_pickled_model
from workbench.reading.roles import Sheet
from workbench.reading.tables import CSV_ENDINGS, read_table
from workbench.schema import BadInputError, Fault, StrategyBundle

TABLE_ENDINGS = (".parquet", *CSV_ENDINGS)


@dataclass(frozen=True)
class Beginning:
    """What was written, and what `load_bundle` says of it: the bundle, or its faults."""

    folder: Path
    draft: Draft
    bundle: StrategyBundle | None
    faults: tuple[Fault, ...]


def begin(
    model: Path, panel: Path, out: Path, *, returns: Path | None = None, name: str | None = None, lang: str = "en"
) -> Beginning:
    """Write a bundle into `out` from a model file and a table, neither of which is changed.

    Raises `BadInputError` where nothing was written: a file that cannot be read, no format that knows the model, no column of
    times, or a folder that is not empty. A bundle with faults is written all the same, for its author to mend.
    """
    out = out.absolute()
    _refuse_taken(out)
    for given in filter(None, (model, panel, returns)):
        if not given.is_file():
            raise BadInputError([Fault("init.fault.no_file", shown(given, 120))])
    draft = Draft()
    with _whole_folder(out) as folder:
        format, file = _copy_model(model, folder)  # noqa: A001 - the manifest's word
        tables = {role: _copy_table(path, folder, role) for role, path in _named(panel=panel, returns=returns)}
        draft.guess(("bundle", "name"), *_name(name, out))
        draft.guess(("model", "file"), file, "copied")
        draft.guess(("model", "format"), format, "format")
        guesser = _read(format, folder / file, tables["panel"], folder, draft)
        _task(format, folder / file, guesser, draft)
        guesser.features()
        draft.ask(("split", "train_end"), "split")
        if "returns" in tables:
            guess_returns(Sheet(read_table(folder / tables["returns"], tables["returns"])), tables["returns"], draft)
        else:
            draft.ask(("returns", "file"), "returns")
        draft.sort()
        sources = {"model": shown(model.name), "panel": shown(panel.name)}
        durable.write(folder / FILE, manifest_text(draft, lang, **sources).encode())
    try:
        return Beginning(out, draft, load_bundle(out), ())
    except BadInputError as bad:
        return Beginning(out, draft, None, bad.faults)


def _named(**paths: Path | None) -> Iterator[tuple[str, Path]]:
    yield from ((role, path) for role, path in paths.items() if path is not None)


def _refuse_taken(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise BadInputError([Fault("init.fault.taken", shown(out, 120))])


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name once it is complete, and vanishes if it never is."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=".beginning-"))
    except OSError as error:
        values = {"reason": error.strerror}
        raise BadInputError([Fault("init.fault.no_folder", shown(out, 120), values=values)]) from error
    try:
        yield folder
        folder.chmod(0o755)
        folder.replace(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy_model(model: Path, folder: Path) -> tuple[str, str]:
    """Format and name of the copy. It keeps its ending, by which some formats are told apart."""
    refuse_pickled_model(model, shown(model.name))
    known = [name for name in models.formats() if models.find(name).recognises(model)]
    if len(known) != 1:
        key = "several_formats" if known else "no_format"
        supported = ", ".join(name for name in models.formats() if name != "python")
        values = {"known": ", ".join(known), "supported": supported}
        raise BadInputError([Fault(f"init.fault.{key}", shown(model.name), values=values)])
    ending = model.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", model.suffix) else ""
    shutil.copyfile(model, folder / f"model{ending}")
    return known[0], f"model{ending}"


def _copy_table(table: Path, folder: Path, role: str) -> str:
    ending = next((e for e in TABLE_ENDINGS if table.name.lower().endswith(e)), None)
    if ending is None:
        read_table(table, shown(table.name))  # says why it cannot be read
    name = f"{role}{ending}"
    shutil.copyfile(table, folder / name)
    return name


def _name(name: str | None, out: Path) -> tuple[str, str]:
    """The name given, or the folder's as far as the manifest's characters go, and where it comes from."""
    if name is not None:
        if not re.fullmatch(r"[a-z0-9_-]{1,64}", name):
            raise BadInputError([Fault("init.fault.name", shown(name))])
        return name, "name_given"
    slug = re.sub(r"[^a-z0-9_-]+", "_", out.name.lower()).strip("_")[:64]
    return (slug, "name_folder") if slug else ("strategy", "name_none")


def _read(format: str, model: Path, table: str, folder: Path, draft: Draft) -> PanelGuesser:  # noqa: A002
    """[panel], from the model's names and the table; both must be readable."""
    names = models.find(format).inspect(model)
    unnamed = names == tuple(f"Column_{i}" for i in range(len(names)))
    sheet = Sheet(read_table(folder / table, table))
    guesser = PanelGuesser(sheet, () if unnamed else names, len(names), draft)
    guesser.panel(table)
    return guesser


def _task(format: str, model: Path, guesser: PanelGuesser, draft: Draft) -> None:  # noqa: A002
    """What the model is for: by its own objective where its format tells it, else by the label's values."""
    module = models.find(format)
    told = module.task(model) if hasattr(module, "task") else None
    place = ("model", "task")
    if told:
        draft.guess(place, told, "task_model")
    elif guesser.binary_label():
        draft.guess(place, "classification", "task_label")
    else:
        draft.guess(place, "regression", "task_default")
