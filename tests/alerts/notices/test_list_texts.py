"""Several notices in one message: within the bytes, every number in it, nothing cut through a character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.list_texts import list_markdown, list_text
from tests.alerts.notices.notice_rows import outgoing

URL = "https://town.example/tickets/7"
ANY_TEXT = st.text(max_size=80)
LISTS = {"text": list_text, "markdown": list_markdown}


@pytest.mark.parametrize("kind", LISTS)
@given(places=st.lists(ANY_TEXT, min_size=2, max_size=10), limit=st.integers(900, 4096), repeated=st.booleans())
def test_every_notice_is_named_within_the_bytes(kind: str, places: list[str], limit: int, repeated: bool) -> None:
    notices = [outgoing(number=40 + n, place_zh=place, repeated=repeated) for n, place in enumerate(places)]
    text = LISTS[kind](notices, [URL] * len(notices), "zh", limit)
    assert len(text.encode()) <= limit
    for notice in notices:
        assert f"工单 20261123-0007 · 通知 {notice.id}" in text
    assert text.count("可能重复") >= len(notices) * repeated


def test_links_stand_while_there_is_room_and_give_way_before_numbers_do() -> None:
    notices = [outgoing(number=n) for n in range(1, 6)]
    assert list_text(notices, [URL] * 5, "zh", 2048).count(URL) == 5
    short = list_text(notices, [URL] * 5, "zh", 400)
    assert (URL in short, short.count("工单 20261123-0007")) == (False, 5)


def test_the_most_urgent_stands_first_with_value_place_and_place_in_the_list() -> None:
    text = list_text([outgoing(number=1), outgoing(number=2, hazard="smoke", title_zh="")], ["", ""], "zh", 2048)
    assert text.splitlines()[0] == "2 条通知"
    assert text.splitlines()[1] == "1. 【紧急】可燃气体超限 52 %LEL（限值 25） 示例化工0123厂 示例路1号"


def test_names_cannot_forge_markdown_in_a_list() -> None:
    notices = [outgoing(place_zh="[点此](https://evil.example)")] * 2
    assert "](https://evil" not in list_markdown(notices, [URL] * 2, "zh", 4096)


def test_only_links_that_ask_for_it_say_that_they_ask_for_sign_in() -> None:
    assert list_markdown([outgoing()] * 2, [URL] * 2, "zh", 4096).count("需登录") == 2
    assert "需登录" not in list_markdown([outgoing()] * 2, [URL] * 2, "zh", 4096, personal=True)


def test_what_cannot_hold_the_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        list_text([outgoing()] * 9, [URL] * 9, "zh", 300)


def test_english_lists_are_english() -> None:
    text = list_text([outgoing(address="", drill=True)] * 2, [URL] * 2, "en", 2048)
    assert text.isascii()
    assert text.count("[DRILL]") == 2
