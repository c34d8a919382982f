"""A device whose clock was ahead and is put right: its alarms, their ends and its gateway are heard at once."""

import pytest

from ingest.words import Connected
from tests.detectors.stage import START, Device, Stage, moment, short

AHEAD = 100_000


def said(stage: Stage) -> list[tuple[str, int]]:
    return [(short(d)[0], short(d)[4]) for d in stage.found]


def smoke(stage: Stage, at: float, received: float, *, active: bool) -> None:
    stage.event("device", "SMK-1", "smoke_alarm", at, received=received, active=active)


def test_an_alarm_after_the_clock_was_put_right_is_heard() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    smoke(stage, AHEAD, 0, active=True)
    smoke(stage, AHEAD + 5, 5, active=False)
    smoke(stage, 50, 50, active=True)
    assert said(stage) == [("OPENED", AHEAD), ("CLEARED", AHEAD), ("OPENED", 50)]
    assert stage.found[-1].page


def test_an_end_after_the_clock_was_put_right_ends_it() -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    smoke(stage, AHEAD, 0, active=True)
    smoke(stage, 50, 50, active=False)
    assert said(stage) == [("OPENED", AHEAD), ("CLEARED", AHEAD)]


@pytest.mark.parametrize("active", [True, False])
def test_what_a_backlog_brings_late_is_older_than_what_is_known(active: bool) -> None:
    stage = Stage.of(Device("SMK-1", "smoke"))
    smoke(stage, 100, 100, active=True)
    smoke(stage, 200, 200, active=False)
    smoke(stage, 150, 210, active=active)
    assert said(stage) == [("OPENED", 100), ("CLEARED", 100)]


def test_a_gateway_that_goes_offline_after_its_clock_was_put_right_is_missed() -> None:
    stage = Stage.of(Device("GAS-1", "gas"))
    stage.control(Connected(START))
    stage.event("gateway", "GW-1", "status", AHEAD, received=0, online=True)
    stage.read(10, 1.0)
    stage.event("gateway", "GW-1", "status", 20, online=False)
    stage.ticks(120, every=10)
    assert [(d.rule, d.onset) for d in stage.found] == [("gateway.offline", moment(20))]
