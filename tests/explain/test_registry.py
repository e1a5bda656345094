import pytest

from workbench import explain


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
        assert isinstance(found.EXACT, bool)
        assert callable(found.applies)
        assert callable(found.explain)


@pytest.mark.parametrize("name", ["__init__", "os", "../desk", "", "tree_shap.py"])
def test_a_name_from_outside_is_looked_up_never_imported(name):
    with pytest.raises(KeyError):
        explain.find(name)


def test_auto_prefers_the_exact_method():
    assert explain.choose(KnowsItsTrees()) == "tree_shap"
    assert explain.choose(OnlyPredicts()) == "shap"
    assert not explain.find("tree_shap").applies(OnlyPredicts())
