import numpy as np
import pytest

from workbench.models import python


def write(folder, code):
    (folder / "author.py").write_text(code)
    return folder / "author.py"


def test_a_function_gets_a_frame_with_the_manifests_columns(tmp_path):
    path = write(tmp_path, "def f(frame):\n    return frame['b'] - frame['a']\n")
    model = python.load(path, "author:f", ("a", "b"))
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 3.0], [2.0, 2.0]])), [2.0, 0.0])


@pytest.mark.parametrize("answer", ["[[1.0], [2.0]]", "[1.0]", "5.0"])
def test_anything_but_a_number_a_row_is_an_error(tmp_path, answer):
    model = python.load(write(tmp_path, f"def f(frame):\n    return {answer}\n"), "author:f", ("a",))
    with pytest.raises(ValueError, match="2 rows"):
        model.predict(np.zeros((2, 1)))


def test_inspecting_runs_nothing(tmp_path):
    assert python.inspect(write(tmp_path, "raise SystemExit\n")) == ()


def test_it_needs_an_entry(tmp_path):
    with pytest.raises(ValueError, match="entry"):
        python.load(write(tmp_path, ""), None, ("a",))
