"""Colours hold on light and dark (WCAG 2.2, 1.4.11: 3:1); words steer nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.charts import theme


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("surface", ["light", "dark"])
@pytest.mark.parametrize("colour", [theme.UP, theme.DOWN, theme.NEUTRAL, theme.LIMIT, *theme.SERIES])
def test_data_colours_are_seen_on_both_papers(surface, colour):
    assert contrast(colour, theme.INK[surface]["paper"]) >= 3


@pytest.mark.parametrize("surface", ["light", "dark"])
def test_text_reads_on_its_paper(surface):
    for ink in ("text", "quiet"):
        assert contrast(theme.INK[surface][ink], theme.INK[surface]["paper"]) >= 4.5


def test_a_figure_on_a_page_sets_no_background_and_no_ink_of_its_axes():
    assert "background" not in theme.config()
    assert "labelColor" not in theme.config()["axis"]


@given(st.text())
def test_clean_words_hold_only_what_xml_allows(words):
    cleaned = theme.clean(words)
    assert len(cleaned) == len(words)
    assert all(c >= " " and not "\u202a" <= c <= "\u202e" and not "\ud800" <= c <= "\udfff" for c in cleaned)


@given(st.lists(st.sampled_from(["a", "a (2)", "b", ""])))
def test_labels_become_unique(labels):
    assert len(set(theme.unique(labels))) == len(labels)


@given(st.text(st.sampled_from("ab 固收，")), st.integers(4, 40))
def test_wrapping_loses_no_word(words, columns):
    assert "".join("".join(theme.wrap(words, columns)).split()) == "".join(words.split())
