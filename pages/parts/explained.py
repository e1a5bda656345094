"""One explanation: choosing the decision, asking for it, and showing what came."""

import math
from datetime import date
from typing import Literal
from uuid import uuid4

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from parts.plain import plain
from workbench import explain
from workbench.charts import theme
from workbench.charts.budget import verdict
from workbench.charts.waterfall import UNITS, feature_label
from workbench.decision import live_model, locate, spoken_time
from workbench.desk import Desk
from workbench.schema import Explanation, StrategyBundle
from workbench.text import say, text
from workbench.ticket import Ticket

SCALED = {"return": 100.0, "probability": 100.0}
TABLE_HEIGHT, TABLE_ROWS = 420, 12
REFRESH_S = 0.2
Question = tuple[pd.Timestamp, str | None, str]


def choose(bundle: StrategyBundle, lang: str) -> Question:
    """The decision (its day, and where that is not enough its time and instrument) and how it shall be explained."""
    panel = bundle.panel
    row = st.columns([1, 4, 1, 5, 4, 4], vertical_alignment="bottom")
    day = _choose_day(panel.times.normalize().unique(), f"day {bundle.bundle_sha256}", row, lang)
    methods = ("auto", *explain.methods())
    words = {m: text("page.explain.auto" if m == "auto" else f"chart.method.{m}", lang) for m in methods}
    label = text("page.explain.method", lang)
    method = row[3].selectbox(label, methods, format_func=words.__getitem__, key="method")
    moments = panel.times[panel.times.normalize() == day].unique()
    at, entity = moments[-1], None
    if len(moments) > 1:
        at = row[4].selectbox(text("page.explain.time", lang), moments[::-1], format_func=lambda t: str(t.time()))
    if panel.entities is not None:
        entity = row[5].selectbox(text("page.explain.entity", lang), sorted(panel.entities[panel.times == at]))
    st.query_params["at"] = spoken_time(at)
    return at, entity, method


def _choose_day(days: pd.DatetimeIndex, key: str, row: list[DeltaGenerator], lang: str) -> pd.Timestamp:
    """A day with a decision: the one picked or the last before it; two buttons go one decision back and on."""
    if key not in st.session_state:
        st.session_state[key] = _asked_day(days)
    label = text("page.explain.day", lang)
    row[1].date_input(label, min_value=days[0], max_value=days[-1], key=key, format="YYYY-MM-DD")
    place = max(int(days.searchsorted(pd.Timestamp(st.session_state[key]), side="right")) - 1, 0)
    for column, step, name in ((row[0], -1, "left"), (row[2], 1, "right")):
        goal = days[min(max(place + step, 0), len(days) - 1)]
        column.button(
            "",
            icon=f":material/chevron_{name}:",
            key=name,
            help=text(f"page.explain.{name}", lang),
            disabled=goal == days[place],
            on_click=st.session_state.__setitem__,
            args=(key, goal.date()),
        )
    return days[place]


def _asked_day(days: pd.DatetimeIndex) -> date:
    """?at= where it is a day of the panel, else the last one."""
    first, last = days[0].date(), days[-1].date()
    try:
        asked = date.fromisoformat(st.query_params.get("at", "")[:10])
    except ValueError:
        return last
    return asked if first <= asked <= last else last


def ask(desk: Desk, bundle: StrategyBundle, question: Question, lang: str) -> Ticket:
    """The answer under way, with its first estimate there; a question that was just put is not put again, so that figures stand still.

    Whoever turns to another decision does not wait for the last one any more.
    """
    put, before = (bundle.bundle_sha256, *question), st.session_state.get("ticket")
    if before is None or st.session_state["question"] != put:
        if before is not None:
            before.cancel()
        with st.spinner(text("page.explain.asking", lang)):
            ticket = desk.ask(bundle, *question, caller=st.session_state.setdefault("caller", uuid4().hex))
            ticket.first()
        st.session_state["ticket"], st.session_state["question"] = ticket, put
    asked: Ticket = st.session_state["ticket"]
    return asked


def headline(answer: Explanation, bundle: StrategyBundle, lang: str) -> None:
    """The figures that a trader looks for first, and which model it was that decided."""
    model = live_model(bundle, locate(bundle, answer.time, answer.entity))
    known = bool(len(answer.values))
    finest = float(abs(answer.values).max()) if known else None
    prediction = math.nan if answer.prediction is None else answer.prediction
    shown = {
        text(f"chart.output.{answer.output}", lang): theme.amount(prediction, answer.output, step=finest),
        text("page.explain.base", lang): theme.amount(
            answer.base_values if known else math.nan, answer.output, step=finest
        ),
        text("page.explain.answered", lang): f"{answer.elapsed_ms:,.1f} / {answer.budget_ms:,.0f} ms",
        text("page.explain.kind", lang): text(f"page.explain.{kind(answer)}", lang),
        text("page.explain.model", lang): plain(model.name),
        text("page.explain.trained", lang): spoken_time(model.train_end) if model.train_end is not None else "–",
    }
    for column, (label, value) in zip(st.columns(len(shown), gap="small"), shown.items(), strict=True):
        column.metric(label, value, border=True, height="stretch")


def kind(answer: Explanation) -> str:
    """How far the answer may be relied on, in a word: none, cut, exact, fitted or sampled."""
    if not len(answer.values):
        return "none"
    if not answer.complete:
        return "cut"
    if answer.fit_r2 is not None:
        return "fitted"
    return "exact" if answer.exact else "sampled"


def cautions(answer: Explanation, lang: str, *, under_way: bool) -> None:
    """Every reason not to rely on the answer, in words."""
    if under_way:
        st.info(text("page.explain.refining", lang, samples=answer.samples or 0), icon=":material/autorenew:")
        return
    if not answer.within_budget:
        st.error(plain(verdict(answer, lang)), icon=":material/timer_off:")
    if answer.reason is not None:
        st.error(plain(say(answer.reason, lang)), icon=":material/error:")
    for warning in answer.warnings:
        st.warning(plain(say(warning, lang)), icon=":material/warning:")
    if answer.within_budget and not answer.warnings:
        st.caption(text("page.explain.no_warnings", lang))


def features(answer: Explanation, bundle: StrategyBundle, lang: str) -> None:
    """Every feature of the decision, the largest contribution first."""
    if not len(answer.values):
        return
    st.subheader(text("page.features.title", lang), anchor=False)
    sections = bundle.manifest.features
    scale = SCALED.get(answer.output, 1.0)
    table = pd.DataFrame({"name": answer.feature_names, "value": answer.data, "contribution": answer.values * scale})
    table["error"] = answer.std_error * scale
    table["label"] = [feature_label(name, lang, sections) for name in table["name"]]
    table["unit"] = [_unit(sections[n].unit if n in sections else None, lang) for n in table["name"]]
    table["family"] = [text(f"family.{family}", lang) for family in answer.families]
    table["lag"] = [_days(sections[n].published_lag_days if n in sections else None) for n in table["name"]]
    table = table.loc[table["contribution"].abs().sort_values(ascending=False, kind="stable").index]
    percent = "%" if answer.output in SCALED else ""
    order = ["label", "value", "unit", "contribution", *([] if answer.exact else ["error"]), "family", "lag", "name"]
    number, column = st.column_config.NumberColumn, st.column_config.Column
    reach = float(table["contribution"].abs().max()) or 1.0
    places = max(2, 2 - int(f"{reach:e}".split("e")[1]))
    kinds = {
        "value": number(text("page.features.value", lang), format="%.4g"),
        "contribution": number(text("page.features.contribution", lang), format=f"%+.{places}f{percent * 2}"),
        "error": number(text("page.features.error", lang), format=f"%.2g{percent * 2}"),
        "lag": column(text("page.features.lag", lang), alignment="right"),
    }
    kinds |= {name: column(text(f"page.features.{name}", lang)) for name in ("label", "unit", "family", "name")}
    height: int | Literal["content"] = TABLE_HEIGHT if len(table) > TABLE_ROWS else "content"
    st.dataframe(table[order], hide_index=True, width="stretch", height=height, column_config=kinds)


def _unit(unit: str | None, lang: str) -> str:
    if unit == "fraction":
        return text("page.features.fraction", lang)
    return text(f"chart.unit.{UNITS[unit]}", lang).strip() if unit in UNITS else unit or "–"


def _days(lag: int | None) -> str:
    return "–" if lag is None else str(lag)


def provenance(answer: Explanation, bundle: StrategyBundle, lang: str) -> None:
    """What has to be the same for the same answer to come again."""
    with st.expander(text("page.provenance", lang), icon=":material/fingerprint:", expanded=True):
        gap = "–" if answer.additivity_gap is None else f"{answer.additivity_gap:.1e}"
        lines = {
            "model_sha256": answer.model_sha256,
            "panel_sha256": answer.panel_sha256,
            "bundle_sha256": bundle.bundle_sha256,
            "method": f"{answer.method} (asked: {answer.asked})",
            "why": "–" if answer.why is None else say(answer.why, lang),
            "background": _background(answer),
            "samples": "–" if answer.samples is None else answer.samples,
            "fit_r2": "–" if answer.fit_r2 is None else f"{answer.fit_r2:.3f}",
            "stability": "–" if answer.stability is None else f"{answer.stability:.2f}",
            "seed": answer.seed,
            "additivity_gap": gap,
            "versions": ", ".join(f"{k} {v}" for k, v in answer.versions.items()),
        }
        st.code("\n".join(f"{name:<15}{value}" for name, value in lines.items()), language=None, wrap_lines=True)


def _background(answer: Explanation) -> str:
    facts = answer.background
    return "{rows} / {of}, {first} – {last}".format(**facts) if facts else "–"
