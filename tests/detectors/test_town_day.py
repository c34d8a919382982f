"""A day of a town with a device of each kind: gateways drop out and bring their backlog, the platform restarts, things
happen; nobody is sent to a sensor that is well, and nothing that happens is missed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from core.clock import MINUTE, SECOND
from detectors.rule import HEALTH
from detectors.words import Change
from devices.simulated import (
    GasLeak,
    Incident,
    OpenManhole,
    RisingCableTemperature,
    RoadFlooding,
    SimulatedDevice,
    simulated_device,
)
from ingest.words import Connected, Lost, Quality
from tests.detectors.stage import PACKS, START, TYPES, Device, Row, Stage, moment

DAY_S, STEP_S = 86_400, 30
KINDS = sorted(TYPES)
TOWN = [Device(kind.upper(), kind, gateway=f"GW-{place % 3}") for place, kind in enumerate(KINDS)]
LOSSES = {"GW-0": [(7_715, 7_805), (33_963, 35_763)], "GW-1": [(24_601, 25_501)], "GW-2": [(59_475, 59_775)]}
"""By gateway, from when to when it is away, in seconds of the day."""
DOWN = [(30_000, 31_200), (60_000, 60_060)]
"""When the platform is."""
HAPPENING: dict[str, Sequence[Incident]] = {
    "GAS": [GasLeak(moment(24_300), 20 * MINUTE)],
    "WATER_DEPTH": [RoadFlooding(moment(40_000), 90 * MINUTE)],
    "MANHOLE": [OpenManhole(moment(50_000), 60 * MINUTE)],
    "ELECTRICAL": [RisingCableTemperature(moment(29_500), 40 * MINUTE)],
}
HAPPENED = {"gas.leak", "flood.road", "manhole.open", "electrical.cable_temperature"}


def away(spans: Sequence[tuple[int, int]], at: int) -> bool:
    return any(begin <= at < end for begin, end in spans)


def measured(devices: dict[str, SimulatedDevice], now: int, happening: dict[str, Sequence[Incident]]) -> Iterator[Row]:
    """What the devices read within a step."""
    for code, device in devices.items():
        for at in range(now, now + STEP_S):
            if at % device.kind.interval_s == 0:
                values = device.values(START + at * SECOND, happening.get(code, ()))
                yield from (Row(code, metric, at, value) for metric, value in values.items())


def arrived(row: Row, end: int) -> Row:
    """A reading that had to wait, as the gate hands it on."""
    if end - row.at <= STEP_S:
        return row
    late = end - row.at > TYPES[row.device.lower()].late_s
    return row._replace(received=end, quality=int(Quality.AGED) if late else 0)


def restarted(stage: Stage) -> Stage:
    stage.control(Lost(moment(stage.now)))
    later = Stage(stage.registry, stage.rules, found=stage.found, n=stage.n, now=stage.now)
    later.detector.restore(*stage.detector.snapshot())
    return later


def day(
    happening: dict[str, Sequence[Incident]], losses: dict[str, list[tuple[int, int]]], down: list[tuple[int, int]]
) -> Stage:
    stage, waiting, reached = Stage.of(*TOWN), list[Row](), dict.fromkeys(losses, True)
    devices = {device.code: simulated_device(TYPES[device.type], device.code, seed=7) for device in TOWN}
    gateway = {device.code: device.gateway for device in TOWN}
    stage.control(Connected(START))
    for now in range(0, DAY_S, STEP_S):
        end = now + STEP_S
        waiting += measured(devices, now, happening)
        if away(down, now):
            stage = stage if away(down, now - STEP_S) else restarted(stage)
            continue
        if away(down, now - STEP_S):
            stage.control(Connected(moment(end)), end)
        for code, spans in losses.items():
            if reached[code] == away(spans, end):
                reached[code] = not reached[code]
                stage.event("gateway", code, "status", end, online=reached[code])
        came = [arrived(row, end) for row in waiting if reached.get(gateway[row.device], True)]
        waiting = [row for row in waiting if not reached.get(gateway[row.device], True)]
        if came:
            stage.rows(*sorted(came, key=lambda row: row.at if row.received is None else row.received))
        stage.tick(end)
    return stage


def opened(stage: Stage) -> Counter[str]:
    return Counter(found.rule for found in stage.found if found.change == Change.OPENED)


def test_on_a_quiet_day_nothing_is_found() -> None:
    assert opened(day({}, {}, [])) == {}


def test_on_a_stormy_day_with_restarts_only_what_happened_is_found_each_once() -> None:
    stage = day(HAPPENING, LOSSES, DOWN)
    found = opened(stage)
    assert {rule for rule in found if PACKS.rules[rule].kind in HEALTH} == set()
    assert found["gateway.offline"] == sum(map(len, LOSSES.values()))
    assert found.keys() - {"gateway.offline", "electrical.cable_rise", "manhole.tilt", "manhole.overturned"} == HAPPENED
    assert set(found.values()) <= {1, found["gateway.offline"]}
    assert {rule for rule in HAPPENED if any(each.page and each.rule == rule for each in stage.found)} == HAPPENED
    assert stage.detector.open_episodes == 0


def test_a_stuck_gas_detector_is_found_and_still_alarms() -> None:
    stage = Stage.of(Device("GAS-1", "gas"))
    for at in range(0, 9_000, 30):
        stage.read(at, 3.4)
        stage.tick(at)
    assert opened(stage) == {"device.frozen.gas_lel": 1}
    assert stage.detector.sick_devices() == ["GAS-1"]
    for at in (9_000, 9_030):
        stage.read(at, 60.0)
    (leak,) = (found for found in stage.found if found.rule == "gas.leak")
    assert leak.page


def test_a_cable_sensor_that_jitters_for_hours_is_found() -> None:
    stage = Stage.of(Device("CBL-1", "electrical"))
    sensor = simulated_device(TYPES["electrical"], "CBL-1", seed=7)
    for at in range(0, 8 * 3_600, 30):
        jitter = (15.0 if at % 60 else -15.0) * (at > 5 * 3_600)
        values = sensor.values(START + at * SECOND)
        stage.rows(Row("CBL-1", "cable_temp", at, values["cable_temp"] + jitter))
        stage.tick(at)
    jitters = [found for found in stage.found if found.rule == "device.noise.cable_temp"]
    assert [found.change for found in jitters] == [Change.OPENED]
    assert jitters[0].received_at >= moment(6 * 3_600)
