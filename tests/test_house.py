"""The house keeps its rules, and each rule catches a tree that breaks it."""

from pathlib import Path

import house as rules
import pytest

ROOT = Path(__file__).parent.parent
HOUSE = rules.House(ROOT)
RULES = [
    rules.arrows_point_down,
    rules.init_hands_out_nothing,
    rules.libraries_stay_home,
    rules.locks_hold,
    rules.measures_have_their_table,
    rules.no_machine_is_named,
    rules.nothing_dangerous,
    rules.nothing_is_called_utils,
    rules.registries_are_complete,
    rules.rooms_are_small,
    rules.used_keys_exist,
    rules.words_are_used,
]
LONG = "def f():\n" + "    x = 1\n" * 41
BROKEN = [
    (
        rules.arrows_point_down,
        "workbench/desk.py",
        "from workbench.audit import audit\n",
        "imports audit (floor",
    ),
    (
        rules.arrows_point_down,
        "workbench/schema.py",
        "def f():\n    from workbench import bundles\n",
        "imports bundles",
    ),
    (rules.arrows_point_down, "workbench/audit.py", "from workbench.charts import theme\n", "imports charts (floor"),
    (rules.arrows_point_down, "workbench/attic.py", "", "attic stands on no floor"),
    (rules.init_hands_out_nothing, "workbench/__init__.py", '"""Doc."""\nfrom workbench.desk import Desk\n', "holds"),
    (rules.libraries_stay_home, "workbench/cli.py", "def f():\n    import lightgbm as lgb\n", "lightgbm lives in"),
    (rules.libraries_stay_home, "workbench/report.py", "from streamlit import write\n", "streamlit lives in pages/"),
    (rules.libraries_stay_home, "pages/app.py", "import altair.vegalite\n", "altair lives in"),
    (rules.locks_hold, "requirements.lock", "# https://a.host/simple\n", "names an address"),
    (rules.locks_hold, "requirements.lock", "a==1 \\\n    --hash=sha256:0\nb==2\n", "b==2 bears no hash"),
    (rules.locks_hold, "requirements.lock", "a==1 \\\n    --hash=sha256:0\n", "requirements-test.lock lacks a==1"),
    (rules.measures_have_their_table, "workbench/checks/time.py", "def overlap(): ...\n", "time.overlap"),
    (rules.measures_have_their_table, "audits/one/time.toml", '[overlap]\ncode = "T1"\n', "time.overlap"),
    (rules.no_machine_is_named, "README.md", "cd /" + "work/main", "README.md: /" + "work/m"),
    (rules.no_machine_is_named, "a.lock", "files.python" + "hosted.org", "a.lock"),
    (rules.nothing_dangerous, "workbench/a.py", "def f():\n    import pickle\n", "imports pickle"),
    (rules.nothing_dangerous, "workbench/a.py", "np.load(p, allow_pickle=True)\n", "allow_pickle"),
    (rules.nothing_dangerous, "workbench/a.py", "eval('1')\n", "eval"),
    (rules.nothing_dangerous, "pages/a.py", "st.markdown(x, unsafe_allow_html=True)\n", "unsafe_allow_html"),
    (rules.nothing_dangerous, "pages/a.py", "st.components.v1.html(x)\n", "components.v1.html"),
    (rules.nothing_dangerous, "workbench/a.py", "subprocess.run(x, shell=True)\n", "shell=True"),
    (rules.nothing_is_called_utils, "workbench/utils.py", "", "workbench/utils.py"),
    (rules.registries_are_complete, "workbench/models/onnx.py", "def load(): ...\n", "lacks inspect"),
    (rules.registries_are_complete, "workbench/explain/lime.py", "EXACT = False\n", "lacks applies"),
    (rules.rooms_are_small, "workbench/a.py", "x = 1\n" * 301, "301 lines"),
    (rules.rooms_are_small, "pages/a.py", "x = 1\n" * 61, "61 lines"),
    (rules.rooms_are_small, "workbench/a.py", LONG, "f has 42 lines"),
    (rules.used_keys_exist, "workbench/a.py", "text('cli.none', lang)\n", "no words for 'cli.none'"),
    (rules.used_keys_exist, "workbench/a.py", "schema.Message('cli.none', {})\n", "no words for 'cli.none'"),
    (rules.words_are_used, "workbench/words/cli.toml", 'idle = { en = "a", zh = "b" }\n', "cli.idle"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule):
    broken = rule(HOUSE)
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(("rule", "name", "text", "told"), BROKEN, ids=lambda x: getattr(x, "__name__", None))
def test_a_breach_is_seen(rule, name, text, told, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text, "utf-8")
    assert told in "\n".join(rule(rules.House(tmp_path)))


def test_every_rule_has_its_breach():
    assert {rule for rule, *_ in BROKEN} == set(RULES)


def test_a_docstring_does_not_count_as_code(tmp_path):
    (tmp_path / "workbench").mkdir()
    (tmp_path / "workbench/a.py").write_text('def f():\n    """' + "A line.\n" * 50 + '"""\n    return 1\n')
    assert rules.rooms_are_small(rules.House(tmp_path)) == []


def test_the_command_line_starts_without_the_heavy_libraries():
    assert rules.loaded_by("import workbench.cli", rules.HEAVY, ROOT) == []


def test_the_app_never_loads_what_runs_models():
    parts = [f"parts.{path.stem}" for path in sorted((ROOT / "pages" / "parts").glob("[a-z]*.py"))]
    statement = "\n".join(f"import {name}" for name in ("shell", *parts))
    assert rules.loaded_by(statement, rules.ONLY_IN_WORKERS, ROOT, ROOT / "pages") == []


def test_a_loaded_library_is_seen():
    assert rules.loaded_by("import sqlite3, json", {"sqlite3", "altair"}) == ["sqlite3"]
