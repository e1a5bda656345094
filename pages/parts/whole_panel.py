"""A whole panel on the page: explained in the background, once for every reader; figures, the table behind them, the machine's form."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st

from parts import figure
from parts.plain import plain
from workbench.charts import theme
from workbench.charts.waterfall import feature_label
from workbench.charts.whiskers import share as percent
from workbench.charts.whole_panel import FIGURES
from workbench.desk import Desk
from workbench.importance.form import to_dict
from workbench.importance.whole import Whole, explain_panel, with_interactions
from workbench.schema import Message, StrategyBundle, WordedError
from workbench.text import say, text

WIDE = 500  # side by side where the window is wide, one under the other where it is not
KEPT = 4  # panels held in memory; the one that was asked for first gives way


@dataclass
class Job:
    """One panel under way: `rows` of `of` are explained. `reason`: why there is no global explanation. Pairs of features come later."""

    rows: int = 0
    of: int = 1
    whole: Whole | None = None
    reason: Message | None = None
    done: bool = False
    paired: bool = False

    def note(self, rows: int, of: int) -> None:
        """Take down how far it has come."""
        self.rows, self.of = rows, of

    def run(self, bundle: StrategyBundle, desk: Desk) -> None:
        """Explain every row; whatever goes wrong must not take the app along."""
        try:
            self.whole = self.whole or explain_panel(bundle, desk, progress=self.note)
            self.done = True
            self.whole = with_interactions(self.whole, desk, self.note)
        except WordedError as error:
            self.reason = error.message
        except Exception:
            logging.getLogger(__name__).exception("the whole panel of %s", bundle.name)
            self.reason = Message("importance.page.broke")
        self.done = self.paired = True


@st.cache_resource
def _office() -> tuple[ThreadPoolExecutor, dict[str, Job]]:
    return ThreadPoolExecutor(1, thread_name_prefix="whole panel"), {}


def explanation_of(bundle: StrategyBundle, desk: Desk) -> Job:
    """The explanation of this bundle's panel: finished, under way, or begun now. It is one and the same for every reader."""
    pool, jobs = _office()
    job = jobs.get(bundle.bundle_sha256)
    if job is None:
        for old in [name for name, each in jobs.items() if each.done][: max(len(jobs) + 1 - KEPT, 0)]:
            jobs.pop(old, None)
        job = jobs.setdefault(bundle.bundle_sha256, Job())
        pool.submit(job.run, bundle, desk)
    return job


@st.fragment(run_every=0.3)
def watch(job: Job, lang: str) -> None:
    """How far it has come; when it is through the page shows it."""
    if job.done:
        st.rerun()
    st.progress(
        min(job.rows / job.of, 1.0),
        text=text("importance.explaining", lang, done=f"{job.rows:,}", total=f"{job.of:,}")
        if job.rows
        else text("importance.page.waiting", lang),
    )


def whole_of(job: Job, bundle: StrategyBundle, desk: Desk, lang: str) -> Whole:
    """What was found; where there is nothing to show, the page says why, offers another try and ends here."""
    if job.whole is None:
        st.info(plain(say(job.reason or Message("importance.page.broke"), lang)), icon=":material/info:")
        st.button(text("page.faults.again", lang), on_click=_again, args=(job, bundle, desk), key="panel again")
        st.stop()
    return job.whole


def headline(whole: Whole, lang: str) -> None:
    """Of how many rows, what the error bars are, and what not to rely on."""
    rows, bars, *cautions = whole.sentences
    st.subheader(plain(say(rows, lang)), anchor=False)
    st.caption(plain(say(bars, lang)))
    for caution in cautions:
        st.warning(plain(say(caution, lang)), icon=":material/warning:")


@st.fragment(run_every=0.5)
def _wait(job: Job, lang: str) -> None:
    """How far the pairs of features have come; when they are through the page shows them."""
    if job.paired:
        st.rerun()
    words = text("importance.combining", lang, done=f"{job.rows:,}", total=f"{job.of:,}")
    st.progress(min(job.rows / job.of, 1.0), text=words)


def pairs(job: Job, desk: Desk, lang: str) -> None:
    """Which features work together, once that is known; where it could not be had, why, and another try."""
    with st.container(border=True):
        whole = job.whole
        if not job.paired or whole is None:
            _wait(job, lang)
            return
        figure.show(FIGURES["interactions"](whole, lang, None), "interactions")
        if whole.interactions is None:
            st.button(
                text("page.faults.again", lang), on_click=_again, args=(job, whole.bundle, desk), key="pairs again"
            )


def _again(job: Job, bundle: StrategyBundle, desk: Desk) -> None:
    job.done, job.paired, job.reason = job.whole is not None, False, None
    _office()[0].submit(job.run, bundle, desk)


def chosen(whole: Whole, name: str, lang: str) -> None:
    """A figure of one feature, which the reader chooses."""
    features, sections = whole.bundle.panel.features, whole.bundle.manifest.features
    ranked = [features[i] for i in whole.importance.order]
    first = whole.regimes.by if name == "regimes" and whole.regimes is not None else ranked[0]
    with st.container(border=True):
        feature = st.selectbox(
            text(f"importance.page.{name}", lang),
            ranked,
            index=ranked.index(first),
            format_func=lambda each: feature_label(each, lang, sections),
            key=f"{name} {whole.bundle.bundle_sha256}",
        )
        figure.show(FIGURES[name](whole, lang, feature), name, legend=True)


def table(whole: Whole, lang: str) -> None:
    """The numbers behind the bars."""
    ranked, bundle, step = whole.importance, whole.bundle, float(whole.importance.mean.value.max()) / 10

    def amount(value: float) -> str:
        return theme.amount(value, whole.output, step=step)

    heads = [text(f"importance.table.{name}", lang) for name in ("rank", "feature", "family", "mean_abs", "share")]
    interval = text("importance.table.interval", lang)
    rows = [
        {
            heads[0]: int(ranked.rank[i]),
            f"{heads[0]} · {interval}": f"{ranked.rank_low[i]} – {ranked.rank_high[i]}",
            heads[1]: feature_label(bundle.panel.features[i], lang, bundle.manifest.features),
            heads[2]: text(f"family.{bundle.family(bundle.panel.features[i])}", lang),
            heads[3]: amount(ranked.mean.value[i]),
            f"{heads[3]} · {interval}": f"{amount(ranked.mean.low[i])} – {amount(ranked.mean.high[i])}",
            heads[4]: percent(ranked.share.value[i]),
            f"{heads[4]} · {interval}": f"{percent(ranked.share.low[i])} – {percent(ranked.share.high[i])}",
        }
        for i in ranked.order
    ]
    with st.expander(text("importance.page.table", lang), icon=":material/table:"):
        st.dataframe(rows, hide_index=True, width="stretch")
    with st.expander(text("importance.page.how", lang), icon=":material/functions:"):
        st.markdown(plain(text("importance.page.method", lang)))


def take_along(whole: Whole, lang: str) -> None:
    """The machine's form as a file."""
    st.download_button(
        text("importance.page.json", lang),
        lambda: json.dumps(to_dict(whole), ensure_ascii=False, allow_nan=False).encode(),
        file_name=f"{whole.bundle.name}.importance.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
