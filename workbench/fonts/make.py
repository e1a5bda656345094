"""Make the fonts of this folder out of Noto Sans SC (SIL Open Font License 1.1, OFL.txt).

    npm pack @expo-google-fonts/noto-sans-sc && tar xzf expo-google-fonts-noto-sans-sc-*.tgz
    python -m workbench.fonts.make package

Kept: GB 2312, Latin, Greek, punctuation, signs, and the commonest characters of names that GB 2312 lacks. Hinting is dropped.
The family is renamed (the licence reserves only the name "Source"). Made from version 0.4.3 of the package, Noto Sans SC 2.004.
"""

import shutil
import sys
import unicodedata
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

from workbench.fonts import FAMILY, FOLDER

WEIGHTS = {"Regular": "400Regular/NotoSansSC_400Regular.ttf", "Bold": "700Bold/NotoSansSC_700Bold.ttf"}
BLOCKS = (
    (0x20, 0x24F),  # Latin
    (0x370, 0x3FF),  # Greek
    (0x2010, 0x2027),  # punctuation
    (0x2030, 0x205E),
    (0x2070, 0x20BF),  # superscripts, currencies
    (0x2100, 0x22FF),  # letterlike, arrows, mathematics
    (0x2460, 0x24FF),  # circled numbers
    (0x2500, 0x27BF),  # boxes, shapes, signs
    (0x3000, 0x303F),  # Chinese punctuation
    (0xFF01, 0xFFEF),  # full-width forms
)
IN_NAMES = "镕喆堃翀玥赟昇祎珺玮甯劼珅垚炜烨燊奭旻昉晅晧暐曈淏湉溁滢潆瀞珮琎琬瑀瑄璟璠甡祐祜祾綦翃芃芊芮苡茜莘莹菡萱葳蓁蓥蕙薏蘅诜赪逄邴郄郇郗鄢钰铄锜锳镛闫阚霈霏颀颉颋飏飑馗骁骅骐鹍鹓麒黧龑"
FEATURES = ["kern", "mark", "mkmk", "ccmp", "locl", "palt", "halt", "liga", "pwid"]


def wanted() -> set[int]:
    """Code points to keep, printable ones only."""
    gb2312 = (bytes((a, b)) for a in range(0xA1, 0xF8) for b in range(0xA1, 0xFF))
    chinese = "".join(pair.decode("gb2312", errors="ignore") for pair in gb2312)
    found = {ord(c) for c in chinese + IN_NAMES} | {c for low, high in BLOCKS for c in range(low, high + 1)}
    return {c for c in found if unicodedata.category(chr(c)) not in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}}


def cut(source: Path, weight: str) -> set[int]:
    """Write one weight of the subset; gives the code points that it holds."""
    font = TTFont(source, recalcTimestamp=False)
    options = subset.Options(hinting=False, layout_features=FEATURES, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    worker = subset.Subsetter(options)
    worker.populate(unicodes=wanted())
    worker.subset(font)
    new = {1: FAMILY, 3: f"{FAMILY} {weight}", 4: f"{FAMILY} {weight}", 6: f"{FAMILY.replace(' ', '')}-{weight}"}
    for record in font["name"].names:
        if record.nameID in new:
            record.string = new[record.nameID]
    for table in ("STAT", "vhea", "vmtx"):
        if table in font:
            del font[table]
    font.save(FOLDER / f"WorkbenchSansSC-{weight}.ttf")
    return set(font.getBestCmap())


def main(package: Path) -> None:
    """Cut both weights, list their characters, copy the licence."""
    held = [cut(package / file, weight) for weight, file in WEIGHTS.items()]
    both = "".join(sorted(map(chr, held[0] & held[1])))
    (FOLDER / "characters.txt").write_text(both + "\n", "utf-8")
    shutil.copyfile(package / "LICENSE_FONT", FOLDER / "OFL.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
