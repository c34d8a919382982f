"""Silence of devices and gateways, and event rules."""

from ingest.words import Connected, Lost, Quality, Rearm, RegistryChanged, RulesChanged
from tests.detectors.stage import Device, Row, Stage, moment, registry_of, short, with_rules

PAIR = (Device("GAS-1", "gas"), Device("GAS-2", "gas"))


def keep(stage: Stage, code: str, until: int, every: int = 10) -> None:
    """Let one device speak and time pass."""
    while stage.now + every <= until:
        now = stage.now + every
        stage.read(now, (now / 7) % 5, code)
        stage.tick(now)


def test_a_device_that_falls_silent_and_speaks_again() -> None:
    stage = Stage.of(*PAIR)
    stage.rows(Row("GAS-1", "gas_lel", 0, 1), Row("GAS-2", "gas_lel", 3, 1, received=5))
    keep(stage, "GAS-1", 200)
    assert [short(d) for d in stage.found] == [("OPENED", "GAS-2", "device.silence", 2, 3, True, "silence")]
    assert stage.found[0].evidence["last_received"] == moment(5)
    assert stage.found[0].at == stage.found[0].received_at
    stage.read(205, 1, "GAS-2")
    assert [short(d)[:3] for d in stage.tick(206)] == [("CLEARED", "GAS-2", "device.silence")]


def test_a_device_that_never_reported_counts_from_its_service() -> None:
    stage = Stage.of(PAIR[0], PAIR[1]._replace(in_service_at=moment(40)))
    stage.tick(0)
    keep(stage, "GAS-1", 130)
    assert stage.found == []
    keep(stage, "GAS-1", 200)
    assert [short(d)[1:] for d in stage.found] == [("GAS-2", "device.silence", 2, 40, True, "never_reported")]


def test_only_a_device_in_service_is_silent() -> None:
    others = [Device(f"GAS-{n}", "gas", state=state) for n, state in ((2, "commissioning"), (3, "retired"))]
    kept = Device("GAS-4", "gas", state="maintenance", state_until=moment(300))
    stage = Stage.of(PAIR[0], *others, kept)
    stage.tick(0)
    keep(stage, "GAS-1", 380)
    assert stage.found == []
    keep(stage, "GAS-1", 420)
    assert [d.subject.id for d in stage.found] == ["GAS-4"]


def test_a_dead_gateway_counts_once() -> None:
    stage = Stage.of(*(Device(f"GAS-{n}", "gas") for n in range(20)))
    for n in range(20):
        stage.read(n * 1.5, 1, f"GAS-{n}")
    stage.ticks(600, 5)
    assert [short(d) for d in stage.found] == [("OPENED", "GW-1", "gateway.offline", 3, 28, True, "gateway_silence")]
    assert stage.found[0].subject.kind == "gateway"
    assert stage.found[0].evidence["inhibited"] == 20
    stage.read(605, 1, "GAS-3")
    assert [short(d)[:2] for d in stage.tick(606)] == [("CLEARED", "GW-1")]
    assert stage.ticks(640) == []


def test_devices_that_stay_silent_after_their_gateway_is_back_are_told() -> None:
    stage = Stage.of(*PAIR)
    stage.rows(Row("GAS-1", "gas_lel", 0, 1), Row("GAS-2", "gas_lel", 0, 1))
    stage.ticks(200, 10)
    keep(stage, "GAS-1", 240)
    assert [d.subject.id for d in stage.found] == ["GW-1", "GW-1"]
    keep(stage, "GAS-1", 300)
    assert short(stage.found[-1])[:5] == ("OPENED", "GAS-2", "device.silence", 2, 0)


def test_an_open_silence_stays_under_a_dead_gateway() -> None:
    stage = Stage.of(*PAIR)
    stage.rows(Row("GAS-1", "gas_lel", 0, 1), Row("GAS-2", "gas_lel", 0, 1))
    keep(stage, "GAS-1", 200)
    stage.ticks(500, 10)
    assert [short(d)[:2] for d in stage.found] == [("OPENED", "GAS-2"), ("OPENED", "GW-1")]
    assert stage.found[1].evidence["inhibited"] == 1


def test_an_offline_status_counts_after_its_dwell() -> None:
    stage = Stage.of(*(Device(f"MHL-{n}", "manhole") for n in range(3)))
    stage.event("gateway", "GW-1", "status", 0, online=True)
    stage.event("gateway", "GW-1", "status", 10, online=False)
    stage.event("gateway", "GW-1", "status", 30, online=False)
    assert stage.ticks(69) == []
    assert [short(d) for d in stage.ticks(71)] == [
        ("OPENED", "GW-1", "gateway.offline", 3, 10, True, "gateway_offline")
    ]
    stage.event("gateway", "GW-1", "status", 80, online=True)
    assert [short(d)[0] for d in stage.tick(81)] == ["CLEARED"]


def test_a_short_offline_and_readings_that_were_under_way() -> None:
    stage = Stage.of(*PAIR)
    stage.event("gateway", "GW-1", "status", 10, online=False)
    stage.read(10, 1, received=12)
    stage.ticks(69)
    assert stage.found == []
    stage.event("gateway", "GW-1", "status", 69, online=True)
    assert stage.ticks(90) == []
    stage.event("gateway", "GW-1", "status", 100, online=False)
    stage.read(106, 2)
    assert [d for d in stage.ticks(180) if d.subject.kind == "gateway"] == []


def test_a_gateway_whose_devices_page_nobody_pages_nobody() -> None:
    stage = Stage.of(Device("GAS-1", "gas", state="commissioning"))
    stage.event("gateway", "GW-1", "status", 0, online=False)
    assert stage.ticks(600, 10) == []


def test_a_rearmed_silence_is_announced_with_its_onset() -> None:
    stage = Stage.of(*PAIR)
    stage.rows(Row("GAS-1", "gas_lel", 0, 1), Row("GAS-2", "gas_lel", 4, 1))
    keep(stage, "GAS-1", 200)
    stage.control(Rearm("device", "GAS-2", "device.silence"))
    keep(stage, "GAS-1", 220)
    assert [short(d)[:5] for d in stage.found] == 2 * [("OPENED", "GAS-2", "device.silence", 2, 4)]


def test_a_withdrawn_silence_rule_and_a_retired_gateway() -> None:
    stage = Stage.of(*PAIR, Device("GAS-3", "gas", "GW-2"))
    stage.rows(*(Row(code, "gas_lel", 0, 1) for code in ("GAS-1", "GAS-2", "GAS-3")))
    keep(stage, "GAS-1", 200)
    assert sorted(d.subject.id for d in stage.found) == ["GAS-2", "GW-2"]
    stage.versions[2] = with_rules(2, device__silence=None)
    assert [short(d)[:3] + short(d)[-1:] for d in stage.control(RulesChanged(2))] == [
        ("CLEARED", "GAS-2", "device.silence", "rule_withdrawn")
    ]
    stage.registry = registry_of([*PAIR, Device("GAS-3", "gas", "GW-1", state="retired")], 2)
    assert [short(d)[:3] + short(d)[-1:] for d in stage.control(RegistryChanged(2))] == [
        ("CLEARED", "GW-2", "gateway.offline", "retired")
    ]
    assert stage.detector.open_episodes == 0


def test_an_event_opens_at_once_and_ends_when_the_device_says_so() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    said = stage.event("device", "SMK-1", "smoke_alarm", 5, active=True)
    assert [short(d) for d in said] == [("OPENED", "SMK-1", "smoke.alarm", 4, 5, True, "event")]
    assert stage.event("device", "SMK-1", "smoke_alarm", 5, active=True) == []
    assert stage.event("device", "SMK-1", "smoke_alarm", 9, active=True) == []
    assert [short(d)[0] for d in stage.event("device", "SMK-1", "smoke_alarm", 20, active=False)] == ["CLEARED"]
    assert stage.event("device", "SMK-1", "smoke_alarm", 5, 21, active=True) == []


def test_a_rearmed_event_that_still_holds_is_announced_again_a_momentary_one_is_not() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    stage.event("device", "SMK-1", "smoke_alarm", 5, active=True)
    stage.event("device", "SMK-1", "call_point", 6)
    stage.control(Rearm("device", "SMK-1", "smoke.alarm"))
    stage.control(Rearm("device", "SMK-1", "smoke.call_point"))
    assert [short(d)[:5] for d in stage.tick(10)] == [("OPENED", "SMK-1", "smoke.alarm", 4, 5)]
    assert [short(d)[:5] for d in stage.event("device", "SMK-1", "call_point", 50)] == [
        ("OPENED", "SMK-1", "smoke.call_point", 4, 50)
    ]


def test_an_aged_alarm_event_pages_when_it_still_holds() -> None:
    aged = int(Quality.AGED)
    stage = Stage.of(Device("SMK-1", "smoke"), Device("SMK-2", "smoke"))
    stage.event("device", "SMK-1", "smoke_alarm", 0, 5000, active=True, quality=aged)
    stage.event("device", "SMK-2", "smoke_alarm", 0, 5000, active=True, quality=aged)
    stage.event("device", "SMK-2", "smoke_alarm", 90, 5001, active=False, quality=aged)
    assert [d.page for d in stage.found] == [False, False, False]
    said = stage.ticks(5010)
    assert [short(d)[:2] + short(d)[5:] for d in said] == [("UPDATED", "SMK-1", True, "still_violated")]
    assert said[0].age == moment(5005) - moment(0)


def test_events_of_unknown_devices_and_strange_attributes_are_harmless() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    assert stage.event("device", "SMK-9", "smoke_alarm", 0, active=True) == []
    assert stage.event("device", "SMK-1", "lid", 0, active=True) == []
    assert stage.event("gateway", "GW-9", "status", 0, online=False) == []
    assert stage.event("gateway", "GW-1", "status", 0, online="no") == []
    assert stage.ticks(70) == []


MIXED = (Device("NOI-1", "noise"), Device("DST-1", "dust"), Device("MHL-1", "manhole"))


def test_one_fast_device_that_dies_is_no_dead_gateway() -> None:
    """A second device was due and spoke: what is silent is the device."""
    stage = Stage.of(*MIXED)
    for second in range(0, 600, 5):
        if second < 100:
            stage.read(second, 50 + second / 9, "NOI-1", "laeq")
        if second % 60 == 50:
            stage.read(second, 30 + second / 9, "DST-1", "pm10")
        stage.tick(second)
    assert [short(d)[:3] for d in stage.found] == [("OPENED", "NOI-1", "device.silence")]


def test_a_gateway_is_dead_when_a_second_device_was_due_too() -> None:
    stage = Stage.of(*MIXED)
    stage.rows(*(Row(code, metric, 0, 50) for code, metric in (("NOI-1", "laeq"), ("DST-1", "pm10"))))
    stage.ticks(75, 5)
    assert [d.rule for d in stage.found] == ["device.silence"]
    assert [short(d)[:3] for d in stage.ticks(600, 5)] == [("OPENED", "GW-1", "gateway.offline")]


def test_after_a_loss_a_second_device_has_its_time_too() -> None:
    stage = Stage.of(*MIXED)
    stage.rows(*(Row(code, metric, 0, 50) for code, metric in (("NOI-1", "laeq"), ("DST-1", "pm10"))))
    stage.control(Lost(moment(10)), 10)
    stage.control(Connected(moment(900)), 900)
    stage.ticks(955, 5)
    stage.read(955, 51, "DST-1", "pm10")
    assert {d.subject.id for d in stage.found} <= {"NOI-1"}
