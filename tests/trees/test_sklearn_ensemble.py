"""An ensemble read from a fitted scikit-learn estimator goes every way that the estimator goes."""

import numpy as np
import pytest
import shap
from builders_forests import WIDTH, labels, probes, rows
from sklearn import ensemble as sk
from sklearn._loss.loss import HalfTweedieLoss
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from threadpoolctl import threadpool_limits
from trees.walk import check, outputs, shapley

from workbench.trees.sklearn_ensemble import ensemble

SEED = {"random_state": 0}
FEW = {**SEED, "n_estimators": 6, "max_depth": 4}
TAKE_GAPS = [
    DecisionTreeRegressor(**SEED),
    DecisionTreeRegressor(max_depth=1),
    DecisionTreeRegressor(min_samples_leaf=1000),
    DecisionTreeRegressor(criterion="absolute_error", max_depth=3, **SEED),
    ExtraTreeRegressor(max_depth=5, **SEED),
    DecisionTreeClassifier(max_depth=4, **SEED),
    ExtraTreeClassifier(max_depth=4, **SEED),
    sk.RandomForestRegressor(**FEW),
    sk.RandomForestRegressor(bootstrap=False, max_features=2, **FEW),
    sk.RandomForestClassifier(**FEW),
    sk.RandomForestClassifier(class_weight="balanced", **FEW),
    sk.ExtraTreesRegressor(**FEW),
    sk.ExtraTreesClassifier(**FEW),
]
HISTOGRAMS = [
    sk.HistGradientBoostingRegressor(max_iter=8, max_leaf_nodes=8, **SEED),
    sk.HistGradientBoostingRegressor(max_iter=8, loss="absolute_error", max_leaf_nodes=6, early_stopping=True, **SEED),
    sk.HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=1000),
    sk.HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=5, learning_rate=0.9, early_stopping=True, n_iter_no_change=2, **SEED
    ),
    sk.HistGradientBoostingClassifier(max_iter=8, max_depth=3, **SEED),
]
WHOLE = [
    sk.GradientBoostingRegressor(**FEW),
    sk.GradientBoostingRegressor(init="zero", loss="huber", **FEW),
    sk.GradientBoostingRegressor(init=DummyRegressor(strategy="median"), subsample=0.5, **FEW),
    sk.GradientBoostingClassifier(**FEW),
    sk.GradientBoostingClassifier(loss="exponential", **FEW),
    sk.GradientBoostingClassifier(init=DummyClassifier(strategy="prior"), **FEW),
]
OTHERS = [
    LinearRegression(),
    sk.AdaBoostRegressor(n_estimators=2),
    sk.BaggingRegressor(n_estimators=2),
    sk.IsolationForest(n_estimators=2),
    sk.GradientBoostingRegressor(init=DecisionTreeRegressor(max_depth=1), n_estimators=2),
    sk.GradientBoostingClassifier(init=DummyClassifier(strategy="stratified"), n_estimators=2),
    sk.HistGradientBoostingRegressor(loss="poisson", max_iter=2),
    sk.HistGradientBoostingRegressor(loss=HalfTweedieLoss(), max_iter=2),
    make_pipeline(StandardScaler(), DecisionTreeRegressor()),
]


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def fitted(model, X, *, weighted: bool = False):
    y = labels()
    if "Classifier" in type(model).__name__:
        y = np.where(y > 1, "up", "down")
    elif model in OTHERS:
        y = np.abs(y)
    return (
        model.fit(X, y, sample_weight=np.random.default_rng(5).integers(0, 4, len(y))) if weighted else model.fit(X, y)
    )


def read(model):
    found = ensemble(model)
    check(found, WIDTH)
    return found


def raw(model, X):
    """What the ensemble is said to give: the prediction, P(y = 1), or a booster's log-odds."""
    if hasattr(model, "decision_function"):
        return model.decision_function(X)
    return model.predict_proba(X)[:, 1] if hasattr(model, "predict_proba") else model.predict(X)


def filled(X):
    return np.nan_to_num(X, nan=0.1)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("model", TAKE_GAPS + HISTOGRAMS, ids=str)
def test_rows_go_where_the_estimator_sends_them(model, weighted):
    model = fitted(model, rows(), weighted=weighted)
    found = read(model)
    X = probes(found, infinite=model in HISTOGRAMS)
    np.testing.assert_allclose(outputs(found, X), raw(model, X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("model", WHOLE, ids=str)
def test_boosters_without_gaps(model):
    model = fitted(model, filled(rows()))
    found = read(model)
    X = probes(found, missing=False, infinite=False)
    np.testing.assert_allclose(outputs(found, X), raw(model, X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "model", [TAKE_GAPS[1], TAKE_GAPS[3], TAKE_GAPS[5], *TAKE_GAPS[7:], *HISTOGRAMS, WHOLE[0], WHOLE[3]], ids=str
)
def test_covers_are_those_of_shap(model, weighted):
    gaps = model in HISTOGRAMS
    model = fitted(model, rows() if gaps else filled(rows()), weighted=weighted)
    found = read(model)
    X = rows()[:12] if gaps else filled(rows()[:12])
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    expected = np.asarray(explainer.shap_values(X, check_additivity=False))
    expected = expected[..., 1] if expected.ndim == 3 else expected
    values, base = shapley(found, X)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(values.sum(axis=1) + base, raw(model, X), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", [sk.HistGradientBoostingRegressor, sk.HistGradientBoostingClassifier])
def test_categories_that_nobody_knows_go_where_missing_values_go(kind, gaps):
    X = rows(categorical=gaps).copy()
    X[:, 4] -= 3
    X[:, 2] = np.round(X[:, 2])
    model = fitted(kind(max_iter=12, categorical_features=[2, 4], max_leaf_nodes=9, **SEED), X)
    found = read(model)
    assert (found.category_set >= 0).any()
    assert (found.category_set < 0).any()
    rows_ = probes(found, infinite=False, categories=True)
    rows_[:, 4] -= 3
    rows_ = np.vstack([rows_, X])
    np.testing.assert_allclose(outputs(found, rows_), raw(model, rows_), rtol=1e-12, atol=1e-14)
    values, base = shapley(found, rows_[::40])
    np.testing.assert_allclose(values.sum(axis=1) + base, raw(model, rows_[::40]), rtol=1e-10)


def test_categories_that_are_no_whole_numbers_have_no_ensemble():
    X = rows().copy()
    X[:, 4] = X[:, 4] % 4 + 0.5
    assert ensemble(fitted(sk.HistGradientBoostingRegressor(max_iter=3, categorical_features=[4]), X)) is None


@pytest.mark.parametrize("model", OTHERS, ids=str)
def test_what_is_no_sum_of_trees_has_no_ensemble(model):
    assert ensemble(fitted(model, filled(rows()))) is None


def test_more_than_one_output_or_two_classes_has_no_ensemble():
    X, y = filled(rows()), labels()
    many = np.digitize(y, [0.5, 1.0, 1.5])
    assert ensemble(DecisionTreeRegressor().fit(X, np.column_stack([y, y]))) is None
    for kind in (DecisionTreeClassifier(), sk.RandomForestClassifier(n_estimators=2)):
        assert ensemble(kind.fit(X, many)) is None
        assert ensemble(kind.fit(X, y * 0)) is None
    for kind in (sk.GradientBoostingClassifier(n_estimators=2), sk.HistGradientBoostingClassifier(max_iter=2)):
        assert ensemble(kind.fit(X, many)) is None


def test_an_estimator_of_the_same_name_is_not_taken_for_the_librarys():
    own = type("DecisionTreeRegressor", (DecisionTreeRegressor,), {"__module__": "somebody"})
    assert ensemble(fitted(own(), filled(rows()))) is None
