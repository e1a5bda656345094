"""The READMEs' tables are made from the checklist and from what was measured; `python tests/test_readme.py` writes them anew."""

import re
from pathlib import Path

import pytest

from workbench.checklist import Check, load_checklist
from workbench.text import text

ROOT = Path(__file__).parent.parent
FILES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh.md"}
HEADINGS = {
    "en": "| | check | pattern | unit | warn | fail | significance |",
    "zh": "| | 检查 | 误用模式 | 单位 | 关注 | 未通过 | 显著性 |",
}
MARKS = re.compile(r"(?<=<!-- checks -->\n).*?(?=<!-- /checks -->)", re.DOTALL)

TREES = re.compile(r"(?<=<!-- trees -->\n).*?(?=<!-- /trees -->)", re.DOTALL)
AIMS = re.compile(r"^\| aim \|.*?\n\n", re.DOTALL | re.MULTILINE)


def row(check: Check, lang: str) -> str:
    sign = ">" if check.fail_above is not None else "<"
    p = f"p ≤ {check.warn_p:g} / {check.fail_p:g}" if check.statistical else ""
    pattern, unit = text(f"audit.pattern.{check.pattern}", lang), text(f"audit.unit.{check.unit}", lang)
    title = getattr(check.title, lang)
    return f"| {check.code} | {title} | {pattern} | {unit} | {sign} {check.warn:g} | {sign} {check.fail:g} | {p} |"


def table(lang: str) -> str:
    rows = [HEADINGS[lang], "|---|---|---|---|---|---|---|", *(row(check, lang) for check in load_checklist())]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("lang", FILES)
def test_the_table_of_checks_is_the_checklist(lang):
    assert MARKS.search(FILES[lang].read_text("utf-8")).group() == table(lang)


def measured_aims() -> str:
    return AIMS.search((ROOT / "tests/bench/trees.md").read_text("utf-8")).group().rstrip("\n") + "\n"


def test_the_aims_of_the_tree_kernel_are_those_measured():
    assert TREES.search(FILES["en"].read_text("utf-8")).group() == measured_aims()


if __name__ == "__main__":
    for lang, file in FILES.items():
        file.write_text(MARKS.sub(lambda _, lang=lang: table(lang), file.read_text("utf-8")), "utf-8")
    english = FILES["en"].read_text("utf-8")
    FILES["en"].write_text(TREES.sub(lambda _: measured_aims(), english), "utf-8")
