"""What reaches a patroller's phone: every rule of the packs, through the desk, in both languages."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from alerts.desk import apply_detections
from alerts.facts import Facts
from alerts.measurements import Language
from alerts.notices import facts_of
from alerts.rows import rows
from alerts.tables import notice
from alerts.texts import phone_text
from core.clock import HOUR, SECOND
from core.database import open_engine, reading, writing
from core.journal import Offset
from detectors.rules import Rule, load_packs
from detectors.words import Change, Detection, Found, Subject
from devices.tables import grid, site, village
from tests.alerts.desk_scene import MONDAY_TEN, Scene
from tests.alerts.notices.notice_rows import outgoing

PACKS = load_packs()
CHINESE = re.compile(r"[\u4e00-\u9fff（）【】：，；。]")
LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
COMMANDS = r"shouwang (status|doctor|broker export|rules check)"
ALLOWED = re.compile(rf"%LEL|vol%|MPa|TSP|dB\(A\)|GW-0001|PLANT-1|https://\S+|{COMMANDS}|min\b")
"""Units, the code on the device's own label, the link to the map, and commands."""
OF_THE_TOWN = {code: rule for code, rule in PACKS.rules.items() if rule.kind != "platform"}
OF_THE_PLATFORM = {code: rule for code, rule in PACKS.rules.items() if rule.kind == "platform"}


@pytest.fixture
def plant(tmp_path: Path, sqlite_template: Path) -> Iterator[Scene]:
    """A scene whose plant has names in both languages and somebody to call."""
    path = tmp_path / "shouwang.db"
    shutil.copy(sqlite_template, path)
    engine = open_engine(f"sqlite:///{path}")
    scene = Scene(engine)
    with writing(engine) as connection:
        named = {
            "name": "示例化工厂",
            "name_en": "Example Plant",
            "address": "",
            "contact": "0123",
            "phone": "13900000123",
        }
        connection.execute(update(site).values(**named))
        connection.execute(update(village).values(name="何家角村", name_en="Hejiajiao"))
        connection.execute(update(grid).values(name="03网格", name_en="grid 03"))
    yield scene
    engine.dispose()


def limit_of(rule: Rule) -> float:
    """The limit of the rule's gravest severity, or what such a device's attribute might say."""
    return rule.limits.get(max((*rule.limits, *rule.limits_from, *rule.table)), 35.0)


def violation(rule: Rule) -> Detection:
    """An opening as the detectors put it, at the limit of the rule's gravest severity."""
    severity = max((*rule.limits, *rule.limits_from, *rule.table))
    kind, code = {"gateway": ("gateway", "GW-0001"), "platform": ("platform", "journal")}.get(
        rule.kind, ("device", "PLANT-1")
    )
    more: dict[str, Any] = {"value": 83.0, "limit": 80.0} if rule.kind == "platform" else {}
    if rule.metric:
        more = {"limit": limit_of(rule), "evidence": {"unit": "%", "metric": rule.metric}}
    if rule.kind in ("threshold", "frozen"):
        more["value"] = limit_of(rule)
    if rule.kind == "rate":
        more["value"] = 41.0
        more["evidence"] |= {"change": 12.3456, "window_s": rule.window / SECOND}
    return Detection(Change.OPENED, Subject(kind, code), rule.id, severity, MONDAY_TEN, MONDAY_TEN, MONDAY_TEN, **more)


def told(plant: Scene, rule: Rule) -> Facts:
    with writing(plant.engine) as connection:
        found = [Found(Offset(0, 1), MONDAY_TEN, violation(rule))]
        apply_detections(connection, plant.town, PACKS, "safety", found, Offset(0, 1), MONDAY_TEN)
    with reading(plant.engine) as connection:
        return facts_of(rows(connection, select(notice).order_by(notice.c.id))[0])


@pytest.mark.parametrize("rule", OF_THE_TOWN.values(), ids=OF_THE_TOWN.keys())
def test_every_rule_makes_a_message_that_can_be_acted_on(plant: Scene, rule: Rule) -> None:
    facts = told(plant, rule)
    for language in ("zh", "en"):
        check(facts, rule, language)


def check(facts: Facts, rule: Rule, language: Language) -> None:
    chinese = language == "zh"
    text = phone_text(msgspec.structs.replace(outgoing(), facts=facts), language)
    first, place, advice, *rest = text.split("\n")
    assert rule.title(language) in first
    assert ("示例化工厂（何家角村 03网格）" if chinese else "Example Plant (Hejiajiao grid 03)") in place
    assert rule.advice(language) in advice
    assert any("13900000123" in line for line in rest)
    assert "https://uri.amap.com/" in rest[-1]
    assert "None" not in text.replace(rule.advice_en, "")
    assert "{" not in text
    assert rule.id not in text
    assert len(text) - len(rest[-1]) < (230 if chinese else 480)
    if chinese:
        assert not LATIN_WORD.search(ALLOWED.sub("", text))
    else:
        assert not CHINESE.search(text)
    if rule.kind == "threshold" and rule.unit:
        assert f"{limit_of(rule):g} {rule.unit}" in first


@pytest.mark.parametrize("rule", OF_THE_PLATFORM.values(), ids=OF_THE_PLATFORM.keys())
def test_a_fault_of_the_platform_has_no_place_and_says_what_to_do(plant: Scene, rule: Rule) -> None:
    facts = told(plant, rule)
    assert facts.device == "", "what is in the headline already is no code on a label"
    for language in ("zh", "en"):
        text = phone_text(msgspec.structs.replace(outgoing(), facts=facts), language)
        first, advice, *_ = text.split("\n")
        assert rule.title(language) in first
        assert not rule.unit or f"83 {rule.unit}" in first
        assert rule.advice(language) in advice
        assert "None" not in text
        assert not (LATIN_WORD if language == "zh" else CHINESE).search(ALLOWED.sub("", text))
        assert len(text) < (230 if language == "zh" else 480)


def test_a_neighbours_alert_on_the_same_ticket_names_the_neighbours_place(scene: Scene) -> None:
    scene.detect("PLANT-1")
    assert scene.detect("NEXT-1").joined == 1
    joined = facts_of(next(row for row in scene.notices if row["cause"] == "joined"))
    assert (joined.place_zh, joined.device) == ("NEXT号", "NEXT-1")
    assert joined.lat == scene.town.sites["NEXT"].lat


def test_an_alert_of_a_forgotten_rule_is_called_by_no_code(scene: Scene) -> None:
    scene.detect("PLANT-1", rule="gone")
    (ticket,) = scene.tickets
    assert (ticket["title"], ticket["title_en"]) == ("异常报警", "Alert")


@pytest.mark.parametrize(("language", "said"), [("zh", "（数据迟到 2 小时）"), ("en", "(data 2 h old)")])
def test_an_aged_onset_pages_once_it_still_stands_and_says_its_age(scene: Scene, language: Language, said: str) -> None:
    applied = scene.detect("PLANT-1", page=False, age=3 * HOUR)
    assert (applied.tickets, applied.notices) == (0, 0)
    applied = scene.detect("PLANT-1", Change.UPDATED, age=2 * HOUR)
    assert (applied.tickets, applied.notices) == (1, 4)
    for row in scene.notices:
        assert said in phone_text(outgoing(**row["body"]), language)
