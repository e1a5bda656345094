"""The third honest bundle: a real fund, told from the funds that it holds. A case with a known answer."""

import numpy as np
import pandas as pd
from bundle import Bundle, declare
from features import FUND_WEEKS, Feature
from learner import Config, Live, live_predictions, r_squared, walk_forward
from market import FUNDS, fund_returns, market
from strategies import GOVERNANCE, returns_section, texts, told


def replica_panel(base: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    """Every fifth row of growth over five rows: weeks that do not overlap."""
    made = pd.DataFrame({f.column: f.make(base) for f in features})
    made["target"] = base["l_income"] / base["l_income"].shift(5) - 1
    return made.dropna().iloc[::5].round(8)


def l_income_replica() -> Bundle:
    """What the real 80/20 fund earned in a week, told from what five index funds earned in the same week."""
    base, funds = market(), fund_returns(market())
    table = replica_panel(base, FUND_WEEKS)
    X, y = table[[f.column for f in FUND_WEEKS]], table["target"]
    shape = {"learning_rate": 0.05, "feature_fraction": 0.8, "monotone_constraints": [1] * len(FUNDS)}
    models = walk_forward(X, y, Config(4, 5, 800), range(2010, 2023, 4), horizon=1, embargo=1, **shape)
    predictions = live_predictions(X, models)
    own = base["l_income"].pct_change(fill_method=None).loc[models[0].since :]
    static = funds @ pd.Series({"g_fund": 0.74, "f_fund": 0.06, "c_fund": 0.12, "s_fund": 0.03, "i_fund": 0.05})
    returns = pd.DataFrame({"net": own, "benchmark": static, "c_fund": funds["c_fund"], "f_fund": funds["f_fund"]})
    returns = returns.loc[own.index].round(8)
    named = {
        k: v for k, v in returns_section("", "").items() if k not in {"gross", "position", "underlying", "turnover"}
    }
    manifest = declare(
        "l_income_replica",
        {"en": "A real 80/20 fund, replicated", "zh": "真实80/20基金的复制归因"},
        "The weekly return of the L Income fund from the same week's returns of five index funds: attribution, not forecast. Real public data.",
        models=models,
        features=FUND_WEEKS,
        horizon=1,
        split={"validation": "walk_forward", "embargo": 1, "trials": 10},
        sections={
            "returns": named,
            "mandate": {"equity_max": 0.30, "max_drawdown": 0.10},
            "claims": {"metric": {"name": "r_squared", "value": round(r_squared(predictions, y), 3)}},
            "governance": GOVERNANCE,
        },
    )
    numbers = {"r2": f"{r_squared(predictions, y):.3f}", **replica_shares(X, y, models), **told("net", returns["net"])}
    return Bundle(manifest, texts(models), table, returns, numbers=numbers)


def replica_shares(X: pd.DataFrame, y: pd.Series, models: list[Live]) -> dict[str, str]:
    """The known answer: least squares on the five funds, before and after 2019, and what the replica's attributions say of it."""
    shares = {}
    for name, years in (("early", slice("2006", "2018")), ("late", slice("2019", None))):
        weights = np.linalg.lstsq(X[years].to_numpy(), y[years].to_numpy(), rcond=None)[0]
        shares[f"linear_{name}"] = f"{weights[2:].sum():.2f}"
        shares[f"linear_r2_{name}"] = f"{r_squared(pd.Series(X[years] @ weights), y):.3f}"
    last = models[-1]
    rows = X[last.since :]
    given = np.asarray(last.booster.predict(rows.to_numpy(), pred_contrib=True))[:, 2:5].sum(axis=1)
    basket = rows.to_numpy()[:, 2:5].mean(axis=1)
    shares["attributed"] = f"{np.polyfit(basket, given, 1)[0]:.2f}"
    return shares
