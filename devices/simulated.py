"""Simulated devices: what a sensor of each type would read at a moment, and incidents that bend those values.

Values only, nothing is encoded or sent. Everything is a deterministic function of (seed, device code, time).
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Any, Protocol

from core.clock import DAY, HOUR, MILLISECOND
from devices.device_types import DeviceType, Metric

_SHANGHAI_OFFSET = 8 * HOUR
_MASK = (1 << 64) - 1

Values = dict[str, float]


class _Chance:
    """Random numbers that depend on nothing but a device, a name and a time."""

    def __init__(self, seed: int, code: str) -> None:
        self._root = (zlib.crc32(code.encode()) << 32 ^ seed * 0x9E3779B97F4A7C15) & _MASK

    def uniform(self, name: str, at: int = 0) -> float:
        """In [0, 1): splitmix64 of the device, the name and the time."""
        mixed = (self._root + zlib.crc32(name.encode()) * 0xD1342543DE82EF95 + at * 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ mixed >> 31) / 2**64

    def noise(self, name: str, at: int) -> float:
        """Near normal, mean 0, deviation 1: the sum of three uniforms, so never beyond 3."""
        moment = at // MILLISECOND
        return 2 * (sum(self.uniform(name, 3 * moment + part) for part in range(3)) - 1.5)

    def between(self, low: float, high: float, name: str) -> float:
        """What tells this device from its neighbours, the same at all times."""
        return low + (high - low) * self.uniform(name)


def _hour(at: int) -> float:
    return (at + _SHANGHAI_OFFSET) % DAY / HOUR


def _bump(hour: float, centre: float, width: float) -> float:
    """1 at `centre`, falling off over `width` hours, around midnight too."""
    away = abs(hour - centre)
    return exp(-((min(away, 24 - away) / width) ** 2))


def _activity(at: int) -> float:
    """How busy the town is, 0 to 1: least at 3, most in the afternoon."""
    return 0.5 - 0.5 * cos((_hour(at) - 3) / 24 * 2 * pi)


def _rush(at: int) -> float:
    hour = _hour(at)
    return _bump(hour, 7.7, 1.3) + _bump(hour, 17.5, 1.6) + 0.45 * _bump(hour, 12.5, 3.5)


def _gas(chance: _Chance, at: int) -> float:
    return max(0.0, chance.between(-0.6, 1.2, "gas") + 0.3 * chance.noise("gas", at))


def _battery(chance: _Chance, at: int) -> float:
    """Some 3 % a month from a full cell down to 40 %, then it is changed."""
    return 100 - (chance.between(0, 60, "battery") + at / DAY / 10) % 60


def _residual_current(chance: _Chance, at: int) -> float:
    return chance.between(15, 60, "current") * (0.7 + 0.5 * _activity(at)) + 1.5 * chance.noise("current", at)


def _cable_temp(chance: _Chance, at: int) -> float:
    return chance.between(22, 30, "cable") + 9 * _activity(at - HOUR) + 0.3 * chance.noise("cable", at)


def _tilt(chance: _Chance, at: int) -> float:
    return max(0.0, chance.between(0.2, 2, "tilt") + 0.1 * chance.noise("tilt", at))


def _laeq(chance: _Chance, at: int) -> float:
    return 37 + chance.between(0, 3, "laeq") + 10 * _activity(at) + 1.2 * chance.noise("laeq", at)


def _pm10(chance: _Chance, at: int) -> float:
    return chance.between(26, 38, "dust") + 14 * _activity(at) + 2 * chance.noise("dust", at)


def _pm25(chance: _Chance, at: int) -> float:
    return 0.55 * _pm10(chance, at) + 0.8 * chance.noise("pm25", at)


def _flow(chance: _Chance, at: int) -> float:
    return chance.between(250, 800, "flow") * (0.06 + 0.8 * _rush(at)) * (1 + 0.08 * chance.noise("flow", at))


def _speed(chance: _Chance, at: int) -> float:
    return chance.between(46, 60, "speed") - 14 * min(1.0, _rush(at)) + 2 * chance.noise("speed", at)


def _nothing(_chance: _Chance, _at: int) -> float:
    return 0.0


_NORMAL: Mapping[str, Callable[[_Chance, int], float]] = {
    "gas_lel": _gas,
    "battery": _battery,
    "smoke": _nothing,
    "residual_current": _residual_current,
    "cable_temp": _cable_temp,
    "depth_cm": _nothing,
    "tilt": _tilt,
    "cover_open": _nothing,
    "laeq": _laeq,
    "pm25": _pm25,
    "pm10": _pm10,
    "flow": _flow,
    "speed": _speed,
}


def _as_told(metric: Metric, value: float) -> float:
    """As the sensor would say it: within its range, with its decimals."""
    return round(min(max(value, metric.low), metric.high), metric.decimals)


class SimulatedDevice:
    """A device in its normal course; a metric that nothing is known of wanders in the middle of its range."""

    def __init__(self, kind: DeviceType, code: str, seed: int = 0) -> None:
        self.kind = kind
        self.code = code
        self._chance = _Chance(seed, code)

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
        known = _NORMAL.get(metric.code)
        if known is not None:
            return known(self._chance, at)
        share = 0.4 + 0.2 * _activity(at) + 0.02 * self._chance.noise(metric.code, at)
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
