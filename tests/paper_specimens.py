"""A checklist of its own and a report made by hand on it: every outcome once, and words that would break careless markup."""

import numpy as np

from workbench.checklist import load_checklist
from workbench.schema import AuditReport, Finding, Measurement, Message, Outcome, Table

FAMILY = """
[label_overlap]
code = "T3"
severity = "critical"
pattern = "borrowed_tomorrow"
headline = true
unit = "share"
warn_above = 0.0
fail_above = 0.05
source = { en = "Measured on pure noise with 20-day labels", zh = "Measured on pure noise with 20-day labels" }
mark = "M"
refs = ["López de Prado (2018), Advances in Financial Machine Learning, ch. 7"]
maps_to = ["SR 26-2: development", "JR/T 0221-2021: 6.4"]
title = { en = "Overlapping-label leak", zh = "重叠标签泄漏" }
why = { en = "Neighbouring rows share most of their label; shuffled folds then test on what they were fitted to.", zh = "相邻样本的标签窗口高度重叠，打乱分折后等于拿训练过的答案来考试，样本外成绩因此虚高。" }
remedy = { en = "Purge and embargo the folds.", zh = "分折时剔除重叠样本并设置隔离期。" }
words = { overlap = { en = "curve as submitted and purged", zh = "提交口径与剔除重叠口径" }, submitted = { en = "as submitted", zh = "提交口径" }, purged = { en = "purged", zh = "剔除重叠" }, rows = { en = "rows that overlap", zh = "重叠样本数" } }

[availability]
code = "T1"
severity = "critical"
pattern = "borrowed_tomorrow"
unit = "cells"
warn_above = 0
fail_above = 0
source = { en = "Deterministic", zh = "Deterministic" }
mark = "D"
title = { en = "Point-in-time availability", zh = "可得时点审计" }
why = { en = "A value that was not yet published cannot have been traded on.", zh = "尚未公布的数据，不可能成为当时下单的依据。" }
remedy = { en = "Lag every series to its release.", zh = "按公布时点滞后各序列。" }

[factor_identity]
code = "R1"
severity = "critical"
pattern = "equity_in_a_bond_coat"
unit = "beta"
warn_above = 0.15
fail_above = 0.15
warn_p = 0.05
fail_p = 0.01
source = { en = "The mandate's cap plus a tolerance of 0.05 #let x = 1; $x$ *bold* _it_ `raw` @ref <label> \\\\ // end", zh = "The mandate's cap plus a tolerance of 0.05 #let x = 1; $x$ *bold* _it_ `raw` @ref <label> \\\\ // end" }
mark = "D"
refs = ["Dimson (1979), JFE 7, 197–226"]
title = { en = "Factor identity", zh = "因子身份" }
why = { en = "Beta beyond the mandate is no alpha.", zh = "超出授权的贝塔不是阿尔法。" }
remedy = { en = "Hedge the equity beta, or name it in the product.", zh = "对冲权益贝塔，或在产品中明示。" }
words = { betas = { en = "Dimson betas", zh = "Dimson 贝塔" } }

[drawdown]
code = "R4"
severity = "major"
pattern = "equity_in_a_bond_coat"
unit = "probability"
warn_above = 0.05
fail_above = 0.2
source = { en = "Design", zh = "Design" }
mark = "D"
title = { en = "Drawdown budget", zh = "回撤预算" }
why = { en = "The budget is what was promised.", zh = "回撤预算是对客户的承诺。" }
remedy = { en = "Reduce risk.", zh = "降低风险敞口。" }

[smoothing]
code = "V2"
severity = "major"
pattern = "fair_weather_model"
unit = "inflation"
warn_above = 0.1
fail_above = 0.25
source = { en = "Design", zh = "Design" }
mark = "D"
title = { en = "Smoothed pricing", zh = "平滑估值" }
why = { en = "Smoothing hides risk.", zh = "平滑估值掩盖真实波动。" }
remedy = { en = "Use same-day third-party valuations.", zh = "采用当日第三方估值。" }

[breaks]
code = "V3"
severity = "minor"
pattern = "fair_weather_model"
unit = "probability"
warn_below = 0.05
fail_below = 0.01
source = { en = "Design", zh = "Design" }
mark = "D"
title = { en = "Structural break", zh = "结构突变" }
why = { en = "No break found is not safety.", zh = "没有检出突变不等于安全。" }
remedy = { en = "Refit.", zh = "重新训练。" }
"""
DAYS = [f"2020-{m:02d}-{d:02d}" for m in range(1, 13) for d in (1, 8, 15, 22)]


def checklist(folder):
    """Write the checklist into `folder`; gives its path as a report names it."""
    place = folder / "specimen_list"
    place.mkdir(exist_ok=True)
    (place / "specimens.toml").write_text(FAMILY, "utf-8")
    return str(place)


def report(place, *, hostile="", verdict=Outcome.FAIL, started="2026-03-01T09:30:00+00:00"):
    """A report of every outcome; `hostile` goes wherever words of a user go."""
    rng = np.random.default_rng(1)
    curves = {"day": DAYS, "submitted": rng.normal(0.01, 0.01, 48).cumsum(), "purged": rng.normal(0, 0.01, 48).cumsum()}
    betas = {"factor": ["equity", "credit" + hostile], "betas": [0.31, 0.1], "low": [0.25, 0.05], "high": [0.37, 0.15]}
    measured = {
        "T1": None,
        "T3": Measurement(
            0.19,
            facts={"rows": 812, "feature": "y10" + hostile},
            tables={"overlap": Table("lines", curves, {"zero": 0})},
        ),
        "R1": Measurement(0.31, 0.004, 0.05, {"lags": 8}, {"betas": Table("intervals", betas, {"cap": 0.15})}),
        "R4": Measurement(0.02),
        "V2": None,
        "V3": Measurement(0.4, smallest_effect=1.9),
    }
    outcomes = {
        "T1": (Outcome.NOT_RUN, Message("chart.waterfall.missing", {"label": "features.published_lag_days" + hostile})),
        "T3": (Outcome.FAIL, None),
        "R1": (Outcome.FAIL, None),
        "R4": (Outcome.PASS, None),
        "V2": (Outcome.ERROR, Message("chart.waterfall.missing", {"label": "broke" + hostile})),
        "V3": (Outcome.INSUFFICIENT, None),
    }
    findings = tuple(
        Finding(
            c.code,
            outcomes[c.code][0],
            Outcome.WARN if c.code == "R1" else outcomes[c.code][0],
            measured[c.code],
            0.02 if c.code == "R1" else None,
            outcomes[c.code][1],
            3.0,
        )
        for c in load_checklist(place)
    )
    return AuditReport(
        bundle="us_rates_plus_tilt",
        checklist=place,
        version="0.1.0",
        verdict=verdict,
        findings=findings,
        model_sha256="a" * 64,
        panel_sha256="b" * 64,
        bundle_sha256="c" * 64,
        seed=0,
        started=started,
        elapsed_ms=5321.0,
    )
