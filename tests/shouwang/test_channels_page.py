"""The page about channels: its settings can be used, and names every kind."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from alerts.channels.template import VARIABLES
from alerts.outside_messages import OutsideTicket, _read
from shouwang.channel_settings import Kind
from shouwang.doors import doors_of
from shouwang.settings import Settings

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("channels.md", "channels.zh-CN.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def settings(page: Path) -> Settings:
    text = "\n".join(blocks(page, "toml")).replace("至少十六个字符", "at least sixteen characters")
    told: dict[str, Any] = tomllib.loads(text.replace('aes_key = "…"', f'aes_key = "{"A" * 43}"'))
    return Settings(channels=told["channels"], outside=told["outside"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_settings_can_be_used(page: Path) -> None:
    found = settings(page)
    assert {each.kind for each in found.channels.values()} >= {"aliyun_sms", "tencent_sms", "wecom_app", "email"}
    doors = doors_of(found)
    assert (list(doors.receipts), list(doors.cards), list(doors.systems)) == (["sms"], ["app"], ["district"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_kind_and_variable_is_named(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [kind for kind in get_args(Kind) if f"`{kind}`" not in text] == []
    assert [name for name in VARIABLES if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_ticket_that_it_shows_is_understood(page: Path) -> None:
    (shown,) = blocks(page, "json")
    said, wrong = _read(shown.encode(), OutsideTicket)
    assert not wrong
    assert said is not None
    assert json.loads(shown)["number"] == said.number


def test_both_pages_show_the_same() -> None:
    english, chinese = (settings(page) for page in PAGES)
    assert english.channels.keys() == chinese.channels.keys()
    assert english.outside.keys() == chinese.outside.keys()
