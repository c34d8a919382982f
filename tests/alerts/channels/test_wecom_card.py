"""Cards within the lengths that the provider advises; beyond them it cuts without a word."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.wecom_card import button_card, text_notice
from tests.alerts.notices.notice_rows import outgoing
from tests.providers.wecom_app import is_card

URL = "https://town.example/tickets/7"
BUTTONS = [{"text": "接单", "style": 1, "key": "accept"}]
LONGEST = {"source": 13, "title": 26, "desc": 30, "value": 26, "keyname": 7, "sub_title_text": 112}


def _texts(card: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(card, dict):
        return [found for key, each in card.items() for found in _texts(each, key)]
    return [found for each in card for found in _texts(each, name)] if isinstance(card, list) else [(name, str(card))]


def test_a_card_says_all_that_matters() -> None:
    card = text_notice(outgoing(advice_zh="勿单独进入"), URL, "zh", signed_in=False)
    assert card["main_title"] == {
        "title": "【紧急】可燃气体超限 52 %LEL（限值 25）",
        "desc": "工单 20261123-0007 · 通知 41",
    }
    assert card["emphasis_content"] == {"title": "52 %LEL", "desc": "限值 25"}
    assert card["sub_title_text"] == "示例化工0123厂 示例路1号\n勿单独进入"
    assert {row["keyname"]: row["value"] for row in card["horizontal_content_list"]}[
        "联系"
    ] == "13900000123 安全员 E0123"
    assert [jump["title"] for jump in card["jump_list"]] == ["打开工单（需登录）", "导航"]
    assert card["card_action"] == {"type": 1, "url": URL}


def test_in_english_too() -> None:
    card = text_notice(outgoing(), URL, "en", signed_in=True)
    assert card["main_title"]["title"].startswith("[CRITICAL] Combustible")
    assert [jump["title"] for jump in card["jump_list"]] == ["Open ticket", "Navigate"]


def test_a_card_with_buttons_shows_the_way_in_a_row() -> None:
    card = button_card(outgoing(), URL, "zh", BUTTONS, "sw-7-41")
    first = card["horizontal_content_list"][0]
    assert (first["type"], first["keyname"]) == (1, "地图")
    assert "uri.amap.com" in first["url"]
    assert is_card(card)


def test_what_a_title_cannot_hold_stands_below_it() -> None:
    card = text_notice(
        outgoing(title_zh="可燃气体浓度超过规定限值需立即处置", cause="reopened", repeated=True),
        URL,
        "zh",
        signed_in=False,
    )
    assert len(card["main_title"]["title"]) == 26
    assert "可能重复" in card["sub_title_text"]
    assert "再次报警" in card["sub_title_text"]


def test_a_number_is_not_cut_off_by_a_long_name() -> None:
    card = text_notice(outgoing(contact="安全员" * 30), URL, "zh", signed_in=False)
    assert "13900000123" in card["horizontal_content_list"][-1]["value"]


@pytest.mark.parametrize("language", ["zh", "en"])
@given(text=st.text(max_size=300), number=st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_no_text_is_longer_than_advised(language: Any, text: str, number: float | None) -> None:
    facts = {"place_zh": text, "title_zh": text, "title_en": text, "advice_zh": text, "contact": text, "address": text}
    notice = outgoing(**facts, value=number)
    for card in (
        text_notice(notice, URL, language, signed_in=False),
        button_card(notice, URL, language, BUTTONS, "sw-7-41"),
    ):
        assert is_card(card)
        for name, said in _texts(card):
            assert said
            assert len(said) <= LONGEST.get(name, 500)
