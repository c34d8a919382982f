"""Several episodes at one site make one graver detection, whatever came first and whatever happens in between."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.journal import Record
from detectors.compound import MemberKey, completed
from detectors.rule import Override
from detectors.safety import SafetyDetector
from detectors.words import Change, Detection, Severity, Subject
from ingest.words import Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.linked import ALARM, SEVERAL, SPREAD, only, rule
from tests.detectors.stage import Device, Row, Stage, registry_of, short
from tests.detectors.streams import CONTROLS, EVENTS, TICKS, TOWN, moves, readings, records_of

MEMBERS = ("gas.leak", "smoke.alarm", "electrical.cable_temperature")
RULES = only(SEVERAL, SPREAD, also=MEMBERS)
PLANT = (
    Device("GAS-1", "gas"),
    Device("GAS-2", "gas"),
    Device("SMK-1", "smoke"),
    Device("GAS-9", "gas", site="S-2"),
    Device("SMK-9", "smoke", site="S-2", state="commissioning"),
)


def plant(*devices: Device) -> Stage:
    return Stage.of(*(devices or PLANT), rules=RULES)


def of_sites(found: list[Detection]) -> list[tuple[Any, ...]]:
    return [short(each)[:5] for each in found if each.subject.kind == "site"]


def leak(stage: Stage, at: float, device: str = "GAS-1", **more: Any) -> list[Detection]:
    """Two readings, as a leak needs its dwell; it begins with the first."""
    stage.read(at, 60.0, device, **more)
    return stage.read(at + 20, 60.0, device, **more)


def smoke(stage: Stage, at: float, *, active: bool = True, device: str = "SMK-1") -> list[Detection]:
    return stage.event("device", device, "smoke_alarm", at, active=active)


def test_two_rules_at_one_site_are_one_graver_detection() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 90)
    (said,) = stage.tick(91)
    assert short(said)[:5] == ("OPENED", "S-1", "site.several", Severity.CRITICAL, 90)
    assert (said.subject, said.page, said.reason) == (Subject("site", "S-1"), True, "compound")
    named = [(each["rule"], each["device"], each["value"], each["unit"]) for each in said.evidence["members"]]
    assert named == [("gas.leak", "GAS-1", 60.0, "%LEL"), ("smoke.alarm", "SMK-1", None, "")]
    assert stage.detector.open_episodes == 3
    assert not of_sites(stage.ticks(150))

    smoke(stage, 160, active=False)
    assert of_sites(stage.tick(161)) == [("CLEARED", "S-1", "site.several", 0, 90)]
    assert stage.detector.open_episodes == 1


def test_members_that_began_too_far_apart_are_two_matters() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 301)
    assert not of_sites(stage.tick(302))
    stage = plant()
    leak(stage, 0)
    smoke(stage, 300)
    assert of_sites(stage.tick(301))


def test_a_compound_stays_while_enough_stand_however_late_they_joined() -> None:
    stage = plant()
    leak(stage, 0)
    leak(stage, 100, "GAS-2")
    assert of_sites(stage.tick(130)) == [("OPENED", "S-1", "site.spread", 3, 100)]
    smoke(stage, 140)
    assert of_sites(stage.tick(141)) == [("OPENED", "S-1", "site.several", 4, 140)]
    stage.rows(*(Row("GAS-1", "gas_lel", 150 + n, 0.0) for n in range(2)))
    assert of_sites(stage.tick(160)) == [("CLEARED", "S-1", "site.spread", 0, 100)]


def test_neighbours_are_told_apart_by_device() -> None:
    stage = plant()
    leak(stage, 0)
    leak(stage, 30, "GAS-9")
    assert not of_sites(stage.tick(60))
    leak(stage, 70, "GAS-2")
    assert of_sites(stage.tick(91)) == [("OPENED", "S-1", "site.spread", 3, 70)]


@pytest.mark.parametrize("more", [{"quality": int(Quality.AGED)}, {}])
def test_what_pages_nobody_counts_for_nothing(more: dict[str, Any]) -> None:
    stage = plant(*(each._replace(state="in_service" if more else "commissioning") for each in PLANT))
    leak(stage, 0, **more)
    leak(stage, 1, "GAS-2", **more)
    assert [found.page for found in stage.found] == [False, False]
    assert not of_sites(stage.tick(22))


def test_an_aged_member_counts_from_when_people_are_paged_for_it() -> None:
    stage = plant()
    aged = int(Quality.AGED)
    leak(stage, 0, quality=aged)
    leak(stage, 1, "GAS-2", quality=aged)
    assert of_sites(stage.ticks(90)) == [("OPENED", "S-1", "site.spread", 3, 1)]


def test_a_closed_compound_is_announced_again_while_it_stands() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 30)
    stage.tick(31)
    stage.control(Rearm("site", "S-1", "site.several"), 40)
    assert of_sites(stage.tick(41)) == [("OPENED", "S-1", "site.several", 4, 30)]
    stage.control(Rearm("site", "S-1", "site.several"), 50)
    smoke(stage, 51, active=False)
    assert not of_sites(stage.tick(52))
    assert stage.detector.open_episodes == 1


def test_a_closed_member_that_still_stands_keeps_the_compound() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 30)
    stage.tick(31)
    stage.control(Rearm("device", "GAS-1", "gas.leak"), 40)
    assert [short(each)[:3] for each in stage.tick(41)] == [("OPENED", "GAS-1", "gas.leak")]
    stage.control(Rearm("device", "GAS-1", "gas.leak"), 50)
    stage.read(51, 0.0)
    assert of_sites(stage.tick(52)) == [("CLEARED", "S-1", "site.several", 0, 30)]


def test_a_momentary_member_is_over_when_its_alert_is_closed() -> None:
    stage = Stage.of(
        *PLANT,
        rules=only(
            msgspec.structs.replace(SEVERAL, members=("smoke.call_point", "gas.leak")),
            also=("smoke.call_point", "gas.leak"),
        ),
    )
    leak(stage, 0)
    stage.event("device", "SMK-1", "call_point", 30)
    assert of_sites(stage.tick(31)) == [("OPENED", "S-1", "site.several", 4, 30)]
    stage.control(Rearm("device", "SMK-1", "smoke.call_point"), 40)
    assert of_sites(stage.tick(41)) == [("CLEARED", "S-1", "site.several", 0, 30)]


def test_a_withdrawn_compound_ends_and_a_new_one_counts_what_is_open_already() -> None:
    stage = plant()
    stage.versions[2], stage.versions[3] = only(version=2, also=MEMBERS), only(SEVERAL, version=3, also=MEMBERS)
    leak(stage, 0)
    smoke(stage, 30)
    stage.tick(31)
    ended = stage.control(RulesChanged(2), 40)
    assert [(short(each)[:3], each.reason) for each in ended] == [
        (("CLEARED", "S-1", "site.several"), "rule_withdrawn")
    ]
    assert not stage.tick(41)
    stage.control(RulesChanged(3), 50)
    (said,) = stage.tick(51)
    assert short(said)[:5] == ("OPENED", "S-1", "site.several", 4, 30)
    assert [each["device"] for each in said.evidence["members"]] == ["GAS-1", "SMK-1"]


def test_a_withdrawn_member_and_a_retired_device_count_no_more() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 30)
    stage.tick(31)
    stage.versions[2] = only(SEVERAL, SPREAD, version=2, also=MEMBERS[:1])
    stage.control(RulesChanged(2), 40)
    assert of_sites(stage.tick(41)) == [("CLEARED", "S-1", "site.several", 0, 30)]

    leak(stage, 50, "GAS-2")
    assert of_sites(stage.found[-3:] + stage.tick(80))[-1] == ("OPENED", "S-1", "site.spread", 3, 50)
    stage.registry = registry_of([each._replace(state="retired") if each.code == "GAS-2" else each for each in PLANT])
    stage.control(RegistryChanged(2), 90)
    assert of_sites(stage.tick(91)) == [("CLEARED", "S-1", "site.spread", 0, 50)]


def test_a_site_may_switch_a_compound_off() -> None:
    off = msgspec.structs.replace(SEVERAL, overrides=(Override(site="S-1", enabled=False),))
    stage = Stage.of(*PLANT, rules=only(off, also=MEMBERS))
    leak(stage, 0)
    smoke(stage, 30)
    assert not of_sites(stage.tick(31))


def test_an_anomaly_of_a_sick_sensor_does_not_count() -> None:
    odd = rule(
        "gas.odd",
        "threshold",
        device_types=("gas",),
        metric="gas_lel",
        limits={ALARM: 50.0},
        recovery=50.0,
        unit="%LEL",
        anomaly=True,
    )
    pair = rule("site.odd", "compound", limits={ALARM: 1.0}, members=("gas.odd", "smoke.alarm"))
    stage = Stage.of(*PLANT, rules=only(odd, pair, also=("smoke.alarm", "device.silence")))
    stage.read(0, 60.0)
    smoke(stage, 1)
    assert of_sites(stage.tick(2)) == [("OPENED", "S-1", "site.odd", 3, 1)]
    for at in range(30, 1500, 30):
        stage.read(at, 1.0, "GAS-2")
        stage.event("device", "SMK-1", "self_test", at)
        stage.tick(at)
        if stage.detector.sick_devices():
            break
    assert "GAS-1" in stage.detector.sick_devices()
    assert of_sites(stage.found)[-1] == ("CLEARED", "S-1", "site.odd", 0, 1)
    stage.read(stage.now + 1, 60.0)
    assert of_sites(stage.ticks(stage.now + 3))[-1][:3] == ("OPENED", "S-1", "site.odd")


def test_a_snapshot_of_before_compounds_counts_what_is_open() -> None:
    stage = plant()
    leak(stage, 0)
    smoke(stage, 30)
    meta, arrays = stage.detector.snapshot()
    new = ("members", "compounds", "losses", "flapping", "health.", "drift.")
    old = {name: column for name, column in arrays.items() if not name.startswith(new)}
    assert len(old) < len(arrays)
    stage.detector = SafetyDetector(stage.registry, RULES)
    stage.detector.restore(meta, old)
    assert of_sites(stage.tick(31)) == [("OPENED", "S-1", "site.several", 4, 30)]


BUSY = only(
    SEVERAL,
    SPREAD,
    rule("site.any", "compound", members=("gas.leak", "noise.day", "smoke.alarm"), at_least=1),
    also=MEMBERS,
)
STREAMS = moves(readings(), TICKS, TICKS, EVENTS, CONTROLS)


def run(detector: SafetyDetector, records: list[Record]) -> list[Detection]:
    return [found for record in records for found in detector.apply(record)]


@settings(max_examples=80, deadline=None)
@given(STREAMS, st.floats(0, 1))
def test_a_snapshot_in_between_changes_nothing(stream: list[Any], share: float) -> None:
    records = records_of(stream)
    split = int(share * len(records))
    first, second = SafetyDetector(TOWN, BUSY), SafetyDetector(TOWN, BUSY)
    before = run(first, records[:split])
    second.restore(*first.snapshot())
    assert before + run(second, records[split:]) == run(SafetyDetector(TOWN, BUSY), records)


@settings(max_examples=80, deadline=None)
@given(STREAMS)
def test_at_every_tick_exactly_the_sites_with_enough_open_members_stand(stream: list[Any]) -> None:
    """What was announced and not ended by the detections themselves, counted again from them."""
    detector = SafetyDetector(TOWN, only(SPREAD_OF_ONE, also=MEMBERS))
    members: set[tuple[str, str]] = set()
    stands = False
    for record in records_of([each for each in stream if each[1][0] != "rearm"]):
        for found in detector.apply(record):
            key = (found.rule, found.subject.id)
            if found.subject.kind == "site":
                stands = found.change != Change.CLEARED
            elif found.change == Change.CLEARED:
                members.discard(key)
            elif found.page:
                members.add(key)
        if record.kind.name == "TICK":
            assert stands == bool(members)


SPREAD_OF_ONE = rule("site.one", "compound", members=MEMBERS, at_least=1)
ONSETS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcd")), max_size=12)


@given(ONSETS, st.integers(1, 4), st.integers(1, 12))
def test_the_completing_member_is_the_first_with_enough_within_the_span(
    onsets: list[tuple[int, str]], at_least: int, within: int
) -> None:
    asked = msgspec.structs.replace(SPREAD, at_least=at_least, within=within)
    members = sorted((onset, MemberKey("gas.leak", device)) for onset, device in onsets)
    plain = [
        onset
        for onset, _ in members
        if len({key.device for other, key in members if onset - within <= other <= onset}) >= at_least
    ]
    assert completed(members, asked) == (plain[0] if plain else None)


def test_the_journals_split_tells_nothing_apart() -> None:
    """The record that brings a member, and the tick's own time, are all that the steps hang on."""
    stage, again = plant(), plant()
    stage.rows(*(Row(code, "gas_lel", at, 60.0) for code in ("GAS-1", "GAS-2") for at in (0, 20)))
    for at in (0, 20):
        for code in ("GAS-2", "GAS-1"):
            again.rows(Row(code, "gas_lel", at, 60.0, received=20))
    assert of_sites(stage.tick(21)) == of_sites(again.tick(21)) != []
