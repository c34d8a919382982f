"""Simulated devices: what a sensor of each type would read at a moment, and incidents that bend those values.

Values only, nothing is encoded or sent. Everything is a deterministic function of (seed, device code, time).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from devices.device_types import DeviceType, Metric
from devices.simulated_values import NORMAL, Chance, activity

Values = dict[str, float]


def _as_told(metric: Metric, value: float) -> float:
    """As the sensor would say it: within its range, with its decimals."""
    return round(min(max(value, metric.low), metric.high), metric.decimals)


class SimulatedDevice:
    """A device in its normal course; a metric that nothing is known of wanders in the middle of its range."""

    def __init__(self, kind: DeviceType, code: str, seed: int = 0) -> None:
        self.kind = kind
        self.code = code
        self._chance = Chance(seed, code)

    def values(self, at: int, incidents: Sequence["Incident"] = ()) -> Values:
        """One value for each of the type's metrics at µs UTC, bent by those incidents that are under way.

        >>> from devices.device_types import load_device_types
        >>> meter = simulated_device(load_device_types()["noise"], "NOI-0001", seed=1)
        >>> 30 < meter.values(0)["laeq"] < 55
        True
        """
        found = {code: self._normal(metric, at) for code, metric in self.kind.metrics.items()}
        for incident in incidents:
            if incident.start <= at < incident.start + incident.span:
                found = incident.bend(found, at)
        return {code: _as_told(metric, found[code]) for code, metric in self.kind.metrics.items()}

    def _normal(self, metric: Metric, at: int) -> float:
        known = NORMAL.get(metric.code)
        if known is not None:
            return known(self._chance, at)
        share = 0.4 + 0.2 * activity(at) + 0.02 * self._chance.noise(metric.code, at)
        return metric.low + (metric.high - metric.low) * share


def simulated_device(kind: DeviceType, code: str, seed: int = 0) -> SimulatedDevice:
    """The simulated device of this type and code in the world of this seed."""
    return SimulatedDevice(kind, code, seed)


# Incidents ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """What a device announces during an incident; `at` in µs UTC."""

    at: int
    type: str
    attributes: Mapping[str, Any]


class Incident(Protocol):
    """Something that happens to one device from `start` for `span` µs."""

    @property
    def start(self) -> int: ...

    @property
    def span(self) -> int: ...

    def bend(self, values: Values, at: int, /) -> Values:
        """The values that the device reads at `at`, a moment within the incident, instead of its normal ones."""
        ...

    def events(self) -> Sequence[SimulatedEvent]:
        """What the device announces beside its readings, in order."""
        ...


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    span: int

    def events(self) -> Sequence[SimulatedEvent]:
        return ()

    def _share(self, at: int) -> float:
        """0 at the start, 1 from two fifths of the span on, back to 0 over its last fifth."""
        passed = (at - self.start) / self.span
        return max(0.0, min(passed / 0.4, 1.0, (1 - passed) / 0.2))

    def _switched(self, event: str) -> Sequence[SimulatedEvent]:
        return (
            SimulatedEvent(self.start, event, {"active": True}),
            SimulatedEvent(self.start + self.span, event, {"active": False}),
        )


@dataclass(frozen=True, slots=True)
class GasLeak(_Span):
    """Combustible gas rises through 25 and 50 %LEL to `peak`, stays, and is aired out at the end."""

    peak: float = 62.0

    def bend(self, values: Values, at: int, /) -> Values:
        return values | {"gas_lel": max(values["gas_lel"], self.peak * self._share(at) + values["gas_lel"])}


@dataclass(frozen=True, slots=True)
class RoadFlooding(_Span):
    """Water on the road rises through 5, 15 and 25 cm to `peak`, stays, and runs off at the end."""

    peak: float = 32.0

    def bend(self, values: Values, at: int, /) -> Values:
        return values | {"depth_cm": self.peak * self._share(at)}


@dataclass(frozen=True, slots=True)
class OpenManhole(_Span):
    """A cover is lifted off: the switch closes at once and the tilt reads beyond 90°; some models announce it too."""

    tilt: float = 104.0
    announced: bool = True

    def bend(self, values: Values, _at: int, /) -> Values:
        return values | {"cover_open": 1.0, "tilt": self.tilt + values["tilt"] / 10}

    def events(self) -> Sequence[SimulatedEvent]:
        return self._switched("cover_open") if self.announced else ()


@dataclass(frozen=True, slots=True)
class StuckSensor(_Span):
    """A sensor hangs: it repeats what it read when the incident began."""

    device: SimulatedDevice

    def bend(self, values: Values, _at: int, /) -> Values:
        return values | self.device.values(self.start)


@dataclass(frozen=True, slots=True)
class RisingCableTemperature(_Span):
    """A loose terminal warms up through 60 and 80 °C to `peak`."""

    peak: float = 92.0

    def bend(self, values: Values, at: int, /) -> Values:
        normal = values["cable_temp"]
        return values | {"cable_temp": normal + (self.peak - normal) * self._share(at)}


@dataclass(frozen=True, slots=True)
class SmokeAlarm(_Span):
    """A smoke detector trips, and resets when the smoke is gone."""

    def bend(self, values: Values, _at: int, /) -> Values:
        return values | {"smoke": 1.0}

    def events(self) -> Sequence[SimulatedEvent]:
        return self._switched("smoke_alarm")


@dataclass(frozen=True, slots=True)
class Excursion(_Span):
    """One metric leaves its normal course for `peak`, up or down, stays, and comes back: a leak of chlorine, a main
    without pressure, a tank that runs dry, a hot store room, a high canal, a stack above its permit, a leaning pole.
    """

    metric: str
    peak: float

    def bend(self, values: Values, at: int, /) -> Values:
        normal = values[self.metric]
        return values | {self.metric: normal + (self.peak - normal) * self._share(at)}


@dataclass(frozen=True, slots=True)
class ShedFire(_Span):
    """A battery burns in a shed: the smoke detector trips at once, the air warms through 50 and 60 °C to `peak`."""

    peak: float = 85.0

    def bend(self, values: Values, at: int, /) -> Values:
        normal = values["temperature"]
        return values | {"smoke": 1.0, "temperature": normal + (self.peak - normal) * self._share(at)}

    def events(self) -> Sequence[SimulatedEvent]:
        return self._switched("smoke_alarm")


@dataclass(frozen=True, slots=True)
class TrappedPerson(_Span):
    """A lift stops between floors with somebody in it."""

    def bend(self, values: Values, _at: int, /) -> Values:
        return values | {"trapped": 1.0, "car_speed": 0.0, "door_open": 0.0}

    def events(self) -> Sequence[SimulatedEvent]:
        return self._switched("person_trapped")


@dataclass(frozen=True, slots=True)
class OverweightLorry(_Span):
    """A lorry that is too heavy passes the scales as the incident begins; it is counted for its span."""

    axles: int = 6
    weight_t: float = 61.5
    plate: str = "苏E·演示01"
    others: Mapping[str, float] = field(default_factory=lambda: {"speed_km_h": 38.0, "lane": 1})

    def bend(self, values: Values, _at: int, /) -> Values:
        return values | {"overweight": 1.0}

    def events(self) -> Sequence[SimulatedEvent]:
        about = {"plate": self.plate, "axles": self.axles, "weight_t": self.weight_t, **self.others}
        return (SimulatedEvent(self.start, "weighed", about),)
