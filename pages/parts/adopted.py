"""A log of decisions on the page: examined in the background, the finding in words and figures, the table behind the chart."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st

from parts.plain import plain
from workbench.adoption import Adoption, Finding, of_advice, of_bundle
from workbench.schema import StrategyBundle
from workbench.text import say, text

SIGNS = {
    Finding.BREAK: "trending_down",
    Finding.DECLINE: "trending_down",
    Finding.RISE: "trending_up",
    Finding.NONE: "trending_flat",
    Finding.INSUFFICIENT: "help",
}
METRIC = 220  # pixels: they go on to a second line where the window is narrow


@dataclass
class Job:
    """One log under examination; without [decisions] it is the worked example's."""

    report: Adoption | None = None
    done: bool = False
    failed: bool = False

    def run(self, bundle: StrategyBundle) -> None:
        """Examine the log; whatever goes wrong must not take the app along."""
        try:
            self.report = of_bundle(bundle) if "decisions" in bundle.tables else of_advice()
        except Exception:
            logging.getLogger(__name__).exception("adoption of %s", bundle.name)
            self.failed = True
        self.done = True


@st.cache_resource
def _office() -> tuple[ThreadPoolExecutor, dict[str, Job]]:
    return ThreadPoolExecutor(1, thread_name_prefix="adoption"), {}


def examination_of(bundle: StrategyBundle) -> Job:
    """The examination of this bundle's log: finished, under way, or begun now. It is one and the same for every reader."""
    pool, jobs = _office()
    job = jobs.get(bundle.bundle_sha256)
    if job is None:
        job = jobs.setdefault(bundle.bundle_sha256, Job())
        pool.submit(job.run, bundle)
    return job


@st.fragment(run_every=0.3)
def watch(job: Job, lang: str) -> None:
    """Says that the log is being examined; when it is through the page shows it."""
    if job.done:
        st.rerun()
    st.info(text("adoption.page.running", lang), icon=":material/hourglass_top:")


def report_of(job: Job, lang: str) -> Adoption:
    """What was found; where there is nothing to show, the page says why and ends here."""
    if job.failed:
        st.error(text("adoption.page.broke", lang), icon=":material/error:")
        st.stop()
    if job.report is None:
        st.info(text("adoption.missing", lang).splitlines()[0], icon=":material/info:")
        st.stop()
    return job.report


def headline(report: Adoption, lang: str) -> None:
    """The finding in one sentence, and the figures of a break; what is only an example says so first."""
    if report.source == "advice":
        st.warning(plain(text("adoption.students", lang, **counted(report))), icon=":material/school:")
    st.subheader(f":material/{SIGNS[report.finding]}: {plain(say(report.sentence, lang))}", anchor=False)
    found = report.threshold
    shown = {text("adoption.page.decisions", lang): f"{report.decisions:,}"}
    if found is not None and report.finding is Finding.BREAK:
        unit = 1000 if report.source == "advice" else 1
        places, name = (1, "s") if unit > 1 else (0, "ms")
        low, high = (f"{end / unit:,.{places}f}" for end in found.at_interval)
        least, most = (f"{-end:+.0%}".replace("-", "−") for end in found.drop_interval)
        shown = {
            text("adoption.page.break", lang): f"{found.at / unit:,.{places}f} {name} [{low}–{high}]",
            text("adoption.page.drop", lang): f"{-found.drop:+.0%} [{most}, {least}]".replace("-", "−"),
            text("adoption.page.rates", lang): f"{found.below:.0%} → {found.above:.0%}",
        } | shown
    with st.container(horizontal=True):
        for label, value in shown.items():
            st.metric(label, value, border=True, width=METRIC)


def counted(report: Adoption) -> dict[str, int]:
    """How much the log holds."""
    return {"rows": report.decisions, "units": report.units, "length": report.block_length}


def table(report: Adoption, lang: str) -> None:
    """Adoption and realised win rate by the time that the explanation took."""
    people = report.source == "advice"
    st.subheader(text("adoption.page.bins_students" if people else "adoption.page.bins", lang), anchor=False)
    unit, places = (1000, 1) if people else (1, 0)
    rows = [
        (
            f"{each.low / unit:,.{places}f} – {each.high / unit:,.{places}f}",
            f"{each.adopted.count:,}",
            *(
                part
                for rate in (each.adopted, each.won)
                for part in _spelled(rate.value, rate.low, rate.high, rate.count)
            ),
        )
        for each in report.by_latency
    ]
    names = ["seconds" if people else "latency", "count", "adopted", "interval", "won", "interval"]
    heads = [text(f"adoption.table.{name}", lang) for name in names]
    heads = [f"{heads[i - 1]} · {head}" if names[i] == "interval" else head for i, head in enumerate(heads)]
    right = {head: st.column_config.Column(alignment="right") for head in heads}
    columns = {head: [row[i] for row in rows] for i, head in enumerate(heads)}
    st.dataframe(columns, hide_index=True, width="stretch", height="content", column_config=right)


def _spelled(value: float, low: float, high: float, count: int) -> tuple[str, str]:
    return (f"{value:.1%}", f"{low:.1%} – {high:.1%}") if count else ("–", "–")


def method(report: Adoption, lang: str) -> None:
    """How it was found, and what it cannot say."""
    with st.expander(text("adoption.page.how", lang), icon=":material/functions:"):
        st.markdown(plain(text("adoption.page.method", lang)))
        if report.source == "advice":
            st.caption(text("adoption.counted_people", lang, **counted(report)))
        else:
            st.caption(text("adoption.counted", lang, **counted(report)))
