"""What the platform finds in a gateway: a clock that is off, a flood, that it was shut out."""

import msgspec
import numpy as np
import pytest

from detectors.carrying import unpacked_faults
from detectors.faults import Fault
from detectors.rules import load_packs
from detectors.words import Change, Detection, Severity, Subject
from ingest.words import Rearm, RegistryChanged
from tests.detectors.stage import Device, Stage, moment, registry_of, short

TOWN = (Device("GAS-1", "gas"), Device("GAS-2", "gas", "GW-2"))
CLOCK = "gateway.clock"


@pytest.fixture
def stage() -> Stage:
    made = Stage.of(*TOWN)
    made.tick(0)
    return made


def clock_off(stage: Stage, at: float, active: bool = True, code: str = "GW-1") -> list[Detection]:
    return stage.event("gateway", code, "clock", at, active=active, value=612.0, limit=300.0)


def test_a_clock_that_is_off_opens_with_its_figures_and_ends(stage: Stage) -> None:
    (opened,) = clock_off(stage, 5)
    assert (opened.change, opened.subject, opened.rule) == (Change.OPENED, Subject("gateway", "GW-1"), CLOCK)
    assert (opened.severity, opened.value, opened.limit, opened.page) == (Severity.WARNING, 612.0, 300.0, True)
    assert opened.evidence == {"event": "clock", "unit": "s"}
    assert clock_off(stage, 6) == []
    assert [d.subject.id for d in clock_off(stage, 7, code="GW-2")] == ["GW-2"]
    (cleared,) = clock_off(stage, 90, active=False)
    assert (cleared.subject.id, cleared.onset, cleared.reason) == ("GW-1", moment(5), "recovered")


@pytest.mark.parametrize(("event", "severity"), [("flooding", Severity.WARNING), ("shut_out", Severity.ALARM)])
def test_a_flood_is_a_warning_and_being_shut_out_an_alarm(stage: Stage, event: str, severity: Severity) -> None:
    """So that the second, on the same ticket, is told anew."""
    (opened,) = stage.event("gateway", "GW-1", event, 5, active=True)
    assert (opened.rule, opened.severity, opened.value) == (f"gateway.{event}", severity, None)


def test_an_unknown_gateway_and_a_word_without_a_rule_are_ignored(stage: Stage) -> None:
    assert clock_off(stage, 5, code="GW-9") == []
    assert stage.event("gateway", "GW-1", "door_open", 5, active=True) == []


def test_it_is_no_sign_of_life(stage: Stage) -> None:
    clock_off(stage, 5)
    for at in range(10, 400, 10):
        stage.read(at, 1 + at / 99, "GAS-2")
        clock_off(stage, at)
        stage.tick(at)
    assert [short(d)[1:3] for d in stage.found] == [("GW-1", CLOCK), ("GW-1", "gateway.offline")]


def shedding(stage: Stage, since: int, until: int, ends: int) -> list[tuple[str, str]]:
    """GW-1 floods from second 5 to `ends`; until then only GAS-1 is heard of its two, GAS-3 not before `since`."""
    stage.registry = registry_of([*TOWN, Device("GAS-3", "gas")], 2)
    stage.control(RegistryChanged(2), 1)
    stage.read(2, 1.0, "GAS-3")
    stage.event("gateway", "GW-1", "flooding", 5, active=True)
    for at in range(10, until, 10):
        for device in ("GAS-1", "GAS-2", *(["GAS-3"] if at >= since else [])):
            stage.read(at, 1 + at / 99, device)
        if at == ends:
            stage.event("gateway", "GW-1", "flooding", at, active=False)
        stage.tick(at)
    return [short(d)[:3:2] + short(d)[1:2] for d in stage.found]


def test_what_a_flood_kept_from_being_heard_is_no_silence(stage: Stage) -> None:
    told = shedding(stage, since=330, until=500, ends=300)
    assert [rule for _, rule, _ in told] == ["gateway.flooding"] * 2, told


def test_what_stays_silent_after_a_flood_is_told(stage: Stage) -> None:
    told = shedding(stage, since=1_000, until=400, ends=200)
    assert [device for _, _, device in told] == ["GW-1", "GW-1", "GAS-3"], told


def test_a_flood_without_end_hides_no_silence_for_ever(stage: Stage) -> None:
    told = shedding(stage, since=1_000, until=800, ends=0)
    assert [device for _, _, device in told] == ["GW-1", "GAS-3"], told
    assert stage.found[-1].at >= moment(5 + 600)


def test_closed_by_hand_it_is_announced_again_while_it_stands(stage: Stage) -> None:
    clock_off(stage, 5)
    stage.control(Rearm("gateway", "GW-1", CLOCK), 20)
    assert [short(d)[:5] for d in stage.tick(21)] == [("OPENED", "GW-1", CLOCK, 2, 5)]
    assert stage.tick(22) == []


def test_a_retired_gateway_ends_it(stage: Stage) -> None:
    clock_off(stage, 5)
    stage.registry = registry_of([TOWN[1]], 2)
    assert [short(d)[:3] + short(d)[-1:] for d in stage.control(RegistryChanged(2), 9)] == [
        ("CLEARED", "GW-1", CLOCK, "retired")
    ]
    assert clock_off(stage, 10, active=False) == []


def test_one_that_was_shut_out_stays_so_until_a_person_lets_it_in(stage: Stage) -> None:
    stage.event("gateway", "GW-1", "shut_out", 5, active=True)
    stage.control(RegistryChanged(1), 6)
    assert stage.ticks(20) == [], "the registry does not know of it yet"
    stage.registry = registry_of(TOWN, 2, disabled=["GW-1"])
    assert stage.control(RegistryChanged(2), 21) == []
    later = Stage(registry_of(TOWN, 3), stage.rules, n=stage.n, now=stage.now)
    later.detector.restore(*stage.detector.snapshot())
    ended = later.tick(22)
    assert [short(d)[:3] + short(d)[-1:] for d in ended] == [("CLEARED", "GW-1", "gateway.shut_out", "recovered")]
    stage.registry = registry_of(TOWN, 3)
    assert [short(d) for d in stage.control(RegistryChanged(3), 22)] == [short(d) for d in ended]


def test_a_platform_fault_says_at_which_hop(stage: Stage) -> None:
    (opened,) = stage.event("platform", "canary", "canary_missed", 5, active=True, value=31.0, limit=30.0, hop="store")
    assert (opened.rule, opened.severity) == ("platform.canary_missed", Severity.ALARM)
    assert opened.evidence == {"hop": "store", "event": "canary_missed", "unit": "s"}


def test_an_older_snapshots_faults_are_the_platforms() -> None:
    old = [(("journal", "platform.journal_quota"), Fault("journal_quota", 5, 83.0, 80.0))]
    column = np.frombuffer(msgspec.msgpack.encode(old), np.uint8)
    ((key, fault),) = unpacked_faults(column).items()
    assert (tuple(key), fault.onset) == (("platform", "journal", "platform.journal_quota"), 5)


def test_each_says_in_both_languages_what_to_do() -> None:
    rules = load_packs().rules
    for code in (CLOCK, "gateway.flooding", "gateway.shut_out", "platform.canary_missed", "platform.broker_drops"):
        assert all(rules[code].title(language) and rules[code].advice(language) for language in ("zh", "en"))
