"""A device of each kind in its normal course makes the shipped rules say nothing, by day or by night."""

import pytest

from core.clock import HOUR, SECOND
from devices.simulated import simulated_device
from tests.detectors.stage import START, TYPES, Device, Row, Stage

HOURS = 24


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_healthy_device_says_nothing_for_a_day(kind: str) -> None:
    device = simulated_device(TYPES[kind], "DEV-1", seed=5)
    stage = Stage.of(Device("DEV-1", kind))
    for first in range(0, HOURS * HOUR // SECOND, 600):
        moments = range(first, first + 600, TYPES[kind].interval_s)
        readings = [(at, device.values(START + at * SECOND)) for at in moments]
        stage.rows(*(Row("DEV-1", metric, at, value) for at, values in readings for metric, value in values.items()))
        stage.tick(first + 600)
    assert [(d.rule, d.value) for d in stage.found] == []
