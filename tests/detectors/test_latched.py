"""What is kept until a person closes it: events and readings, over restarts and edits, and what a page says of it."""

from typing import Any

import msgspec
import pytest

from detectors.rule import Override
from detectors.rule_changes import loosened_fields
from detectors.rules import RuleSet
from detectors.words import Severity
from ingest.words import Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.linked import OVERLOAD, only, rule
from tests.detectors.stage import PACKS, Device, Stage, registry_of, short
from tests.detectors.wide import rule as like

PRESSED = "smoke.call_point"
KEPT = like("gas.leak", "own", latch=True, limits={Severity.ALARM: 25.0, Severity.CRITICAL: 50.0}, recovery=20.0)


def said(stage: Stage) -> list[tuple[str, int, int, str]]:
    return [(short(d)[0], short(d)[3], short(d)[4], d.reason) for d in stage.found]


def press(stage: Stage, at: float, **more: Any) -> None:
    stage.event("device", "SMK-1", "call_point", at, **more)


def restarted(stage: Stage) -> Stage:
    """The same from a snapshot."""
    later = Stage(stage.registry, stage.rules, found=stage.found, n=stage.n, now=stage.now)
    later.versions = stage.versions
    later.detector.restore(*stage.detector.snapshot())
    return later


def test_a_call_point_that_is_put_back_stays_until_a_person_closes_it() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    press(stage, 0, active=True)
    press(stage, 5, active=False)
    stage.tick(6)
    assert said(stage) == [("OPENED", 4, 0, "event")]
    assert stage.found[0].evidence["latch"], "so that the page can say so"
    stage = restarted(stage)
    assert stage.detector.open_episodes == 1
    stage.control(Rearm("device", "SMK-1", PRESSED), 10)
    stage.tick(11)
    assert len(stage.found) == 1, "it was put back"
    press(stage, 20, active=True)
    assert said(stage)[1:] == [("OPENED", 4, 20, "event")]


def test_a_call_point_that_is_still_pressed_announces_itself_again() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    press(stage, 0, active=True)
    stage.control(Rearm("device", "SMK-1", PRESSED), 10)
    stage = restarted(stage)
    stage.tick(11)
    assert said(stage)[1:] == [("OPENED", 4, 0, "event")]


def test_pressed_again_while_it_is_kept_it_is_the_same_episode() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    for at, active in ((0, True), (5, False), (9, True)):
        press(stage, at, active=active)
    assert said(stage) == [("OPENED", 4, 0, "event")]
    stage.control(Rearm("device", "SMK-1", PRESSED), 10)
    stage.tick(11)
    assert said(stage)[1:] == [("OPENED", 4, 0, "event")], "it is pressed"


def test_one_that_was_only_recorded_pages_when_it_comes_again() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    press(stage, 0, received=7200, active=True, quality=int(Quality.AGED))
    press(stage, 7210, active=False)
    stage.ticks(7250, every=10)
    assert [d.page for d in stage.found] == [False]
    press(stage, 7300, active=True)
    assert [(d.page, d.reason) for d in stage.found[1:]] == [(True, "fresh")]


def test_a_worse_event_rises_while_it_is_kept() -> None:
    stage = Stage.of(Device("LOR-1", "weighing"), rules=only(like_overload(latch=True)))
    for at, tonnes in ((0, 20.0), (1, 17.0), (2, 30.0)):
        stage.event("device", "LOR-1", "weighed", at, axles=2, weight_t=tonnes, active=tonnes > 18)
    assert [(d.severity, d.value) for d in stage.found] == [(Severity.WARNING, 20.0), (Severity.ALARM, 30.0)]


def like_overload(**changes: Any) -> Any:
    fields = ("device_types", "event", "value", "by", "unit", "beyond", "limits", "table")
    return rule("lorry.overload", "event_value", **{name: getattr(OVERLOAD, name) for name in fields}, **changes)


def test_an_edit_that_takes_the_latch_away_ends_what_it_alone_kept() -> None:
    stage = Stage(registry_of([Device("SMK-1", "smoke"), Device("GAS-1", "gas")]), RuleSet(1, _with(latch=True)))
    stage.versions[2] = RuleSet(2, _with(latch=False))
    press(stage, 0, active=True)
    press(stage, 1, active=False)
    stage.read(2, 30)
    stage.read(3, 0)
    stage.control(RulesChanged(2), 4)
    stage.tick(5)
    assert [short(d)[:3] + short(d)[-1:] for d in stage.found[2:]] == [
        ("CLEARED", "SMK-1", PRESSED, "recovered"),
        ("CLEARED", "GAS-1", "own", "recovered"),
    ]
    assert stage.detector.open_episodes == 0


def _with(*, latch: bool) -> dict[str, Any]:
    kept = {PRESSED: PACKS.rules[PRESSED], "own": KEPT}
    return {code: msgspec.structs.replace(each, latch=latch) for code, each in kept.items()}


@pytest.mark.parametrize("value", [30.0, 0.0])
def test_a_kept_reading_outlives_restarts_and_is_announced_again_only_while_it_is_bad(value: float) -> None:
    stage = Stage.of(Device("GAS-1", "gas"), rules=RuleSet(1, {"own": KEPT}))
    for at, each in ((0, 30.0), (1, 0.0), (2, value)):
        stage.read(at, each)
    stage = restarted(stage)
    stage.tick(3)
    assert said(stage) == [("OPENED", 3, 0, "threshold")]
    stage.control(Rearm("device", "GAS-1", "own"), 4)
    stage = restarted(stage)
    stage.tick(5)
    assert [each[0] for each in said(stage)[1:]] == (["OPENED"] if value else [])
    assert stage.detector.open_episodes == bool(value)


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": (Override(device="SMK-1", enabled=False),)},
        {"overrides": (Override(device_type="smoke", enabled=False),)},
        {"device_types": ("gas",)},
        {"event": "self_test"},
    ],
)
def test_an_event_rule_that_judges_the_device_no_more_leaves_nothing_open(change: dict[str, Any]) -> None:
    before = PACKS.rules["smoke.alarm"]
    stage = Stage(registry_of([Device("SMK-1", "smoke")]), RuleSet(1, {"smoke.alarm": before}))
    stage.versions[2] = RuleSet(2, {"smoke.alarm": msgspec.structs.replace(before, **change)})
    stage.event("device", "SMK-1", "smoke_alarm", 0, active=True)
    ended = stage.control(RulesChanged(2), 1)
    assert [(short(d)[0], d.reason) for d in ended] == [("CLEARED", "rule_withdrawn")]
    assert stage.detector.open_episodes == 0


def test_an_attribute_that_switches_an_event_rule_off_ends_it() -> None:
    off = msgspec.structs.replace(
        PACKS.rules["smoke.alarm"], overrides=(Override(attribute={"test_stand": "1"}, enabled=False),)
    )
    stage = Stage(registry_of([Device("SMK-1", "smoke")]), RuleSet(1, {"smoke.alarm": off}))
    stage.event("device", "SMK-1", "smoke_alarm", 0, active=True)
    stage.registry = registry_of([Device("SMK-1", "smoke", attributes={"test_stand": "1"})], version=2)
    ended = stage.control(RegistryChanged(2), 1)
    assert [(short(d)[0], d.reason) for d in ended] == [("CLEARED", "rule_withdrawn")]


def test_an_event_rule_begins_nothing_outside_its_hours_and_ends_what_stands() -> None:
    night = msgspec.structs.replace(PACKS.rules["smoke.alarm"], hours=("22:14-22:15",))
    stage = Stage(registry_of([Device("SMK-1", "smoke")]), RuleSet(1, {"smoke.alarm": night}))  # it is 22:13:20
    stage.event("device", "SMK-1", "smoke_alarm", 30, active=True)
    assert stage.found == []
    stage.event("device", "SMK-1", "smoke_alarm", 50, active=True)
    stage.event("device", "SMK-1", "smoke_alarm", 130, active=False)
    assert said(stage) == [("OPENED", 4, 50, "event"), ("CLEARED", 0, 50, "recovered")]


@pytest.mark.parametrize("latch", [True, False])
def test_to_latch_and_to_unlatch_a_life_safety_rule_must_both_be_meant(latch: bool) -> None:
    before = msgspec.structs.replace(PACKS.rules["gas.leak"], latch=not latch)
    assert loosened_fields(before, msgspec.structs.replace(before, latch=latch)) == ["latch"]
