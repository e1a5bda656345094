"""`workbench importance`: what the model leans on over the whole panel."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import console
from workbench.cli_options import Bundle, Feature, Json, Lang, Language, Seed, Trust, helped
from workbench.text import say, text

if TYPE_CHECKING:  # pandas would make --help slow
    from workbench.importance.measures import Groups
    from workbench.importance.whole import Whole


def command(
    bundle: Bundle,
    feature: Feature = None,
    pairs: Annotated[bool, typer.Option("--pairs", help=helped("pairs"))] = False,
    seed: Seed = 0,
    lang: Language = Lang.en,
    json_file: Json = None,
    trust_code: Trust = False,
) -> None:
    """Explain every row and rank the features, with error bars that know of persistence."""
    from workbench.importance.form import to_dict

    whole = explained(bundle, lang, seed=seed, trust_code=trust_code, feature=feature, pairs=pairs)
    if json_file:
        console.emit(json_file, to_dict(whole, feature))
        return
    _features(whole, lang)
    _groups("family", whole.families, [text(f"family.{name}", lang) for name in whole.families.names], lang)
    if feature is not None:
        _dependence(whole, feature, lang)
    if pairs:
        _pairs(whole, lang)
    for sentence in whole.sentences:
        console.out.print(say(sentence, lang))


def explained(
    bundle: str, lang: Lang, *, seed: int, trust_code: bool, feature: str | None = None, pairs: bool = False
) -> "Whole":
    """Load and explain every row, with a progress bar (on a terminal only); `feature` is looked up before the work."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from workbench.bundles import format_of, load_bundle
    from workbench.desk import Desk
    from workbench.importance.whole import explain_panel, position, with_interactions
    from workbench.schema import BadInputError, CannotMeasureError, Fault

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    quiet = not console.err.is_terminal
    with (
        Desk(formats=format_of(bundle)) as desk,
        Progress(*columns, console=console.err, transient=True, disable=quiet) as bar,
    ):
        found = load_bundle(bundle, trust_code=trust_code)
        if feature is not None:
            position(found, feature)
        task = bar.add_task(found.name)

        def step(done: int, total: int, key: str = "importance.explaining") -> None:
            words = text(key, lang, done=f"{done:,}", total=f"{total:,}")
            bar.update(task, completed=done, total=total, description=words)

        try:
            whole = explain_panel(found, desk, seed, step)
        except CannotMeasureError as without:
            fault = Fault(without.message.key, "bundle.toml", "[model] format", values=without.message.values)
            raise BadInputError([fault]) from without
        return with_interactions(whole, desk, partial(step, key="importance.combining")) if pairs else whole


def _features(whole: "Whole", lang: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from workbench.charts.theme import amount
    from workbench.charts.whiskers import share as percent

    ranked, table = whole.importance, Table(box=None, pad_edge=False)
    for name in ("rank", "interval", "feature", "family", "mean_abs", "interval", "share", "interval"):
        side = "left" if name in {"feature", "family"} else "right"
        table.add_column(text(f"importance.table.{name}", lang), justify=side)  # type: ignore[arg-type]
    step = float(ranked.mean.value.max()) / 10
    for i in ranked.order:
        name, mean, share = whole.bundle.panel.features[i], ranked.mean, ranked.share
        value, low, high = (amount(each[i], whole.output, step=step) for each in (mean.value, mean.low, mean.high))
        cells = [str(ranked.rank[i]), f"{ranked.rank_low[i]} – {ranked.rank_high[i]}", name]
        cells += [text(f"family.{whole.bundle.family(name)}", lang), value, f"{low} – {high}"]
        cells += [percent(share.value[i]), f"{percent(share.low[i])} – {percent(share.high[i])}"]
        table.add_row(*map(Text, cells))
    console.out.print(table)


def _groups(heading: str, groups: "Groups", names: list[str], lang: str) -> None:
    from rich.table import Table

    from workbench.charts.whiskers import share as percent

    table = Table(box=None, pad_edge=False)
    for name in (heading, "features", "share", "interval"):
        side = "left" if name == heading else "right"
        table.add_column(text(f"importance.table.{name}", lang), justify=side)  # type: ignore[arg-type]
    for i, name in enumerate(names):
        share = groups.share
        spread = f"{percent(share.low[i])} – {percent(share.high[i])}"
        table.add_row(name, str(groups.sizes[i]), percent(share.value[i]), spread)
    console.out.print(table)


def _dependence(whole: "Whole", feature: str, lang: str) -> None:
    from rich.table import Table

    from workbench.charts.theme import amount, digits

    found = whole.dependence(whole.feature(feature))
    partner = "–" if found.partner is None else whole.bundle.panel.features[found.partner]
    console.out.print(text("importance.partner", lang, feature=feature, partner=partner))
    table = Table(box=None, pad_edge=False)
    for name in ("third", "value", "mean", "spread", "count"):
        table.add_column(text(f"importance.table.{name}", lang), justify="right")
    thirds = [text(f"importance.third.{name}", lang) for name in ("low", "middle", "high", "missing")]
    step = max((abs(mean) for _, _, mean, *_ in found.curves), default=0.0) / 10 or None
    for third, x, mean, low, high, rows in found.curves:
        spread = " – ".join(amount(end, whole.output, step=step) for end in (low, high))
        shown = amount(mean, whole.output, signed=True, step=step)
        table.add_row(thirds[third], digits(x), shown, spread, f"{rows:,}")
    console.out.print(table)


def _pairs(whole: "Whole", lang: str) -> None:
    from rich.table import Table

    from workbench.charts.theme import amount

    if whole.interactions is None:
        console.err.print(text("cli.warning", lang, sentence=say(whole.without, lang)))
        return
    table, found, features = Table(box=None, pad_edge=False), whole.interactions, whole.bundle.panel.features
    table.add_column(text("importance.table.pair", lang))
    for name in ("mean_pair", "interval"):
        table.add_column(text(f"importance.table.{name}", lang), justify="right")
    step = float(found.mean.value.max(initial=0.0)) / 10 or None
    for (i, j), *mean in zip(found.pairs, found.mean.value, found.mean.low, found.mean.high, strict=True):
        value, low, high = (amount(each, whole.output, step=step) for each in mean)
        table.add_row(f"{features[i]} × {features[j]}", value, f"{low} – {high}")
    console.out.print(table)
