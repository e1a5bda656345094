"""Cells become numbers and moments only where that is certain, and every conversion is counted."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.reading.columns import Column, anything, numbers, texts, times
from workbench.schema import BadInputError
from workbench.text import say


def column(*cells: object, decimal_comma: bool = False, kind: pa.DataType | None = None) -> Column:
    return Column("t.csv", "x", pa.chunked_array([pa.array(list(cells), kind)]), 2, decimal_comma)


def counts(notes) -> dict[str, object]:
    assert all(say(note, "en") and say(note, "zh") for note in notes)
    return {note.values["kind"].key.removeprefix("fault.kind."): note.values["count"] for note in notes}


def refused(read, *cells: object, **how: object) -> tuple[str, int | None]:
    with pytest.raises(BadInputError) as raised:
        read(column(*cells, **how))
    (fault,) = raised.value.faults
    assert (fault.file, fault.place) == ("t.csv", "x")
    assert fault.spoken("en") != fault.spoken("zh")
    return fault.key.removeprefix("fault.column."), fault.row


@pytest.mark.parametrize(
    ("cells", "expected", "kinds"),
    [
        (["1", " 2.5 ", "-3e-2", "1E5"], [1, 2.5, -0.03, 1e5], {}),
        (["1", "", None], [1, np.nan, np.nan], {}),
        (["1,234,567.5", "-1,000", "12"], [1234567.5, -1000, 12], {"thousands": 2}),
        (["2.5%", "0", "-10 %"], [0.025, 0, -0.1], {"percent": 2}),
        (["(0.02)", "(1,500)"], [-0.02, -1500], {"brackets": 2, "thousands": 1}),
        (["１．５", "（2）", "３０"], [1.5, -2, 30], {"full_width": 3, "brackets": 1}),
        (["N/A", "--", "NaN", "null", "—", "7"], [np.nan] * 5 + [7], {"missing": 5}),
        (["−1.5", "+2", ".5", "3."], [-1.5, 2, 0.5, 3], {"full_width": 1}),
        (["1e400", "-inf"], [np.inf, -np.inf], {}),
    ],
)
def test_text_becomes_numbers_with_a_count_of_each_conversion(cells, expected, kinds):
    values, notes = numbers(column(*cells))
    assert values.dtype == np.float64
    assert np.array_equal(values, expected, equal_nan=True)
    assert counts(notes) == kinds


def test_decimal_commas():
    values, notes = numbers(column("1,5", "1.234,5", "-0,25", "7", "1.000.000", "2,5e3", decimal_comma=True))
    assert values.tolist() == [1.5, 1234.5, -0.25, 7, 1_000_000, 2500]
    assert counts(notes) == {"decimal_comma": 4, "thousands": 2}
    assert refused(numbers, "1,5", "1.5", decimal_comma=True) == ("text_in_numbers", 3)


@pytest.mark.parametrize(
    "cell", ["abc", "1.2.3", "1 2", "12,34", "000001", "2020-01-01", "1_000", "0x1f", "()", "%", "1,23,456"]
)
def test_what_is_no_number_is_refused_by_row(cell):
    assert refused(numbers, "1", "2", cell, "3") == ("text_in_numbers", 4)


def test_a_column_half_in_per_cent_is_refused():
    assert refused(numbers, "2%", "3%", "0.02") == ("percent_mixed", 4)


def test_typed_columns():
    assert numbers(column(True, False, None))[0].tolist()[:2] == [1, 0]
    assert numbers(column(1, 2, kind=pa.decimal128(5, 2)))[0].tolist() == [1, 2]
    assert np.isnan(numbers(column(None, None))[0]).all()
    assert refused(numbers, pd.Timestamp("2020-01-01"))[0] == "not_numbers"
    assert refused(numbers, b"1")[0] == "not_numbers"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=100, deadline=None)
def test_every_float_comes_back_to_the_last_bit(values):
    assert numbers(column(*map(repr, values)))[0].tolist() == values


@given(st.text(max_size=12), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_cell_is_a_number_a_gap_or_a_fault(cell, decimal_comma):
    try:
        values, _ = numbers(column(cell, decimal_comma=decimal_comma))
    except BadInputError as error:
        assert error.faults[0].row == 2  # noqa: PT017 - either way is right
    else:
        assert values.shape == (1,)


def test_codes_stay_text():
    assert texts(column("000001", " 600519 ")).tolist() == ["000001", "600519"]
    assert anything(column("000001", "600519")).tolist() == ["000001", "600519"]
    assert anything(column("1", "2.5")).tolist() == [1, 2.5]
    assert texts(column(1, 2)).tolist() == ["1", "2"]
    assert refused(texts, "a", "") == ("missing_text", 3)


@pytest.mark.parametrize(
    "cells",
    [
        ["2020-01-31", "2020-02-01"],
        ["2020/1/31", "2020/2/1"],
        ["2020.01.31", "2020.02.01"],
        ["20200131", "20200201"],
        ["2020年1月31日", "2020年2月1日"],
        ["２０２０-０１-３１", "２０２０-０２-０１"],
        ["31/01/2020", "01/02/2020"],
        ["1/31/2020", "2/1/2020"],
        ["2020-01-31 00:00:00", "2020-02-01 00:00:00"],
        ["2020-01-31T00:00", "2020-02-01T00:00"],
        ["2020-01-31T00:00+08:00", "2020-02-01T00:00+0800"],
        [20200131, 20200201],
        [20200131.0, 20200201.0],
        [pd.Timestamp("2020-01-31"), pd.Timestamp("2020-02-01")],
        [pd.Timestamp("2020-01-31", tz="Asia/Shanghai"), pd.Timestamp("2020-02-01", tz="Asia/Shanghai")],
    ],
    ids=str,
)
def test_dates_of_every_usual_writing_are_the_same_days(cells):
    index, notes = times(column(*cells))
    assert index.tolist() == [pd.Timestamp("2020-01-31"), pd.Timestamp("2020-02-01")]
    assert index.tz is None
    assert all(say(note, "zh") for note in notes)


def test_clocks_keep_their_parts():
    assert times(column("2020-01-31 9:30", "2020-01-31 14:59:59.5"))[0].tolist() == [
        pd.Timestamp("2020-01-31 09:30"),
        pd.Timestamp("2020-01-31 14:59:59.5"),
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([43861, 43862], ("time_serial", 2)),
        (["43861.5", "43862.5"], ("time_serial", 2)),
        ([1580428800, 1580515200], ("time_epoch", 2)),
        (["1580428800000"], ("time_epoch", 2)),
        ([pd.Timestamp(20200131), pd.Timestamp(20200201)], ("epoch_1970", 2)),
        (["31/01/2020", "01/31/2020"], ("day_month_mixed", 3)),
        (["01/02/2020", "03/04/2020"], ("day_month_unclear", 2)),
        (["2020-01-31", "31/01/2020"], ("time_formats", 3)),
        (["2020-01-31T09:00+08:00", "2020-02-01T09:00Z"], ("time_zones", 3)),
        (["2020-01-31T09:00+08:00", "2020-02-01T09:00"], ("time_zones", 3)),
        (["2020-01-31", "2020-02-30"], ("no_such_day", 3)),
        (["2020-01-31", "20200231"], ("time_formats", 3)),
        (["20200131", "20201301"], ("no_such_day", 3)),
        (["2020-01-31", ""], ("missing_time", 3)),
        (["soon"], ("time_unreadable", 2)),
        (["2020-01-31 25:00"], ("time_unreadable", 2)),
        ([True], ("not_times", None)),
        ([1.5], ("time_unreadable", 2)),
    ],
    ids=str,
)
def test_dates_that_could_be_others_are_refused_with_the_reason(cells, expected):
    assert refused(times, *cells) == expected


def test_days_of_1970_are_days_in_a_long_history():
    assert times(column("1969-12-31", "1970-01-01"))[0].year.tolist() == [1969, 1970]


def test_missing_times_where_they_may_be():
    assert times(column("2020-01-31", ""), missing=True)[0].isna().tolist() == [False, True]
    assert times(column("", ""), missing=True)[0].isna().all()


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_time_or_a_fault(cells):
    try:
        index, _ = times(column(*cells))
    except BadInputError as error:
        assert error.faults[0].spoken("zh")  # noqa: PT017 - either way is right
    else:
        assert not index.isna().any()
