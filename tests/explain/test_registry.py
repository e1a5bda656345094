import pytest

from workbench import explain
from workbench.schema import Message


class OnlyPredicts:
    feature_names = ()
    scale, takes_missing = "raw", True

    def predict(self, rows):
        return rows.sum(axis=1)


class KnowsItsTrees(OnlyPredicts):
    def contributions(self, rows):
        return rows, rows[:, 0]


def test_every_file_is_an_explainer():
    for name in explain.methods():
        found = explain.find(name)
        assert isinstance(found.WEIGHED, bool)
        assert callable(found.applies)
        assert callable(found.explain)


@pytest.mark.parametrize("name", ["__init__", "os", "../desk", "", "tree_shap.py"])
def test_a_name_from_outside_is_looked_up_never_imported(name):
    with pytest.raises(KeyError):
        explain.find(name)


def test_auto_prefers_what_is_exact_and_fits_the_budget():
    assert explain.choose({"shap": None, "lime": None}, 800) == ("shap", Message("desk.why.general"))
    name, why = explain.choose({"shap": None, "tree_shap": 100.0, "other": 50.0}, 800)
    assert (name, why.key, why.values["cost"]) == ("other", "desk.why.exact", 50.0)
    name, why = explain.choose({"shap": None, "tree_shap": 700.0}, 800)
    assert (name, why.key, why.values["method"]) == ("shap", "desk.why.slow", "tree_shap")


def test_only_a_model_that_knows_its_trees_is_asked_for_them():
    assert explain.find("tree_shap").applies(KnowsItsTrees())
    assert not explain.find("tree_shap").applies(OnlyPredicts())
