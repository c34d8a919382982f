from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sms_texts import sms_variables, spoken
from alerts.texts import Language, fit, headline, navigation_url, phone_text, robot_text, shorten_bytes
from core.clock import HOUR, MINUTE
from detectors.rule_checks import HAZARDS
from detectors.rules import load_packs
from devices.geometry import gcj02_to_wgs84
from tests.alerts.notices.notice_rows import NOW, outgoing

URL = "https://town.example/tickets/7"
LANGUAGES: tuple[Language, ...] = ("zh", "en")
ANY_TEXT = st.text(st.characters(), max_size=400)


@given(ANY_TEXT, st.integers(0, 300))
def test_shortening_keeps_to_the_limit_and_breaks_no_character(text: str, limit: int) -> None:
    short = shorten_bytes(text, limit)
    clean = text.encode(errors="replace").decode()
    assert len(short.encode()) <= limit
    assert short == clean or clean.startswith(short.removesuffix("…"))
    assert (short == clean) == (len(clean.encode()) <= limit)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=300, max_size=400), st.integers(3, 300))
def test_shortening_wastes_less_than_one_character(text: str, limit: int) -> None:
    assert limit - len(shorten_bytes(text, limit).encode()) <= 3


@given(ANY_TEXT, ANY_TEXT, st.integers(60, 2000))
def test_number_and_link_are_never_cut(head: str, middle: str, limit: int) -> None:
    tail = f"工单 20261123-0007\n{URL}"
    text = fit(head, middle, tail, limit)
    assert text.endswith(tail)
    assert len(text.encode()) <= limit


@given(place=ANY_TEXT, advice=ANY_TEXT, contact=ANY_TEXT, title=ANY_TEXT, limit=st.integers(600, 4096))
def test_robot_messages_keep_number_way_and_link(place: str, advice: str, contact: str, title: str, limit: int) -> None:
    notice = outgoing(place_zh=place * 5, advice_zh=advice * 5, contact=contact, hazard="other", title_zh=title)
    text = robot_text(notice, URL, "zh", limit)
    assert len(text.encode()) <= limit
    assert "20261123-0007" in text
    assert URL in text
    assert navigation_url(notice.facts) in text.splitlines()[-2]


def test_the_headline_says_hazard_value_and_limit() -> None:
    assert headline(outgoing(), "zh") == "【紧急】可燃气体超限 52 %LEL（限值 25）"
    assert headline(outgoing(), "en") == "[CRITICAL] Combustible gas 52 %LEL (limit 25)"


def test_a_change_is_told_with_its_span_and_numbers_are_short() -> None:
    risen = outgoing(
        value=12.3456, limit=10.0, unit="°C", within=5 * MINUTE, title_zh="线缆温度快速上升", title_en="Heats up"
    )
    assert headline(risen, "zh") == "【紧急】线缆温度快速上升 5 分钟内 12.35 °C（限值 10）"
    assert headline(risen, "en") == "[CRITICAL] Heats up 12.35 °C in 5 min (limit 10)"


def test_without_a_title_the_hazard_speaks_and_never_a_code() -> None:
    assert headline(outgoing(title_zh="", hazard="smoke", unit=""), "zh") == "【紧急】烟雾火警"
    assert headline(outgoing(title_zh="", hazard="gone", unit=""), "zh") == "【紧急】异常报警"


@pytest.mark.parametrize("hazard", HAZARDS)
def test_every_hazard_has_a_name_in_messages(hazard: str) -> None:
    named = {
        language: headline(outgoing(title_zh="", title_en="", hazard=hazard, unit=""), language)
        for language in LANGUAGES
    }
    assert named["zh"] != "【紧急】异常报警"
    assert named["zh"].removeprefix("【紧急】") != named["en"].removeprefix("[CRITICAL] ")


def test_every_life_safety_hazard_says_what_to_beware_of() -> None:
    """Where a rule gives no advice of its own."""
    deadly = {rule.hazard for rule in load_packs().rules.values() if rule.life_safety_from}
    unsaid = [
        hazard for hazard in sorted(deadly) if "须知" not in phone_text(outgoing(hazard=hazard, advice_zh=""), "zh")
    ]
    assert unsaid == []


def test_the_headline_marks_a_possible_repeat_and_what_is_new() -> None:
    assert headline(outgoing(repeated=True, cause="raised"), "zh").endswith("〔等级上升〕〔可能重复〕")
    assert "may be a repeat" in headline(outgoing(repeated=True), "en")
    assert "可能重复" not in headline(outgoing(), "zh")


def test_a_phone_message_says_what_a_patroller_needs() -> None:
    text = phone_text(outgoing(age=2 * HOUR), "zh")
    for part in (
        "【紧急】可燃气体超限 52 %LEL（限值 25）",
        "勿单独进入",
        "示例化工0123厂",
        "工单 20261123-0007",
        "安全员 E0123 13900000123",
        "09-21 22:13:20（数据迟到 2 小时）",
        "https://uri.amap.com/navigation",
    ):
        assert part in text


def test_english_text_has_no_chinese_but_the_address() -> None:
    text = phone_text(outgoing(address="", contact=""), "en")
    assert text.isascii()


def test_an_alert_without_a_unit_shows_no_measurement() -> None:
    assert (
        headline(outgoing(title_zh="感烟探测器报警", value=1.0, limit=1.0, unit=""), "zh") == "【紧急】感烟探测器报警"
    )


def test_navigation_is_in_the_maps_own_datum_longitude_first() -> None:
    query = parse_qs(urlsplit(navigation_url(outgoing().facts)).query)
    lng, lat, name = query["to"][0].split(",")
    back = gcj02_to_wgs84(float(lng), float(lat))
    assert (round(back[0], 5), round(back[1], 5), name) == (120.435, 31.445, "示例化工0123厂")
    assert float(lng) != 120.435
    assert (query["mode"], query["src"], query["callnative"]) == (["car"], ["shouwang"], ["1"])
    assert navigation_url(outgoing(lng=None).facts) == ""


def test_a_place_with_a_comma_moves_nothing_in_the_link() -> None:
    url = navigation_url(outgoing(place_zh="一厂,东门&x=1").facts)
    assert url.split("?")[1].count(",") == 2
    assert parse_qs(urlsplit(url).query)["to"][0].split(",", 2)[2] == "一厂,东门&x=1"


@pytest.mark.parametrize(("language", "mark"), [("zh", "【演练】【紧急】"), ("en", "[DRILL] [CRITICAL]")])
def test_a_drill_says_so_first(language: Language, mark: str) -> None:
    assert headline(outgoing(drill=True), language).startswith(mark)
    assert sms_variables(outgoing(drill=True), language)["level"] in ("演练·紧急", "DRILL·CRITICAL")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_group_is_told_the_way_too(language: Language) -> None:
    notice = outgoing()
    assert navigation_url(notice.facts) in robot_text(notice, URL, language, 2048)
    nowhere = outgoing(lng=None, lat=None)
    assert "amap" not in robot_text(nowhere, URL, language, 2048)


@pytest.mark.parametrize("onset", [None, NOW])
def test_a_line_without_a_fact_is_left_out(onset: int | None) -> None:
    assert ("发生" in phone_text(outgoing(onset=onset), "zh")) == (onset is not None)


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(LANGUAGES), st.booleans())
def test_a_text_messages_variables_are_short_and_never_empty(
    place: str, title: str, language: Language, repeated: bool
) -> None:
    notice = outgoing(place_zh=place, place_en=place, title_zh=title, title_en=title, repeated=repeated, link="a" * 13)
    said = sms_variables(notice, language)
    assert {name for name, text in said.items() if not 0 < len(text) <= 35} == set()
    assert (said["number"], said["code"]) == ("20261123-0007", "a" * 13)
    assert ("可能重复" in said["level"] or "repeat" in said["level"]) == repeated


@pytest.mark.parametrize("longest", [13, 20, 35, 60])
def test_a_variable_is_cut_where_the_provider_cuts_and_says_so(longest: int) -> None:
    note = "勿单独进入，须佩戴正压式空气呼吸器，先通风检测，撤离下风向人员，通知燃气公司关阀后再处置，并报告值班领导"
    said = sms_variables(outgoing(advice_zh=note, link="a" * 14), "zh", longest)
    assert said["note"] == (note if len(note) <= longest else note[: longest - 1] + "…")
    assert (said["number"], said["code"]) == ("20261123-0007", "a" * 14), "a part of these is worth nothing"


def test_a_voice_says_level_hazard_place_and_the_numbers_end() -> None:
    assert (
        spoken(outgoing(advice_zh="勿单独进入"), "zh")
        == "紧急，可燃气体超限，示例化工0123厂，勿单独进入，工单尾号 0 0 0 7"
    )
    assert spoken(outgoing(), "en").endswith("ticket ending 0 0 0 7")
