"""A danger that stands when a device comes back into service is told then, not with its next reading."""

import pytest

from core.clock import MINUTE
from detectors.words import Detection
from ingest.words import Rearm
from tests.detectors.stage import Device, Stage, moment, short

BACK = 100


def maintained(code: str, kind: str) -> Stage:
    return Stage.of(Device(code, kind, state="maintenance", state_until=moment(BACK)))


def paged(stage: Stage) -> list[tuple[int, str]]:
    """(received in seconds, reason) of what people are paged for."""
    return [((d.received_at - moment(0)) // 1_000_000, d.reason) for d in stage.found if d.page]


def test_a_leak_that_stands_at_the_end_of_a_maintenance() -> None:
    stage = maintained("GAS-1", "gas")
    stage.read(80, 60)
    stage.ticks(130)
    assert paged(stage) == [(BACK, "fresh")]


def test_a_leak_that_was_last_seen_long_before_the_end_of_a_maintenance() -> None:
    stage = Stage.of(Device("GAS-1", "gas", state="maintenance", state_until=moment(3600)))
    stage.read(1, 60)
    stage.ticks(3700, every=10)
    assert not [d for d in stage.found if d.page and d.rule == "gas.leak"]
    assert [short(d)[3:] for d in stage.read(3701, 61)] == [(4, 1, True, "fresh")]


def test_what_is_no_danger_waits_for_the_next_reading() -> None:
    stage = maintained("WH-1", "warehouse")
    for at in (1, 62, 90):
        stage.read(at, 41, "WH-1", "temperature")
    stage.ticks(130)
    assert not paged(stage)


def smoke(stage: Stage, at: float, **said: bool) -> list[Detection]:
    return stage.event("device", "SMK-1", "smoke_alarm", at, **said)


def test_smoke_that_is_not_over_at_the_end_of_a_maintenance() -> None:
    stage = maintained("SMK-1", "smoke")
    smoke(stage, 90, active=True)
    stage.ticks(130)
    assert [short(d)[:1] + short(d)[3:] for d in stage.found] == [
        ("OPENED", 4, 90, False, "not_in_service"),
        ("UPDATED", 4, 90, True, "fresh"),
    ]


@pytest.mark.parametrize("ends", [True, False])
def test_smoke_of_a_test_that_is_over_or_that_nothing_would_end(ends: bool) -> None:
    stage = maintained("SMK-1", "smoke")
    if ends:
        smoke(stage, 50, active=True)
        smoke(stage, 60, active=False)
    else:
        smoke(stage, 50)
    stage.ticks(MINUTE // 1_000_000 + BACK)
    assert not paged(stage)


def test_smoke_that_was_momentary_at_first_and_then_stands() -> None:
    stage = maintained("SMK-1", "smoke")
    smoke(stage, 50)
    smoke(stage, 60, active=True)
    stage.ticks(130)
    assert paged(stage) == [(BACK, "fresh")]


def test_smoke_whose_alert_was_closed_in_a_maintenance_and_that_goes_on() -> None:
    stage = maintained("SMK-1", "smoke")
    smoke(stage, 50, active=True)
    stage.control(Rearm("device", "SMK-1", "smoke.alarm"), 60)
    stage.ticks(130)
    assert paged(stage) == [(BACK, "fresh")]
