"""The rules of time: lateness, dwell by held values, our own downtime, edits, aged onsets, rearming."""

from datetime import datetime

import pytest

from core.clock import SECOND, SHANGHAI, moment_of
from core.journal import RecordKind
from detectors.rules import Override
from detectors.words import Detection, Severity
from ingest.words import Connected, Lost, Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.stage import START, Device, Row, Stage, block_of, moment, registry_of, short, with_rules

AGED, DISORDERED, REPLACED = int(Quality.AGED), int(Quality.DISORDERED), int(Quality.TIME_REPLACED)


def gas() -> Stage:
    return Stage.of(Device("GAS-1", "gas"))


def test_our_own_downtime_suppresses_nothing() -> None:
    """The gate took our downtime off: the readings aren't aged, and received half an hour late they page."""
    stage = gas()
    stage.read(0, 3)
    stage.control(Lost(moment(1)), 1)
    stage.control(Connected(moment(1800)), 1800)
    stage.rows(*(Row("GAS-1", "gas_lel", at, 40, received=1801) for at in (60, 90, 120)))
    assert [short(d) for d in stage.found] == [("OPENED", "GAS-1", "gas.leak", 3, 60, True, "threshold")]


def test_a_lone_reading_is_held_by_ticks_until_its_dwell() -> None:
    stage = gas()
    stage.read(0, 60)
    assert stage.ticks(4) == []
    assert [short(d) for d in stage.ticks(6)] == [("OPENED", "GAS-1", "gas.leak", 4, 0, True, "held")]
    assert stage.found[0].evidence["held"] is True
    assert stage.found[0].at == stage.found[0].received_at == moment(5)


def test_a_held_value_counts_from_its_receipt() -> None:
    stage = gas()
    stage.read(0, 60, received=100)
    assert stage.ticks(104) == []
    assert short(stage.ticks(105)[0])[4] == 0


def test_a_value_is_held_no_longer_than_the_silence_limit() -> None:
    slow = with_rules(0, gas__leak={"dwell": 91_000_000})
    stage = Stage.of(Device("GAS-1", "gas"), rules=slow)
    stage.read(0, 60)
    assert [d for d in stage.ticks(900, 10) if d.rule == "gas.leak"] == []


def test_dwell_goes_on_over_a_held_value_and_the_next_reading() -> None:
    stage = gas()
    stage.read(0, 60)
    stage.ticks(4)
    assert [short(d)[-1] for d in stage.read(5, 61)] == ["threshold"]
    assert stage.ticks(30) == []


def test_a_disordered_reading_reaches_no_rule() -> None:
    stage = gas()
    stage.read(100, 3)
    stage.read(50, 90, received=101, quality=DISORDERED)
    stage.read(60, 90, received=102)
    assert stage.ticks(120) == []


def test_a_reading_whose_time_was_replaced_pages() -> None:
    stage = gas()
    stage.read(0, 60, quality=REPLACED)
    stage.read(6, 60, quality=REPLACED)
    assert [d.page for d in stage.found] == [True]


def test_an_aged_onset_is_recorded_and_not_paged() -> None:
    stage = Stage.of(Device("WTR-1", "water_depth"))
    rows = [Row("WTR-1", "depth_cm", at, 8, received=4000, quality=AGED) for at in (0, 60, 120)]
    assert [short(d)[3:] for d in stage.rows(*rows)] == [(2, 0, False, "aged_recorded")]
    assert stage.ticks(4100) == []


def test_an_aged_life_safety_onset_that_is_over_pages_nobody() -> None:
    stage = gas()
    rows = [
        Row("GAS-1", "gas_lel", at, v, received=9000, quality=AGED) for at, v in ((0, 60), (10, 60), (20, 60), (30, 2))
    ]
    assert [short(d)[0] for d in stage.rows(*rows)] == ["OPENED", "CLEARED"]
    assert [d.page for d in stage.found] == [False, False]
    assert [d for d in stage.ticks(9060) if d.rule == "gas.leak"] == []


def test_an_aged_life_safety_onset_that_still_holds_pages_with_its_age_once_the_backlog_settled() -> None:
    stage = gas()
    stage.rows(*(Row("GAS-1", "gas_lel", at, 60 + at / 99, received=9000, quality=AGED) for at in (0, 10, 20)))
    assert [d.page for d in stage.found] == [False]
    assert stage.ticks(9004) == []
    said = stage.ticks(9006)
    assert [short(d) for d in said] == [("UPDATED", "GAS-1", "gas.leak", 4, 0, True, "still_violated")]
    assert said[0].age == moment(9005) - moment(20)
    assert stage.ticks(9080) == []


def test_an_endless_aged_backlog_is_decided_after_thirty_seconds() -> None:
    stage = gas()
    stage.rows(*(Row("GAS-1", "gas_lel", at, 60, received=9000, quality=AGED) for at in (0, 10)))
    for second in range(1, 35):
        stage.read(10 + second, 60 + second / 99, received=9000 + second, quality=AGED)
        stage.tick(9000 + second)
    paged = [d for d in stage.found if d.page]
    assert [(short(d)[-1], d.at) for d in paged] == [("still_violated", moment(9030))]


def test_a_fresh_reading_pages_an_episode_that_was_only_recorded() -> None:
    stage = Stage.of(Device("WTR-1", "water_depth"))
    stage.rows(*(Row("WTR-1", "depth_cm", at, 8, received=4000, quality=AGED) for at in (0, 60)))
    said = stage.read(4001, 9, "WTR-1", "depth_cm")
    assert [short(d) for d in said] == [("UPDATED", "WTR-1", "flood.road", 2, 0, True, "fresh")]


def test_an_aged_rise_in_a_paged_episode_pages_only_if_it_holds() -> None:
    stage = gas()
    for at in (0, 6):
        stage.read(at, 30)
    stage.rows(*(Row("GAS-1", "gas_lel", at, 70, received=5000, quality=AGED) for at in (20, 30)))
    assert [d.page for d in stage.found] == [True, False]
    assert [short(d)[3:] for d in stage.ticks(5006)] == [(4, 0, True, "still_violated")]


def test_silence_is_suspended_from_lost_until_an_interval_and_a_grace_after_connected() -> None:
    stage = gas()
    stage.read(0, 1)
    stage.control(Lost(moment(10)), 10)
    assert stage.ticks(3000, 10) == []
    stage.control(Connected(moment(3000)), 3000)
    assert stage.ticks(3044) == []
    assert [(d.rule, d.reason) for d in stage.ticks(3200)] == [("gateway.offline", "gateway_silence")]


def test_a_restart_reports_no_device_that_speaks_again() -> None:
    stage = Stage.of(*(Device(f"GAS-{n}", "gas") for n in range(50)))
    for n in range(50):
        stage.read(n / 10, 1, f"GAS-{n}")
    stage.control(Lost(moment(5)), 5)
    stage.control(Connected(moment(3600)), 3600)
    for n in range(50):
        stage.read(3600 + n / 2, 1 + n / 9, f"GAS-{n}")
        stage.tick(stage.now)
    assert stage.ticks(3670) == []


def test_edited_limits_keep_dwell_and_open_episodes() -> None:
    stage = gas()
    for at in (0, 6):
        stage.read(at, 30)
    stage.versions[2] = with_rules(2, gas__leak={"limits": {Severity.ALARM: 20.0, Severity.CRITICAL: 28.0}})
    assert stage.control(RulesChanged(2), 7) == []
    assert [short(d) for d in stage.tick(13)] == [("UPDATED", "GAS-1", "gas.leak", 4, 0, True, "held")]
    assert stage.found[-1].rules_version == 2


def test_a_lowered_limit_is_judged_at_the_next_tick_without_a_reading() -> None:
    stage = gas()
    stage.read(0, 15)
    stage.versions[2] = with_rules(2, gas__leak={"limits": {Severity.ALARM: 10.0}, "recovery": 8.0})
    stage.control(RulesChanged(2), 10)
    assert [short(d)[:5] for d in stage.tick(11)] == [("OPENED", "GAS-1", "gas.leak", 3, 0)]


def test_a_raised_limit_ends_the_episode_at_the_next_tick() -> None:
    stage = gas()
    for at in (0, 6):
        stage.read(at, 30)
    stage.versions[2] = with_rules(2, gas__leak={"limits": {Severity.ALARM: 60.0}, "recovery": 55.0})
    assert stage.control(RulesChanged(2), 7) == []
    assert [short(d)[0] for d in stage.tick(8)] == ["CLEARED"]


@pytest.mark.parametrize("disabled", [False, True])
def test_a_withdrawn_rule_clears_its_episodes(disabled: bool) -> None:
    stage = Stage.of(Device("GAS-1", "gas"), Device("SMK-1", "smoke"))
    stage.event("device", "SMK-1", "smoke_alarm", 0, active=True)
    for at in (0, 6):
        stage.read(at, 30)
    off = {"overrides": (Override(device="GAS-1", enabled=False),)} if disabled else None
    stage.versions[2] = with_rules(2, gas__leak=off, smoke__alarm=None)
    said = stage.control(RulesChanged(2), 7)
    assert sorted(short(d)[:3] + short(d)[-1:] for d in said) == [
        ("CLEARED", "GAS-1", "gas.leak", "rule_withdrawn"),
        ("CLEARED", "SMK-1", "smoke.alarm", "rule_withdrawn"),
    ]
    assert [d.rule for d in stage.read(8, 90)] == []


def test_a_rule_ends_with_its_last_day() -> None:
    """60 µg/m³ as the mean of 24 hours until the end of 2030, then 50."""
    stage = Stage.of(Device("DST-1", "dust"))
    new_year_2031 = (moment_of(datetime(2031, 1, 1, tzinfo=SHANGHAI)) - START) // SECOND
    for hours in range(24, 0, -1):
        stage.read(new_year_2031 - hours * 3600, 65 + hours / 100, "DST-1", "pm25")
    assert [d.rule for d in stage.found if d.rule.startswith("dust.")] == ["dust.pm25"]
    ended = [d for d in stage.tick(new_year_2031) if d.rule == "dust.pm25"]
    assert [short(d)[::6] for d in ended] == [("CLEARED", "rule_withdrawn")]
    for hours in range(24):
        stage.read(new_year_2031 + hours * 3600, 55 + hours / 100, "DST-1", "pm25")
    assert stage.found[-1].rule == "dust.pm25_from_2031"


def test_a_rearmed_rule_announces_itself_again_with_its_onset() -> None:
    stage = gas()
    for at in (0, 6):
        stage.read(at, 60)
    stage.control(Rearm("device", "GAS-1", "gas.leak"), 7)
    assert [short(d)[:5] for d in stage.tick(8)] == [("OPENED", "GAS-1", "gas.leak", 4, 0)]
    stage.control(Rearm("device", "GAS-1", "gas.leak"), 9)
    assert [short(d)[:5] for d in stage.read(10, 61)] == [("OPENED", "GAS-1", "gas.leak", 4, 0)]


def test_a_rearmed_rule_that_is_not_violated_any_more_says_nothing() -> None:
    stage = gas()
    for at, value in ((0, 60), (6, 60), (7, 22)):
        stage.read(at, value)
    stage.control(Rearm("device", "GAS-1", "gas.leak"), 8)
    assert stage.ticks(20) == []
    assert stage.detector.open_episodes == 0


def test_a_device_in_maintenance_is_recorded_and_pages_when_it_is_back() -> None:
    stage = Stage.of(Device("GAS-1", "gas", state="maintenance", state_until=moment(100)))
    for at in (0, 10):
        stage.read(at, 60)
    assert [short(d)[3:] for d in stage.found] == [(4, 0, False, "not_in_service")]
    assert stage.ticks(99, 9) == []
    assert [short(d)[3:] for d in stage.read(101, 61)] == [(4, 0, True, "fresh")]


def test_a_registry_change_brings_devices_and_retires_others() -> None:
    first, second = Device("GAS-5", "gas"), Device("GAS-6", "gas")
    stage = Stage.of(first, second)
    for at in (0, 6):
        stage.rows(Row("GAS-5", "gas_lel", at, 60), Row("GAS-6", "gas_lel", at, 60))
    retired = first._replace(state="retired")
    stage.registry = registry_of([retired, second, Device("GAS-1", "gas", in_service_at=moment(7))], 2)
    said = stage.control(RegistryChanged(2), 7)
    assert [short(d)[:3] + short(d)[-1:] for d in said] == [("CLEARED", "GAS-5", "gas.leak", "retired")]
    assert stage.read(8, 61, "GAS-6") == []
    assert stage.read(8, 61, "GAS-5") == []
    stage.read(8, 40, "GAS-1")
    assert [short(d)[1:5] for d in stage.read(14, 40, "GAS-1")] == [("GAS-1", "gas.leak", 3, 8)]
    assert [short(d)[:2] for d in stage.read(15, 3, "GAS-6")] == [("CLEARED", "GAS-6")]


def test_a_clock_that_was_ahead_and_is_put_right_hides_no_leak() -> None:
    stage = gas()
    stage.read(1800, 3, received=0)
    stage.read(1, 60)
    assert [short(d) for d in stage.read(7, 61)] == [("OPENED", "GAS-1", "gas.leak", 4, 1, True, "threshold")]


def test_a_leak_under_way_when_the_clock_is_put_right_keeps_its_episode() -> None:
    stage = gas()
    for at in (1800, 1806):
        stage.read(at, 30, received=at - 1800)
    assert [short(d)[3:] for d in stage.found] == [(3, 1800, True, "threshold")]
    stage.read(8, 60)
    assert [short(d)[:1] + short(d)[3:] for d in stage.ticks(14)] == [("UPDATED", 4, 1800, True, "held")]
    assert [short(d)[:5] for d in stage.read(20, 2)] == [("CLEARED", "GAS-1", "gas.leak", 0, 1800)]
    stage.read(30, 60)
    assert [short(d)[4] for d in stage.read(36, 61)] == [30], "a later leak is another one"


def test_a_dwell_that_runs_when_the_clock_is_put_right_is_not_lost() -> None:
    stage = gas()
    stage.read(1800, 60, received=0)
    stage.read(3, 61)
    assert [short(d)[3:5] for d in stage.read(8, 62)] == [(4, 3)]


def test_a_backlog_is_still_older_than_the_newest_reading() -> None:
    stage = gas()
    stage.read(100, 3)
    stage.read(60, 90, received=102)
    assert stage.ticks(120) == []


def journalled_ahead(stage: Stage, at: float, value: float, device: str = "GAS-1") -> list[Detection]:
    """A reading that came an hour after the platform's clock was set back by an hour: the journal is still ahead."""
    block = block_of(stage.registry, [Row(device, "gas_lel", at - 3600, value)])
    return stage.apply(RecordKind.BLOCK, block.to_bytes(), at)


def test_dwell_and_silence_hold_when_the_platforms_clock_was_set_back() -> None:
    stage = Stage.of(Device("GAS-1", "gas"), Device("GAS-2", "gas"))
    stage.rows(Row("GAS-1", "gas_lel", 0, 1), Row("GAS-2", "gas_lel", 0, 1))
    journalled_ahead(stage, 10, 60)
    assert stage.ticks(14) == [], "one reading of a second ago has not dwelt yet"
    assert [short(d)[3:] for d in stage.ticks(16)] == [(4, -3590, True, "held")]
    for at in range(20, 90, 10):
        journalled_ahead(stage, at, 60 + at / 99)
    assert [d.rule for d in stage.ticks(92)] == ["device.silence"]
    assert stage.found[-1].subject.id == "GAS-2"


def test_a_session_is_new_by_the_journals_time() -> None:
    """Connected at an hour earlier by a clock that was set back: silence is suspended all the same."""
    stage = gas()
    stage.read(0, 1)
    stage.control(Lost(moment(10)), 10)
    stage.control(Connected(moment(-600)), 3000)
    assert stage.ticks(3044) == []
