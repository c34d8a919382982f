"""What of gas, smoke and heat at one site makes a fire: two hazards, or two fire detectors; never two gas detectors."""

import pytest

from tests.detectors.stage import Device, Row, Stage

PLANT = (
    Device("GAS-1", "gas"),
    Device("GAS-2", "gas"),
    Device("SMK-1", "smoke"),
    Device("SMK-2", "smoke"),
    Device("CBL-1", "electrical"),
    Device("EBS-1", "ebike_shed"),
)


def alarm(stage: Stage, device: str) -> None:
    if device.startswith("GAS"):
        for at in (stage.now, stage.now + 6):
            stage.read(at, 60.0, device)
    elif device == "CBL-1":
        for at in (stage.now, stage.now + 61):
            stage.rows(Row(device, "cable_temp", at, 85.0))
    else:
        stage.event("device", device, "smoke_alarm", stage.now, active=True)


@pytest.mark.parametrize(
    ("devices", "rules"),
    [
        (("GAS-1", "GAS-2"), []),
        (("GAS-1", "SMK-1"), ["site.fire"]),
        (("GAS-1", "CBL-1"), ["site.fire"]),
        (("SMK-1", "CBL-1"), ["site.fire"]),
        (("SMK-1", "SMK-2"), ["site.fire_confirmed"]),
        (("SMK-1", "EBS-1"), ["site.fire", "site.fire_confirmed"]),
        (("SMK-1",), []),
    ],
)
def test_what_makes_a_fire(devices: tuple[str, ...], rules: list[str]) -> None:
    stage = Stage.of(*PLANT)
    for device in devices:
        alarm(stage, device)
    stage.tick(stage.now + 1)
    assert [d.rule for d in stage.found if d.subject.kind == "site"] == rules


def test_smoke_and_a_call_point_confirm_a_fire_and_one_device_alone_does_not() -> None:
    stage = Stage.of(*PLANT)
    alarm(stage, "SMK-1")
    stage.event("device", "SMK-1", "call_point", 1)
    stage.tick(2)
    assert [d.rule for d in stage.found if d.subject.kind == "site"] == []
    stage.event("device", "SMK-2", "call_point", 3)
    stage.tick(4)
    assert [d.rule for d in stage.found if d.subject.kind == "site"] == ["site.fire_confirmed"]


def test_a_backlog_in_which_everything_came_and_went_pages_for_each_member() -> None:
    """Between two ticks: the compound is not announced, its members were."""
    stage = Stage.of(*PLANT)
    stage.rows(*(Row("GAS-1", "gas_lel", at, value) for at, value in ((0, 60.0), (6, 60.0), (20, 0.0))))
    stage.event("device", "SMK-1", "smoke_alarm", 7, received=21, active=True)
    stage.event("device", "SMK-1", "smoke_alarm", 19, received=22, active=False)
    stage.tick(23)
    paged = [d.rule for d in stage.found if d.page and d.severity]
    assert paged == ["gas.leak", "smoke.alarm"]
