"""Builds the shipped bundles from data/: `python datasets/make.py [NAME…]`; with `--check`, whether they would come out the same.

The bytes depend on the versions of LightGBM (model files) and pyarrow (tables). Where bytes differ, `--check` compares content:
tables to 1e-6 and models by what they predict on every row of the panel, to 1e-9. Texts are always compared byte for byte.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from bundle import Bundle, write
from plants import borrowed_tomorrow, equity_in_a_bond_coat, fair_weather_model
from replica import l_income_replica
from strategies import us_rates_plus_tilt, us_rates_plus_volatility

HERE = Path(__file__).parent
RECIPES: dict[str, Callable[[], Bundle]] = {
    recipe.__name__: recipe
    for recipe in (
        us_rates_plus_tilt,
        us_rates_plus_volatility,
        l_income_replica,
        borrowed_tomorrow,
        equity_in_a_bond_coat,
        fair_weather_model,
    )
}


def same_content(shipped: Path, rebuilt: Path) -> bool:
    """Whether two files of other bytes hold the same table, or a model that says the same."""
    if shipped.suffix == ".parquet":
        one, other = pd.read_parquet(shipped), pd.read_parquet(rebuilt)
        if list(one) != list(other) or not one["date"].equals(other["date"]):
            return False
        return np.allclose(one.drop(columns="date"), other.drop(columns="date"), rtol=0, atol=1e-6, equal_nan=True)
    if shipped.name.startswith("model"):
        models = [lgb.Booster(model_file=str(path)) for path in (shipped, rebuilt)]
        if models[0].feature_name() != models[1].feature_name():
            return False
        rows = pd.read_parquet(shipped.parent / "panel.parquet")[models[0].feature_name()].to_numpy()
        return np.allclose(models[0].predict(rows), models[1].predict(rows), rtol=0, atol=1e-9)
    return False


def compare(shipped: Path, rebuilt: Path) -> list[str]:
    """What differs between a shipped folder and a rebuilt one, a line each; empty where nothing does."""
    faults = []
    for name in sorted({p.name for folder in (shipped, rebuilt) for p in folder.iterdir()}):
        one, other = shipped / name, rebuilt / name
        if not (one.exists() and other.exists()):
            faults.append(f"{shipped.name}/{name}: only in the {'shipped' if one.exists() else 'rebuilt'} bundle")
        elif one.read_bytes() != other.read_bytes():
            if same_content(one, other):
                print(f"{shipped.name}/{name}: other bytes, same content (another version of LightGBM or pyarrow?)")
            else:
                faults.append(f"{shipped.name}/{name}: differs")
    return faults


def main() -> int:
    """Exit status 0: built, or nothing differs; 1: something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--check", action="store_true", help="rebuild elsewhere and compare")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(RECIPES):
        parser.error(f"no recipe for {', '.join(sorted(unknown))}; there are: {', '.join(RECIPES)}")
    faults = []
    for name in asked.names or RECIPES:
        print(name, file=sys.stderr)
        bundle = RECIPES[name]()
        if asked.check:
            with tempfile.TemporaryDirectory() as folder:
                write(bundle, Path(folder) / name)
                faults += compare(HERE / name, Path(folder) / name)
        else:
            write(bundle, HERE / name)
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
