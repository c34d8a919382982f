"""Platform rules: what the platform says of itself opens and ends an episode, whatever a restart repeats."""

from pathlib import Path
from typing import Any

import pytest

from core.snapshot import load, save
from detectors.rules import RuleErrors, load_packs
from detectors.words import Change, Detection, Severity, Subject
from ingest.words import Rearm, RulesChanged
from tests.detectors.stage import Device, Stage, moment, with_rules

JOURNAL = Subject("platform", "journal")
QUOTA = "platform.journal_quota"


@pytest.fixture
def stage() -> Stage:
    made = Stage.of(Device("GAS-1", "gas"))
    made.tick(0)
    return made


def says(stage: Stage, active: bool, at: float, **more: Any) -> list[Detection]:
    given = {"value": 83.5, "limit": 80.0} | more
    return stage.event("platform", "journal", "journal_quota", at, active=active, **given)


def changes(found: list[Detection]) -> list[tuple[Change, int]]:
    return [(detection.change, detection.onset) for detection in found]


def test_a_fault_opens_with_its_figures_and_ends(stage: Stage) -> None:
    (opened,) = says(stage, active=True, at=5)
    assert (opened.change, opened.subject, opened.rule) == (Change.OPENED, JOURNAL, QUOTA)
    assert (opened.severity, opened.value, opened.limit) == (Severity.ALARM, 83.5, 80.0)
    assert (opened.onset, opened.page, opened.series) == (moment(5), True, -1)
    assert stage.detector.open_episodes == 1
    (cleared,) = says(stage, active=False, at=90)
    assert (cleared.change, cleared.onset, cleared.reason) == (Change.CLEARED, moment(5), "recovered")
    assert cleared.page
    assert stage.detector.open_episodes == 0


def test_what_a_start_repeats_is_no_news(stage: Stage) -> None:
    assert says(stage, active=False, at=1) == []
    says(stage, active=True, at=5)
    assert says(stage, active=True, at=60) == []
    assert changes(says(stage, active=False, at=70)) == [(Change.CLEARED, moment(5))]
    assert says(stage, active=False, at=80) == []


@pytest.mark.parametrize("active", [None, 1, "yes"])
def test_what_says_neither_changes_nothing(stage: Stage, active: Any) -> None:
    assert says(stage, active=active, at=1) == []


def test_a_fault_without_a_rule_says_nothing(stage: Stage) -> None:
    assert stage.event("platform", "roof", "roof_leaks", 1, active=True) == []


def test_a_device_of_the_same_code_is_not_meant() -> None:
    stage = Stage.of(Device("journal", "smoke"))
    stage.tick(0)
    assert [d.subject for d in says(stage, active=True, at=5)] == [JOURNAL]
    stage.control(Rearm("device", "journal", QUOTA))
    assert stage.tick(6) == []


def test_closed_by_hand_it_is_announced_again_while_it_stands(stage: Stage) -> None:
    says(stage, active=True, at=5)
    stage.control(Rearm(*JOURNAL, QUOTA), 20)
    (again,) = stage.tick(21)
    assert (again.change, again.onset, again.at, again.value) == (Change.OPENED, moment(5), moment(21), 83.5)
    assert stage.tick(22) == []


def test_closed_by_hand_and_over_before_the_tick_nothing_is_said(stage: Stage) -> None:
    says(stage, active=True, at=5)
    stage.control(Rearm(*JOURNAL, QUOTA), 20)
    assert says(stage, active=False, at=20) == []
    assert stage.tick(21) == []


@pytest.mark.parametrize("rearmed", [False, True])
def test_a_snapshot_keeps_it(stage: Stage, tmp_path: Path, rearmed: bool) -> None:
    says(stage, active=True, at=5)
    if rearmed:
        stage.control(Rearm(*JOURNAL, QUOTA))
    save(tmp_path / "safety", *stage.detector.snapshot())
    kept = load(tmp_path / "safety")
    assert kept
    stage.detector = Stage.of(Device("GAS-1", "gas")).detector
    stage.detector.restore(*kept)
    assert says(stage, active=True, at=8) == []
    assert changes(stage.tick(9)) == [(Change.OPENED, moment(5))] * rearmed
    assert changes(says(stage, active=False, at=10)) == [(Change.CLEARED, moment(5))]


def test_a_snapshot_from_before_platform_rules_is_taken(stage: Stage) -> None:
    meta, arrays = stage.detector.snapshot()
    del arrays["faults"]
    stage.detector.restore(meta, arrays)
    assert len(says(stage, active=True, at=5)) == 1


@pytest.mark.parametrize("change", [None, {"kind": "event", "event": "call_point"}, {"event": "disk_low"}])
def test_a_withdrawn_rule_ends_it(stage: Stage, change: dict[str, Any] | None) -> None:
    says(stage, active=True, at=5)
    stage.versions[2] = with_rules(2, platform__journal_quota=change)
    (ended,) = stage.control(RulesChanged(2), 9)
    assert (ended.change, ended.onset, ended.reason) == (Change.CLEARED, moment(5), "rule_withdrawn")
    assert says(stage, active=False, at=10) == []


def test_an_edited_rule_keeps_it(stage: Stage) -> None:
    says(stage, active=True, at=5)
    stage.versions[2] = with_rules(2, platform__journal_quota={"title_en": "Backlog"})
    assert stage.control(RulesChanged(2), 9) == []
    assert changes(says(stage, active=False, at=10)) == [(Change.CLEARED, moment(5))]


def test_an_override_switches_it_off_for_one_part(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"overrides: [{{rule: {QUOTA}, device: journal, enabled: false}}]", "utf-8")
    stage = Stage.of(Device("GAS-1", "gas"), rules=load_packs([tmp_path]))
    stage.tick(0)
    assert says(stage, active=True, at=5) == []


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("event: roof_leaks", ".event: 'roof_leaks' is none of journal_quota"),
        ("unit: x", ".event: a rule of kind platform needs one"),
        ("event: disk_low, device_types: [gas]", ".device_types: a rule of kind platform has none"),
        ("event: disk_low, metric: gas_lel", ".metric: a rule of kind platform has none"),
    ],
)
def test_a_wrong_platform_rule_is_refused(tmp_path: Path, wrong: str, what: str) -> None:
    text = f"""
rules:
  a.b: {{kind: platform, severity: alarm, {wrong}, hazard: platform, category: 公共服务, title_zh: a, title_en: a,
         advice_zh: a, advice_en: a, basis: K}}
"""
    (tmp_path / "own.yaml").write_text(text, "utf-8")
    with pytest.raises(RuleErrors) as raised:
        load_packs([tmp_path])
    assert any(what in error for error in raised.value.errors), raised.value.errors
