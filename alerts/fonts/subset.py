"""Makes the font again from a whole one: `python -m alerts.fonts.subset NotoSansSC-Regular.ttf`; needs [reports].

It keeps ASCII and Latin-1, the signs that texts and units use, GB 2312, and what the Table of General Standard Chinese
Characters (通用规范汉字表, 8,105 characters) has beyond it, which is listed in beyond_gb2312.txt.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from alerts.fonts import FONT

_BLOCKS = (
    (0x20, 0x7E),  # ASCII
    (0xA0, 0xFF),  # Latin-1
    (0x2010, 0x2044),  # punctuation
    (0x2070, 0x209F),  # superscripts and subscripts
    (0x2100, 0x214F),  # letterlike signs: ℃, №
    (0x2190, 0x2199),  # arrows
    (0x2460, 0x2473),  # circled numbers
    (0x3000, 0x303F),  # Chinese punctuation
    (0x3380, 0x33DF),  # squared units: ㎡, ㎎
    (0xFF01, 0xFF5E),  # full width
    (0xFFE0, 0xFFE5),
)
_SIGNS = "≈≠≤≥□■○●△▲▽▼◇◆☆★√✓✗"
_DROPPED = ("BASE", "GDEF", "GPOS", "GSUB", "STAT", "vhea", "vmtx", "gasp", "prep")


def wanted() -> frozenset[int]:
    """The code points that the subset is asked to have."""
    blocks = (code for first, last in _BLOCKS for code in range(first, last + 1))
    beyond = FONT.with_name("beyond_gb2312.txt").read_text(encoding="utf-8")
    listed = (ord(sign) for text in (_SIGNS, "".join(beyond.split()), *_gb2312()) for sign in text)
    return frozenset((*blocks, *listed))


def make(whole: Path, subset: Path) -> int:
    """Write the subset of a whole font; how many characters it has. The same font makes the same bytes."""
    font = TTFont(whole, recalcTimestamp=False)
    options = Options(hinting=False, layout_features=[], notdef_outline=True, recalc_timestamp=False)
    options.drop_tables += _DROPPED
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    cut = Subsetter(options)
    cut.populate(unicodes=wanted())
    cut.subset(font)
    font.save(subset)
    return len(font.getBestCmap())


def _gb2312() -> Iterator[str]:
    for row in range(0xA1, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                yield bytes((row, cell)).decode("gb2312")
            except UnicodeDecodeError:
                continue  # a cell that the standard leaves free


if __name__ == "__main__":
    count = make(Path(sys.argv[1]), FONT)
    sys.stdout.write(f"{FONT.name}: {count} characters, {FONT.stat().st_size} bytes\n")
