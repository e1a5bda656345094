"""The READMEs' tables of checks are made from the checklist; `python tests/test_readme.py` writes them anew."""

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


if __name__ == "__main__":
    for lang, file in FILES.items():
        file.write_text(MARKS.sub(lambda _, lang=lang: table(lang), file.read_text("utf-8")), "utf-8")
