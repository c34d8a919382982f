"""What an alert measured, in words: each kind of measure in both languages, and a site's finding by its devices."""

from typing import Any

import pytest

from alerts.measurements import measurement_of
from alerts.texts import headline, phone_text
from tests.alerts.notices.notice_rows import outgoing

HOUR_S = 3600.0
KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "value": ({}, "52 ppm", "52 ppm"),
    "change": ({"change": 11.0, "window_s": 300.0}, "5 分钟内 11 ppm", "11 ppm in 5 min"),
    "mean": (
        {"judged": "mean", "measure": 0.625, "window_s": HOUR_S},
        "1 小时均值 0.62 ppm",
        "0.62 ppm, mean of 1 h",
    ),
    "distance": ({"judged": "distance", "measure": 3.2}, "偏离基准 3.2 ppm", "3.2 ppm off its baseline"),
    "count": (
        {"judged": "count", "measure": 50.0, "count": 3, "window_s": 600.0},
        "10 分钟内 3 次达 50 ppm",
        "50 ppm reached 3 times in 10 min",
    ),
    "scatter": ({"judged": "scatter", "measure": 8.0}, "波动为平时的 8 倍", "scatter 8 times the usual"),
    "drift": ({"distance": -3.0, "window_s": HOUR_S}, "比邻近设备低 3 ppm", "3 ppm below its neighbours"),
    "losses": ({"losses": 4, "window_s": HOUR_S}, "1 小时内离线 4 次", "lost 4 times in 1 h"),
    "outside": ({"readings": 3}, "连续 3 次超出量程", "3 readings in a row out of range"),
    "same": ({"same_for_s": 2 * HOUR_S}, "2 小时未变，一直 52 ppm", "52 ppm, unchanged for 2 h"),
}


def alert(**evidence: Any) -> dict[str, Any]:
    return {"value": 52.0, "limit": 3.0, "evidence": {"unit": "ppm", **evidence}}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_measure_says_what_its_number_is(name: str) -> None:
    evidence, zh, en = KINDS[name]
    found = measurement_of(alert(**evidence))
    assert (found.text("zh"), found.text("en")) == (zh, en)
    assert found.limit_text == ("" if name in ("outside", "same") else "3")


def test_what_is_no_number_is_not_said() -> None:
    assert measurement_of({"value": None, "limit": 1.0, "evidence": None}, "ppm").text("zh") == ""
    assert measurement_of({"value": 1.0, "limit": 1.0, "evidence": {}}).text("zh") == "", "a number without a unit"
    assert measurement_of(alert(judged="mean", measure=None, window_s=HOUR_S)).text("en") == "", "a saturated sensor"
    assert measurement_of({**alert(), "value": float("inf")}).text("en") == ""


def test_the_headline_tells_a_ratio_from_a_concentration() -> None:
    noise = outgoing(measured="scatter", value=8.0, limit=5.0, unit="")
    assert headline(noise, "zh").endswith("波动为平时的 8 倍（限值 5）")
    assert headline(noise, "en").endswith("scatter 8 times the usual (limit 5)")


def test_a_finding_about_a_site_names_its_devices() -> None:
    site = outgoing(device="", devices=["GAS-0001 52 %LEL", "SMK-0001"], members=2)
    assert "设备：GAS-0001 52 %LEL、SMK-0001\n" in phone_text(site, "zh")
    many = outgoing(device="", devices=["A", "B"], members=23)
    assert "设备：A、B 等 23 台" in phone_text(many, "zh")
    assert "Device: A, B, 23 in all" in phone_text(many, "en")


def test_a_lorry_is_told_by_its_plate() -> None:
    lorry = outgoing(said={"plate": "苏E12345", "axles": 6, "weight_t": 61.5, "lane": None})
    assert "详情：车牌 苏E12345，轴数 6" in phone_text(lorry, "zh")
    assert "Details: Plate 苏E12345, Axles 6" in phone_text(lorry, "en")
