"""The promise of an answer in time: which answers, how it was kept, by whom, and which answers broke it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from parts.plain import plain
from workbench.charts.latency import method_words
from workbench.latency import Curve, Summary, Which, choices, curves, late_stage, over_budget, summaries
from workbench.ledger import Ledger, Record
from workbench.schema import BadInputError
from workbench.text import say, text

LATE = 20
METRIC = 160  # pixels: they go on to a second line where the window is narrow
TABLE_HEIGHT, TABLE_ROWS = 420, 12


@dataclass(frozen=True)
class Kept:
    """All that the page shows of one choice of answers."""

    whole: Summary
    days: list[Summary]
    models: list[Summary]
    curves: list[Curve]
    late: list[Record]


def unwritten(ledger: Ledger, lang: str) -> None:
    """Says so where what is shown is not on disk, or cannot be read at all: then the page ends here."""
    if ledger.failure is not None:
        st.error(plain(say(ledger.failure, lang)), icon=":material/error:")
    try:
        newest = ledger.records("explanation", limit=1)
    except BadInputError as bad:
        st.error(plain(bad.faults[0].spoken(lang)), icon=":material/error:")
        st.stop()
    if not newest:
        st.info(text("page.latency.empty", lang), icon=":material/timer:")
        st.page_link("explain.py", label=text("page.latency.open", lang), icon=":material/waterfall_chart:")
        st.stop()


def choose(ledger: Ledger, lang: str) -> Which:
    """Of one bundle, by one method, or all."""
    known = _choices(ledger, _newest(ledger))
    row = st.columns([3, 3, 6])
    bundle = row[0].selectbox(
        text("page.latency.of_bundle", lang),
        [None, *known["bundle"]],
        format_func=lambda name: text("page.latency.all", lang) if name is None else name,
        key="latency bundle",
    )
    method = row[1].selectbox(
        text("page.latency.method", lang),
        [None, *known["method"]],
        format_func=lambda name: text("page.latency.all", lang) if name is None else method_words(name, lang),
        key="latency method",
    )
    return Which(bundle, method)


def kept(ledger: Ledger, which: Which, lang: str) -> Kept:
    """What the ledger has on them; where that is nothing the page says so and ends here."""
    found = _kept(ledger, which, _newest(ledger))
    if found is None:
        st.info(text("page.latency.none", lang), icon=":material/filter_alt:")
        st.stop()
    return found


def _newest(ledger: Ledger) -> tuple[int, str]:
    """What changes with every record, also where another file was put in the ledger's place."""
    (record,) = ledger.records(limit=1)
    return record.id, record.written


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Ledger: lambda ledger: str(ledger.path)})
def _choices(ledger: Ledger, newest: tuple[int, str]) -> dict[str, list[str]]:  # noqa: ARG001 - part of the cache's key
    return choices(ledger)


@st.cache_resource(max_entries=8, hash_funcs={Ledger: lambda ledger: str(ledger.path)}, show_spinner=False)
def _kept(ledger: Ledger, which: Which, newest: tuple[int, str]) -> Kept | None:  # noqa: ARG001 - part of the cache's key
    whole = summaries(ledger, which=which)
    if not whole:
        return None
    models = summaries(ledger, ["bundle", "model", "method"], which)
    days = summaries(ledger, ["day"], which)
    return Kept(whole[0], days, models, curves(ledger, which=which), over_budget(ledger, which, LATE))


def headline(whole: Summary, days: int, lang: str) -> None:
    """The promise in figures, with how sure they are."""
    ends = {"low": _cut(1 - whole.share_high), "high": _cut(1 - whole.share_low)}
    shown = [
        (
            text("page.latency.kept", lang),
            f"{_cut(1 - whole.over / whole.count)}%",
            text("page.latency.interval", lang, **ends),
        ),
        (text("page.latency.requests", lang), f"{whole.count:,}", text("page.latency.days", lang, count=days)),
        (
            text("page.latency.over", lang),
            f"{whole.over:,}",
            text("page.latency.unanswered", lang, count=whole.unanswered),
        ),
    ]
    for percent, found in whole.percentiles.items():
        ends = {name: "?" if end is None else f"{end:,.0f}" for name, end in (("low", found.low), ("high", found.high))}
        few = found.missing == "too_few"
        under = text("page.latency.few", lang) if few else text("page.latency.between", lang, **ends)
        shown.append((text("page.latency.percentile", lang, percent=percent), found.spoken(lang), under))
    with st.container(horizontal=True, gap="small"):
        for label, value, under in shown:
            st.metric(label, value, under, delta_color="off", delta_arrow="off", border=True, width=METRIC)


def _cut(share: float) -> str:
    """Percent, cut at two places and not rounded: only all is 100."""
    return f"{int(10_000 * share + 1e-9) / 100:g}"


def models(found: list[Summary], lang: str) -> None:
    """A line a model and method, the one that broke the promise most first."""
    st.subheader(text("page.latency.models", lang), anchor=False)
    rows = [
        {
            "bundle": one.group["bundle"] or "–",
            "model": one.group["model"] or "–",
            "method": method_words(one.group["method"] or "–", lang),
            "requests": one.count,
            **{f"p{p}": each.ms for p, each in one.percentiles.items()},
            "largest": one.largest_ms,
            "share": 100 * one.over / one.count,
        }
        for one in sorted(found, key=lambda one: (-one.over / one.count, -one.count))
    ]
    number, column = st.column_config.NumberColumn, st.column_config.Column
    kinds = {name: column(text(f"page.latency.{name}", lang)) for name in ("bundle", "model", "method")}
    kinds |= {"requests": number(text("page.latency.requests", lang), format="localized")}
    for percent in found[0].percentiles:
        kinds[f"p{percent}"] = number(text("page.latency.percentile", lang, percent=percent), format="%.0f")
    kinds |= {"largest": number(text("page.latency.largest", lang), format="%.0f")}
    kinds |= {"share": number(text("page.latency.share", lang), format="%.2f")}
    _table(rows, kinds)
    st.caption(text("latency.note", lang))


def late(found: list[Record], lang: str) -> None:
    """The newest answers over budget: what took most of the time, and why."""
    st.subheader(text("page.latency.late", lang), anchor=False)
    if not found:
        st.success(text("page.latency.no_late", lang), icon=":material/check_circle:")
        return
    rows = []
    for record in found:
        body, stage = record.body, late_stage(record.body)
        rows.append(
            {
                "written": record.written[:16].replace("T", " "),
                "bundle": str(body.get("bundle", "–")),
                "decision": str((body.get("row") or {}).get("time", "–")),
                "method": method_words(str(body.get("method", "–")), lang),
                "took": f"{body['elapsed_ms']:,.0f} / {body.get('budget_ms', 0):,.0f}",
                "stage": stage.spoken(lang) if stage else "–",
                "reason": str(body.get("reason") or "–"),
            }
        )
    kinds = {
        name: st.column_config.Column(text(f"page.latency.{name}", lang), width="large" if name == "reason" else None)
        for name in rows[0]
    }
    _table(rows, kinds)


def _table(rows: list[dict[str, Any]], kinds: Mapping[str, Any]) -> None:
    height: int | Literal["content"] = TABLE_HEIGHT if len(rows) > TABLE_ROWS else "content"
    st.dataframe(rows, hide_index=True, width="stretch", height=height, column_config=kinds)
