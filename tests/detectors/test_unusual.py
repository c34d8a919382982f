"""What the models of normal find in a device: an alert of the desk's own, whose device nobody takes for alive by it."""

import pytest

from detectors.words import Change, Detection, Severity, Subject
from ingest.words import Rearm, RegistryChanged
from tests.detectors.stage import Device, Stage, moment, registry_of, short, with_rules

TOWN = (Device("GAS-1", "gas"), Device("GAS-2", "gas", "GW-2"))
READINGS = "anomaly.readings"


@pytest.fixture
def stage() -> Stage:
    made = Stage.of(*TOWN)
    made.tick(0)
    return made


def unusual(stage: Stage, at: float, active: bool = True, code: str = "GAS-1") -> list[Detection]:
    return stage.event("model", code, "readings", at, active=active, value=31.2, metric="level", score=5.0)


def test_it_is_the_desks_until_the_rule_says_more(stage: Stage) -> None:
    (opened,) = unusual(stage, 5)
    assert (opened.change, opened.subject, opened.rule) == (Change.OPENED, Subject("device", "GAS-1"), READINGS)
    assert (opened.severity, opened.value, opened.page) == (Severity.NOTICE, 31.2, False)
    assert opened.evidence == {"metric": "level", "score": 5.0, "event": "readings", "unit": ""}
    assert unusual(stage, 6) == []
    (cleared,) = unusual(stage, 90, active=False)
    assert (cleared.subject.id, cleared.onset, cleared.reason) == ("GAS-1", moment(5), "recovered")


@pytest.mark.parametrize(("state", "page"), [("in_service", True), ("maintenance", False), ("commissioning", False)])
def test_a_rule_of_a_warning_pages_for_a_device_in_service(state: str, page: bool) -> None:
    rules = with_rules(1, **{READINGS: {"limits": {Severity.WARNING: 1.0}}})
    stage = Stage.of(Device("GAS-1", "gas", state=state, state_until=moment(9_999)), rules=rules)
    stage.tick(0)
    assert [(d.severity, d.page) for d in unusual(stage, 5)] == [(Severity.WARNING, page)]


def test_like_devices_have_a_rule_of_their_own(stage: Stage) -> None:
    (opened,) = stage.event("model", "GAS-2", "fleet", 5, active=True)
    assert (opened.rule, opened.subject.id) == ("anomaly.fleet", "GAS-2")


def test_a_device_that_nobody_knows_and_a_word_without_a_rule_are_ignored(stage: Stage) -> None:
    assert unusual(stage, 5, code="GAS-9") == []
    assert unusual(stage, 5, code="GW-1") == []
    assert stage.event("model", "GAS-1", "clock", 5, active=True) == []
    assert stage.event("device", "GAS-1", "readings", 5, active=True) == [], "no device says it of itself"


def test_it_is_no_sign_of_life(stage: Stage) -> None:
    for at in range(10, 700, 10):
        stage.read(at, 1 + at / 99, "GAS-2")
        unusual(stage, at)
        stage.tick(at)
    assert ("OPENED", "GW-1", "gateway.offline") in [short(d)[:3] for d in stage.found]


def test_closed_by_hand_it_is_said_again_while_it_stands(stage: Stage) -> None:
    unusual(stage, 5)
    stage.control(Rearm("device", "GAS-1", READINGS), 20)
    (again,) = stage.tick(21)
    assert (again.onset, again.page) == (moment(5), False)
    assert stage.tick(22) == []


def test_it_ends_with_its_device_and_with_its_rule(stage: Stage) -> None:
    unusual(stage, 5)
    stage.registry = registry_of([TOWN[1]], 2)
    assert [short(d)[:3] + short(d)[-1:] for d in stage.control(RegistryChanged(2), 9)] == [
        ("CLEARED", "GAS-1", READINGS, "retired")
    ]
    assert unusual(stage, 10, active=False) == []


def test_a_snapshot_keeps_it(stage: Stage) -> None:
    unusual(stage, 5)
    later = Stage(stage.registry, stage.rules, n=stage.n, now=stage.now)
    later.detector.restore(*stage.detector.snapshot())
    assert unusual(later, 6) == []
    assert [d.onset for d in unusual(later, 7, active=False)] == [moment(5)]
