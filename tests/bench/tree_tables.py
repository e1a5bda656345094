"""What tests/bench/trees.py measured, as a page: aims first, then each case."""

from collections.abc import Callable, Iterable
from typing import Any

from tree_peers import OURS, PRED_CONTRIB, SINGLES, WOODELF

BUDGET_US = 800_000
HEAD = (
    "| model | contender | rows | µs a row | ÷ workbench | largest difference | additivity gap |\n"
    "|---|---|---|---|---|---|---|\n"
)
TITLES = {
    "values": "Path-dependent values of 10,000 rows",
    "one row": "One row",
    "outputs": "Outputs of 10,000 rows",
    "xgboost": "The same data in XGBoost",
    "xgboost, one row": "One row of XGBoost's",
    "interventional": "Interventional values, against 1,000 rows",
    "interventional, one row × 100": "Interventional values of one row, against 100 rows",
    "interventional, one row × 10,000": "Interventional values of one row, against 10,000 rows",
    "interactions": "Interaction values",
    "xgboost interactions": "Interaction values in XGBoost",
}


def page(bench: Any, steps: dict[str, float], memory: dict[str, list[float]]) -> str:
    seconds = bench.scope.seconds
    compiling = ", ".join(f"{name} {s * 1e3:,.0f} ms" for name, s in steps.items())
    resident = "; ".join(f"{who} {a:,.0f} MB before, {b:,.0f} MB after" for who, (a, b) in memory.items())
    parts = [
        "# Exact values of trees, side by side",
        "",
        "`python tests/bench/trees.py`: LightGBM and XGBoost models of 50 features fitted on simulated data, one thread, processor time, medians of turns",
        f"in one process; about {seconds:g} s of processor time a contender and case, so slow ones explain fewer rows (column *rows*; a single row: median of",
        "the calls, the explainer being made). *Largest difference*: from the reference (–: `LightGBM pred_contrib`, else `workbench`), over the range of its values.",
        "*Additivity gap*: base + sum against the library's raw output, over its range. Peers do without their own checks of additivity.",
        "",
        "## Aims",
        "",
        "| aim | | figures, in the order of the models below |",
        "|---|---|---|",
        *aims(bench, steps),
        "",
        *fitting(bench),
        "",
        f"To compile the largest model takes: {compiling}. Most memory resident: {resident}",
        "(10,000 rows for the workbench, 20 for the library, whose memory grows with rows by the results alone).",
        "",
    ]
    for title in dict.fromkeys(case.title for case in bench.cases):
        lines = [line for case in bench.case(title) for line in case.lines]
        parts += [f"## {TITLES.get(title, title)}", "", HEAD + "\n".join(lines), ""]
    return "\n".join(parts)


def aims(bench: Any, steps: dict[str, float]) -> list[str]:
    def each(title: str, figure: Callable[[Any], float]) -> list[float]:
        return [figure(case) for case in bench.case(title)]

    def best(case: Any) -> float:
        return min(case.others().values(), default=float("inf"))

    def times(aim: str, least: float, figures: Iterable[float]) -> str:
        figures = list(figures)
        met = "met" if min(figures, default=0.0) >= least else "**missed**"
        return f"| {aim} | {met if figures else 'not measured'} | {', '.join(f'{f:,.1f}×' for f in figures)} |"

    rows = [title for title in dict.fromkeys(case.title for case in bench.cases) if title.endswith("0 rows")]
    small = [case.size for case in bench.case("outputs") if case.size.endswith(" 31")]
    predict = [
        bench.case("values", size)[0].timed[OURS].us / bench.case("outputs", size)[0].timed["LightGBM predict"].us
        for size in small
    ]
    row = bench.case("values")[-1].timed[PRED_CONTRIB].us / 1e6
    compiling = sum(s for name, s in steps.items() if not name.startswith("LightGBM"))
    reading = steps["reading and checking the file"]
    return [
        times(
            "at 10,000 rows at least 40 times as fast as LightGBM pred_contrib",
            40,
            each("values", lambda c: c.ratio(PRED_CONTRIB)),
        ),
        times("the same in float32", 40, each("values", lambda c: c.ratio(PRED_CONTRIB) / c.ratio(SINGLES))),
        times("at 10,000 rows at least 5 times as fast as the fastest other library", 5, each("values", best)),
        times("the same on XGBoost's files", 5, each("xgboost", best)),
        times("one row: never slower than LightGBM pred_contrib", 1, each("one row", lambda c: c.ratio(PRED_CONTRIB))),
        times("one row: never slower than the fastest other library", 1, each("one row", best)),
        times("one row: never slower than the fastest on XGBoost's files", 1, each("xgboost, one row", best)),
        times(
            f"ahead of woodelf at {' and '.join(rows)}",
            1,
            [c.ratio(WOODELF) for t in rows for c in bench.case(t) if WOODELF in c.timed],
        ),
        f"| values of 10,000 rows take at most 3 times LightGBM's predict, 31 leaves | {'met' if max(predict) <= 3 else '**missed**'} | {', '.join(f'{p:.1f}×' for p in predict)} |",
        times(
            "interventional at least 100 times as fast as shap",
            100,
            each("interventional", lambda c: c.ratio("shap TreeExplainer")),
        ),
        *(
            times(f"{title}: never slower than another library", 1, each(title, best))
            for title in TITLES
            if title.startswith("interventional, one row")
        ),
        times(
            "interactions at least 50 times as fast as shap",
            50,
            each("interactions", lambda c: c.ratio("shap TreeExplainer")),
        ),
        f"| the largest model compiles in less than 100 rows of pred_contrib take | {'met' if compiling < 100 * row else '**missed**'} | {compiling / row:.0f} rows; {(compiling - reading) / row:.0f} without reading and checking the file |",
    ]


def fitting(bench: Any) -> list[str]:
    """How many rows a model explains within the budget."""
    lines = ["| explained in 800 ms | workbench | float32 | LightGBM pred_contrib |", "|---|---|---|---|"]
    for case in bench.case("values"):
        counts = [BUDGET_US / case.timed[name].us for name in (OURS, SINGLES, PRED_CONTRIB)]
        lines.append(f"| {case.size} | {' | '.join(f'{int(c):,}' for c in counts)} |")
    return lines
