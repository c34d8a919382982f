"""The page about tickets says what the table of moves and the limits say."""

import re
from pathlib import Path

import pytest

from alerts.deadlines import MOST_EXTENSIONS, DeadlinePolicy
from alerts.lifecycle import ACTION_WORDS, STATUS_WORDS
from alerts.photos import MOST_PHOTOS
from alerts.pictures_sent import MOST_BYTES
from core.clock import DAY

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("tickets.md", "tickets.zh-CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_action_stands_in_the_table_and_none_that_is_not(page: str) -> None:
    moves = (DOCS / page).read_text("utf-8").split("## ")[1]
    rows = [line.split("|")[1] for line in moves.splitlines() if line.startswith("|") and "`" in line]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(ACTION_WORDS)


def test_the_chinese_page_names_actions_and_statuses_as_the_console_does() -> None:
    text = (DOCS / "tickets.zh-CN.md").read_text("utf-8")
    assert [words.zh for words in ACTION_WORDS.values() if words.zh not in text] == []
    assert [words.zh for words in STATUS_WORDS.values() if words.zh not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_limits_are_the_programs(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert DeadlinePolicy().longest_suspension == 180 * DAY
    assert "180" in text
    assert MOST_EXTENSIONS == 2
    assert f"{MOST_BYTES // 1024 // 1024} MB" in text
    assert str(MOST_PHOTOS) in text
