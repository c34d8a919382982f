from pathlib import Path

from fontTools.ttLib import TTFont

from alerts.fonts import FONT
from alerts.fonts.subset import make, wanted


def test_the_font_has_what_chinese_texts_are_written_in() -> None:
    known = TTFont(FONT).getBestCmap()
    beyond = FONT.with_name("beyond_gb2312.txt").read_text(encoding="utf-8")
    needed = set("守望望亭镇燃气浓度％LEL水位℃㎡²³≥…“”【】，。：；①→" + "".join(beyond.split()))
    needed |= {bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF)}
    assert {sign for sign in needed if ord(sign) not in known} == set()
    assert FONT.stat().st_size < 3_500_000
    assert "SIL OPEN FONT LICENSE" in FONT.with_name("OFL.txt").read_text(encoding="utf-8")


def test_a_subset_is_made_again_byte_by_byte(tmp_path: Path) -> None:
    again = tmp_path / "again.ttf"
    count = make(FONT, again)
    assert again.read_bytes() == FONT.read_bytes()
    assert count <= len(wanted())
