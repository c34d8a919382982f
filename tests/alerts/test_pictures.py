import io
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alerts.curves import LARGEST, Curve, LimitLine
from alerts.pictures import _drawable, _shown, draw
from core.clock import HOUR, SECOND
from tests.alerts.notices.notice_rows import NOW

SINCE = NOW - HOUR
LIMITS = [LimitLine(25, "报警"), LimitLine(50, "紧急")]


def curve(values: Sequence[float], every: int = 10 * SECOND, **given: object) -> Curve:
    """Readings every 10 s from the beginning of the hour on."""
    at = [SINCE + each * every for each in range(len(values))]
    return Curve("示例化工0123厂 可燃气体", at, values, "%LEL", LIMITS)._replace(**given)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(png: bytes, colour: tuple[int, int, int]) -> int:
    return int((abs(pixels(png) - colour).sum(axis=2) < 30).sum())


def test_it_is_a_small_png_of_one_size() -> None:
    png = draw(curve([5.0 + math.sin(each / 9) for each in range(360)]), NOW, "zh")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert Image.open(io.BytesIO(png)).size == (900, 480)
    assert len(png) < LARGEST / 10


def test_the_same_points_make_the_same_picture() -> None:
    points = curve([1.0, 2.0, 3.0])
    assert draw(points, NOW, "zh") == draw(points, NOW, "zh")


def test_each_limit_has_its_line_and_the_gravest_its_colour() -> None:
    both, none = draw(curve([5.0] * 360), NOW, "zh"), draw(curve([5.0] * 360, limits=[]), NOW, "zh")
    grave, mild = (185, 28, 28), (180, 83, 9)
    assert coloured(both, grave) > 500 < coloured(both, mild)
    assert coloured(none, grave) == coloured(none, mild) == 0


def test_a_limit_out_of_reach_is_in_sight() -> None:
    far = draw(curve([5.0] * 360, limits=[LimitLine(5000.0, "紧急")]), NOW, "zh")
    assert coloured(far, (185, 28, 28)) > 500


def test_a_gap_is_a_gap() -> None:
    values = [5.0] * 100
    at = [SINCE + each * 10 * SECOND for each in range(50)] + [
        SINCE + HOUR // 2 + each * 10 * SECOND for each in range(50)
    ]
    seconds, shown = _shown(Curve("", at, values), SINCE, NOW)
    assert np.isnan(shown).sum() == 1
    assert seconds[np.isnan(shown)][0] == 490.0


def test_thinning_keeps_every_peak() -> None:
    values = np.zeros(100_000)
    values[[777, 54_321]] = 99.0, -7.0
    at = (SINCE + np.linspace(0, HOUR, len(values))).astype(np.int64)
    seconds, shown = _shown(Curve("", at.tolist(), values.tolist()), SINCE, NOW)
    assert len(shown) <= 1600
    assert (shown.max(), shown.min()) == (99.0, -7.0)
    assert (np.diff(seconds) >= 0).all()


def test_only_the_hour_is_shown() -> None:
    seconds, _ = _shown(Curve("", [SINCE - 1, SINCE, NOW, NOW + 1], [1.0, 2.0, 3.0, 4.0]), SINCE, NOW)
    assert seconds.tolist() == [0.0, 3600.0]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_to_show_says_so(language: str) -> None:
    said = draw(curve([], limits=[]), NOW, language)  # type: ignore[arg-type]
    assert coloured(said, (82, 82, 91)) > 100


def test_chinese_and_units_are_drawn_as_they_are() -> None:
    said = "示例化工0123厂 可燃气体 报警 限值 25 %LEL mg/m³ ℃ µS/cm ≥"
    assert _drawable(said) == said
    assert _drawable("\U000323af\ud800") == "□□"


@pytest.mark.parametrize("text", ["", "勿" * 500, "😀‍👩‍👧", "$x_2$ \\frac{", "%s {0}", "\x00\n\t", "\ud800"])
def test_any_title_is_drawn_without_a_warning(text: str) -> None:
    limits = [LimitLine(25, text)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw(curve([1.0, 2.0], title=text, unit=text, limits=limits), NOW, "zh")


@settings(max_examples=15, deadline=None)
@given(
    values=st.lists(st.floats(), max_size=40),
    limit=st.floats(),
)
def test_any_numbers_are_drawn(values: list[float], limit: float) -> None:
    png = draw(curve(values, limits=[LimitLine(limit, "限值")]), NOW, "zh")
    assert len(png) < LARGEST
