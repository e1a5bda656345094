import numpy as np
import pandas as pd
import pytest
from desk_bundles import FEATURES, ROWS, python_bundle

from workbench import decision
from workbench.schema import BadInputError


@pytest.fixture
def bundle(tmp_path):
    return python_bundle(tmp_path, "product")


def fault(call):
    with pytest.raises(BadInputError) as caught:
        call()
    return caught.value.faults[0]


def test_the_last_row_is_the_default(bundle):
    assert decision.locate(bundle) == ROWS - 1


def test_a_decision_is_found_by_its_time(bundle):
    assert decision.locate(bundle, "2020-01-02") == 1
    assert decision.locate(bundle, pd.Timestamp("2020-01-03")) == 2


def test_a_weekend_names_the_decisions_around_it(bundle):
    found = fault(lambda: decision.locate(bundle, "2020-01-04"))
    assert found.key == "desk.no_such_time"
    assert found.values["nearest"] == "2020-01-03, 2020-01-06"


def test_what_is_no_time_is_said_so(bundle):
    assert fault(lambda: decision.locate(bundle, "soon")).key == "desk.not_a_time"


def test_several_instruments_a_date_need_a_name(tmp_path):
    bundle = python_bundle(tmp_path, "product", np.array(["bund", "oat"]))
    assert decision.locate(bundle, "2020-01-02", "oat") == 3
    assert decision.locate(bundle, entity="bund") == ROWS - 2
    assert fault(lambda: decision.locate(bundle, "2020-01-02")).key == "desk.which_entity"
    assert fault(lambda: decision.locate(bundle, entity="gilt")).values["known"] == "bund, oat"


def test_an_instrument_is_refused_where_there_are_none(bundle):
    assert fault(lambda: decision.locate(bundle, entity="bund")).key == "desk.no_such_entity"


def test_the_background_was_known_at_the_decision(bundle):
    found = decision.background(bundle, 150, seed=0)
    known = {row.tobytes() for row in bundle.panel.X[:150]}
    assert found.facts() == {"rows": 100, "of": 150, "first": "2020-01-01", "last": found.last, "block": 5, "seed": 0}
    assert found.last <= decision.spoken_time(bundle.panel.times[149])
    assert all(row.tobytes() in known for row in found.rows)
    np.testing.assert_array_equal(found.rows, decision.background(bundle, 150, seed=0).rows)
    assert not np.array_equal(found.rows, decision.background(bundle, 150, seed=1).rows)


def test_the_background_of_a_model_that_cannot_take_missing_values_has_none(bundle):
    bundle.panel.table.iloc[::2, 0] = np.nan
    assert np.isnan(decision.background(bundle, 150, seed=0).rows).any()
    found = decision.background(bundle, 150, seed=0, most=50, missing=False)
    assert np.isfinite(found.rows).all()
    assert (len(found.rows), found.known) == (50, 75)


def test_the_first_decision_has_only_itself(bundle):
    np.testing.assert_array_equal(decision.background(bundle, 0, seed=0).rows, bundle.panel.X[:1])


def test_the_trained_range_ends_with_training(bundle):
    model = bundle.models[0]
    trained = decision.training_rows(bundle, model)
    assert bundle.panel.times[trained].max() <= pd.Timestamp("2020-06-30")
    assert trained.sum() == (bundle.panel.times <= "2020-06-30").sum()
    row = bundle.panel.X[trained].max(axis=0)
    assert decision.outside_trained_range(bundle, model, row) == ()
    row[1] += 1e-9
    assert decision.outside_trained_range(bundle, model, row) == (FEATURES[1],)
    row[1] = np.nan
    assert decision.outside_trained_range(bundle, model, row) == ()
