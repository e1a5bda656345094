"""A bundle on disk: the manifest as TOML, tables as Parquet without anything that changes from build to build."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from features import Feature
from learner import Live
from market import DECIMALS, FUNDS

CARDS = Path(__file__).parent / "cards"
CHECKS = ("T1", "T3", "R1", "R4", "V1", "V2", "X1", "X2")

Section = dict[str, Any]
Sections = dict[str, Section]


@dataclass
class Bundle:
    """All that goes into a folder. `failing` are the checks that must find something; `numbers` go into the card."""

    manifest: Sections
    models: dict[str, str]
    panel: pd.DataFrame
    returns: pd.DataFrame
    trials: pd.DataFrame | None = None
    findings: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in the manifest."""
        return str(self.manifest["bundle"]["name"])

    def expected(self) -> dict[str, object]:
        """expected.toml: what the audit must say."""
        findings = dict.fromkeys(CHECKS, "pass") | self.findings
        worst = next(o for o in ("fail", "warn", "pass") if o in findings.values())
        return {"verdict": worst, "findings": findings}


def panel(
    base: pd.DataFrame, features: tuple[Feature, ...], label: pd.Series, *, first: str, last: str | pd.Timestamp
) -> pd.DataFrame:
    """Fund prices, the published series of their own date, the features made from both, and the label."""
    made = {f.name: f.make(base) for f in features}
    columns = {f.name: made[f.name] for f in features if f.lag} | {
        f.column: made[f.name].shift(f.lag) for f in features
    }
    table = pd.concat([base[FUNDS], pd.DataFrame(columns)], axis=1).assign(target=label)
    return table.loc[first:last].round(DECIMALS)


def declare(
    name: str,
    title: dict[str, str],
    description: str,
    *,
    models: list[Live],
    features: tuple[Feature, ...],
    horizon: int,
    split: dict[str, object],
    sections: Sections,
) -> Sections:
    """bundle.toml as a dictionary. The newest model is the one now live; it ends [[model.refits]] where there were others before."""
    refits = [{"file": m.file, "from": f"{m.since:%Y-%m-%d}", "train_end": f"{m.train_end:%Y-%m-%d}"} for m in models]
    model: dict[str, object] = {"file": models[-1].file, "format": "lightgbm", "task": "regression"}
    if len(models) > 1:
        model["refits"] = refits
    names = [f.column for f in features]
    return {
        "bundle": {"name": name, "title": title, "description": description},
        "model": model,
        "panel": {"file": "panel.parquet", "time": "date", "features": names, "label": "target", "horizon": horizon},
        "split": {"train_end": refits[-1]["train_end"], **split},
        **sections,
        "budget": {"ms": 800},
        "evidence": {"figures": "public_data"},
        "features": {f.column: f.declaration() for f in features},
    }


def toml_value(value: object) -> str:
    """A string, number, list or inline table as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def toml(sections: Section, path: str = "") -> str:
    """Sections with their keys; a list of dictionaries becomes [[path.key]], a dictionary of dictionaries [path.key] each."""
    plain, tables = [], []
    for key, value in sections.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"\n[[{place}]]\n{toml(entry)}" for entry in value]
        elif isinstance(value, dict) and (not path or path == "features" or key == "factors"):
            body = toml(value, place)
            tables.append(body if key == "features" else f"\n[{place}]\n{body}")
        else:
            plain.append(f"{key} = {toml_value(value)}\n")
    return "".join(plain) + "".join(tables)


def parquet(table: pd.DataFrame, path: Path) -> None:
    """The table with its index as the column `date`; no pandas notes, so that the bytes depend on the values and pyarrow only."""
    table = table.rename_axis("date").reset_index()
    plain = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    plain = plain.set_column(0, "date", plain["date"].cast(pa.timestamp("us")))
    few = [name for name in table if table[name].nunique() < len(table) / 4]
    many = {name: "BYTE_STREAM_SPLIT" for name in plain.column_names[1:] if name not in few}
    pq.write_table(plain, path, compression="zstd", compression_level=19, use_dictionary=few, column_encoding=many)


def write(bundle: Bundle, folder: Path) -> None:
    """The bundle's files into `folder`; what stood there under the same names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.toml").write_text(toml(bundle.manifest).lstrip(), "utf-8")
    (folder / "expected.toml").write_text(toml(bundle.expected()), "utf-8")
    for file, text in bundle.models.items():
        (folder / file).write_text(text, "utf-8")
    parquet(bundle.panel, folder / "panel.parquet")
    parquet(bundle.returns, folder / "returns.parquet")
    if bundle.trials is not None:
        parquet(bundle.trials, folder / "trials.parquet")
    for language, file in (("en", "card.md"), ("zh", "card.zh.md")):
        card = (CARDS / f"{bundle.name}.{language}.md").read_text("utf-8")
        (folder / file).write_text(card.format(**bundle.numbers), "utf-8")
