"""Panels explained, for the tests of global importance: persistent features, and bundles cut to size."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from workbench.schema import Panel


def ar(rng, n, columns, rho=0.98, burn=600):
    """(n, columns) AR(1) with unit variance."""
    noise = rng.normal(size=(n + burn, columns)) * np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise, axis=0)[burn:]


def days(n):
    return pd.bdate_range("2010-01-04", periods=n)


def first_rows(bundle, n):
    """The bundle with the first rows of its panel only."""
    panel = bundle.panel
    cut = Panel(panel.times[:n], panel.table.iloc[:n], panel.features, None, panel.label, panel.horizon)
    return replace(bundle, panel=cut, bundle_sha256=f"{bundle.bundle_sha256} {n}")
