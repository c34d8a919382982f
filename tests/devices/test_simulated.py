"""Simulated devices: every type is in range and quiet, incidents bend what they say they bend."""

from datetime import datetime
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND, SHANGHAI, moment_of
from devices.device_types import DeviceType, Metric, load_device_types
from devices.simulated import (
    Excursion,
    GasLeak,
    Incident,
    OpenManhole,
    OverweightLorry,
    RisingCableTemperature,
    RoadFlooding,
    ShedFire,
    SmokeAlarm,
    StuckSensor,
    TrappedPerson,
    simulated_device,
)

TYPES = load_device_types()
MIDNIGHT = moment_of(datetime(2026, 9, 21, tzinfo=SHANGHAI))
START, SPAN = MIDNIGHT + 10 * HOUR, 10 * MINUTE

QUIET = {
    "gas_lel": 5,
    "battery": 100,
    "smoke": 0,
    "residual_current": 150,
    "cable_temp": 50,
    "depth_cm": 0,
    "tilt": 5,
    "cover_open": 0,
    "mains_on": 1,
    "laeq": 55,
    "pm25": 45,
    "pm10": 75,
    "speed": 80,
    "flow": 1500,
    "co": 10,
    "h2s": 5,
    "nh3": 10,
    "cl2": 0.5,
    "so2": 2.5,
    "benzene": 3,
    "o2": 21.5,
    "water_pressure": 0.5,
    "tank_level": 103,
    "temperature": 32,
    "humidity": 70,
    "level_m": 3.5,
    "tsp": 250,
    "lafmax": 60,
    "wind_speed": 10,
    "wind_direction": 360,
    "fume": 1.5,
    "fan_on": 1,
    "purifier_on": 1,
    "stack_so2": 30,
    "stack_nox": 50,
    "stack_pm": 10,
    "stack_voc": 35,
    "stack_o2": 15,
    "stack_temp": 200,
    "stack_flow": 60_000,
    "ph": 8.2,
    "cod": 75,
    "ammonia_n": 7,
    "total_p": 0.5,
    "total_n": 14,
    "water_temp": 30,
    "effluent_flow": 20,
    "vehicles": 150,
    "overweight": 0,
    "trapped": 0,
    "car_speed": 0,
    "floor": 18,
    "door_open": 0,
}
"""The most that a healthy device says."""
LEAST = {"battery": 40, "mains_on": 1, "speed": 25, "o2": 20.2, "water_pressure": 0.15, "tank_level": 92, "ph": 6.5}
"""The least, where a limit lies below."""


def curve(kind: str, metric: str, incident: Incident) -> list[float]:
    """The metric each second from a minute before the incident to a minute after it."""
    device = simulated_device(TYPES[kind], "X-0001", seed=3)
    moments = range(incident.start - MINUTE, incident.start + incident.span + MINUTE, SECOND)
    return [device.values(at, [incident])[metric] for at in moments]


@given(st.sampled_from(sorted(TYPES)), st.integers(0, 2**32), st.integers(0, 2_000_000_000), st.integers(1, 9999))
def test_a_normal_value_is_in_range_and_far_from_any_limit(kind: str, seed: int, second: int, n: int) -> None:
    device = simulated_device(TYPES[kind], f"X-{n:04}", seed)
    values = device.values(second * SECOND)
    assert list(values) == list(TYPES[kind].metrics)
    for code, metric in TYPES[kind].metrics.items():
        assert metric.low <= values[code] <= min(metric.high, QUIET[code])
        assert round(values[code], metric.decimals) == values[code]
        assert values[code] >= LEAST.get(code, metric.low)
    assert simulated_device(TYPES[kind], f"X-{n:04}", seed).values(second * SECOND) == values


def test_devices_and_worlds_differ() -> None:
    def one(code: str, seed: int) -> float:
        return simulated_device(TYPES["electrical"], code, seed).values(START)["cable_temp"]

    assert len({one("ELE-0001", 1), one("ELE-0002", 1), one("ELE-0001", 2)}) == 3


def test_the_day_shows_in_noise_and_traffic() -> None:
    def at_hour(kind: str, metric: str, hour: float) -> float:
        device = simulated_device(TYPES[kind], "X-0001")
        moments = [MIDNIGHT + int(hour * HOUR) + n * SECOND for n in range(60)]
        return sum(device.values(at)[metric] for at in moments) / 60

    assert at_hour("noise", "laeq", 15) > at_hour("noise", "laeq", 3) + 7
    assert at_hour("traffic", "flow", 8) > 5 * at_hour("traffic", "flow", 3)
    assert at_hour("traffic", "speed", 3) > at_hour("traffic", "speed", 8) + 7


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_healthy_sensor_never_looks_frozen(kind: str) -> None:
    device = simulated_device(TYPES[kind], "X-0001")
    moments = range(MIDNIGHT, MIDNIGHT + DAY, TYPES[kind].interval_s * SECOND)
    readings = [device.values(at) for at in moments]
    for code, metric in TYPES[kind].metrics.items():
        if metric.frozen_s is None:
            continue
        values = [reading[code] for reading in readings]
        runs = [(value, len(list(same))) for value, same in groupby(values)]
        assert max((n for value, n in runs if value != metric.rest), default=0) < metric.frozen_count


def test_a_gas_leak_passes_both_limits_and_ends() -> None:
    values = curve("gas", "gas_lel", GasLeak(START, SPAN))
    assert max(values[:60]) < 5
    assert max(values) > 60
    assert all(any(a < limit <= b for a, b in pairwise(values)) for limit in (25, 50))
    assert values[-1] < 5


def test_road_flooding_passes_its_three_limits_and_ends() -> None:
    values = curve("water_depth", "depth_cm", RoadFlooding(START, SPAN))
    assert all(any(a < limit <= b for a, b in pairwise(values)) for limit in (5, 15, 25))
    assert (values[0], values[-1]) == (0, 0)


def test_an_open_manhole_reads_open_and_tilted_at_once() -> None:
    incident = OpenManhole(START, SPAN)
    opened = simulated_device(TYPES["manhole"], "X-0001").values(START, [incident])
    assert opened["cover_open"] == 1
    assert opened["tilt"] > 90
    assert set(curve("manhole", "cover_open", incident)) == {0, 1}
    assert [(event.at, event.attributes["active"]) for event in incident.events()] == [
        (START, True),
        (START + SPAN, False),
    ]


def test_a_stuck_sensor_repeats_what_it_last_read() -> None:
    device = simulated_device(TYPES["noise"], "X-0001", seed=3)
    values = curve("noise", "laeq", StuckSensor(START, SPAN, device))
    assert set(values[60:-60]) == {device.values(START)["laeq"]}
    assert len(set(values[:60])) > 10


def test_a_cable_warms_past_its_limits() -> None:
    values = curve("electrical", "cable_temp", RisingCableTemperature(START, SPAN))
    assert max(values[:60]) < 50
    assert max(values) > 90


def test_smoke_is_a_value_and_an_event() -> None:
    incident = SmokeAlarm(START, SPAN)
    assert curve("smoke", "smoke", incident) == [0] * 60 + [1] * 600 + [0] * 60
    assert {event.type for event in incident.events()} == {"smoke_alarm"}


@pytest.mark.parametrize(
    ("kind", "metric", "peak"),
    [("cl2", "cl2", 2.6), ("oxygen", "o2", 17.0), ("hydrant", "water_pressure", 0.04), ("canal", "level_m", 4.05)],
)
def test_an_excursion_leads_one_metric_away_and_back(kind: str, metric: str, peak: float) -> None:
    values = curve(kind, metric, Excursion(START, SPAN, metric, peak))
    normal, away = values[0], values[60 + 5 * 60]
    assert away == pytest.approx(peak, abs=0.02)
    assert abs(values[-1] - normal) < abs(peak - normal) / 4


def test_a_burning_shed_is_smoke_and_heat_that_rises_fast() -> None:
    incident = ShedFire(START, SPAN)
    assert curve("ebike_shed", "smoke", incident)[59:62] == [0, 1, 1]
    heat = curve("ebike_shed", "temperature", incident)
    assert all(any(a < limit <= b for a, b in pairwise(heat)) for limit in (50, 60))
    assert heat[60 + 5 * 60] - heat[60] > 10


def test_an_overweight_lorry_is_weighed_once() -> None:
    (weighed,) = OverweightLorry(START, SPAN, axles=2, weight_t=21.0).events()
    assert (weighed.at, weighed.attributes["axles"], weighed.attributes["weight_t"]) == (START, 2, 21.0)


@pytest.mark.parametrize(
    ("kind", "incident"),
    [
        ("manhole", OpenManhole(START, SPAN)),
        ("smoke", SmokeAlarm(START, SPAN)),
        ("ebike_shed", ShedFire(START, SPAN)),
        ("lift", TrappedPerson(START, SPAN)),
        ("weighing", OverweightLorry(START, SPAN)),
    ],
)
def test_events_are_those_of_the_type(kind: str, incident: Incident) -> None:
    for event in incident.events():
        assert set(event.attributes) == set(TYPES[kind].events[event.type].attributes)


def test_a_type_that_nothing_is_known_of_is_simulated_too() -> None:
    odd = DeviceType("odd", "奇", "Odd", 60, {"odd": Metric("odd", "", "奇数", "Odd", 0, 14, decimals=2)})
    values = {simulated_device(odd, "ODD-1").values(START + n * SECOND)["odd"] for n in range(100)}
    assert len(values) > 20
    assert all(4 < value < 10 for value in values)
