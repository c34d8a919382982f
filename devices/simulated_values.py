"""What a healthy sensor of each metric reads at a moment: a deterministic function of (seed, device code, time)."""

import zlib
from collections.abc import Callable, Mapping
from math import cos, exp, pi

from core.clock import DAY, HOUR, MILLISECOND

_SHANGHAI_OFFSET = 8 * HOUR
_MASK = (1 << 64) - 1


class Chance:
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


Normal = Callable[[Chance, int], float]


def _hour(at: int) -> float:
    return (at + _SHANGHAI_OFFSET) % DAY / HOUR


def _bump(hour: float, centre: float, width: float) -> float:
    """1 at `centre`, falling off over `width` hours, around midnight too."""
    away = abs(hour - centre)
    return exp(-((min(away, 24 - away) / width) ** 2))


def activity(at: int) -> float:
    """How busy the town is, 0 to 1: least at 3, most in the afternoon."""
    return 0.5 - 0.5 * cos((_hour(at) - 3) / 24 * 2 * pi)


def _rush(at: int) -> float:
    hour = _hour(at)
    return _bump(hour, 7.7, 1.3) + _bump(hour, 17.5, 1.6) + 0.45 * _bump(hour, 12.5, 3.5)


def _gas(chance: Chance, at: int) -> float:
    return max(0.0, chance.between(-0.6, 1.2, "gas") + 0.3 * chance.noise("gas", at))


def _battery(chance: Chance, at: int) -> float:
    """Some 3 % a month from a full cell down to 40 %, then it is changed."""
    return 100 - (chance.between(0, 60, "battery") + at / DAY / 10) % 60


def _residual_current(chance: Chance, at: int) -> float:
    return chance.between(15, 60, "current") * (0.7 + 0.5 * activity(at)) + 1.5 * chance.noise("current", at)


def _cable_temp(chance: Chance, at: int) -> float:
    return chance.between(22, 30, "cable") + 9 * activity(at - HOUR) + 0.3 * chance.noise("cable", at)


def _tilt(chance: Chance, at: int) -> float:
    return max(0.0, chance.between(0.2, 2, "tilt") + 0.1 * chance.noise("tilt", at))


def _laeq(chance: Chance, at: int) -> float:
    return 37 + chance.between(0, 3, "laeq") + 10 * activity(at) + 1.2 * chance.noise("laeq", at)


def _pm10(chance: Chance, at: int) -> float:
    return chance.between(26, 38, "dust") + 14 * activity(at) + 2 * chance.noise("dust", at)


def _pm25(chance: Chance, at: int) -> float:
    return 0.55 * _pm10(chance, at) + 0.8 * chance.noise("pm25", at)


def _flow(chance: Chance, at: int) -> float:
    return chance.between(250, 800, "flow") * (0.06 + 0.8 * _rush(at)) * (1 + 0.08 * chance.noise("flow", at))


def _speed(chance: Chance, at: int) -> float:
    return chance.between(46, 60, "speed") - 14 * min(1.0, _rush(at)) + 2 * chance.noise("speed", at)


def _steady(low: float, high: float, scatter: float) -> Normal:
    """Each device has its own level between these, and wavers about it."""

    def value(chance: Chance, at: int) -> float:
        return chance.between(low, high, "level") + scatter * chance.noise("level", at)

    return value


def _daily(low: float, high: float, swing: float, scatter: float) -> Normal:
    """As steady, and higher by up to `swing` in the afternoon."""

    def value(chance: Chance, at: int) -> float:
        return chance.between(low, high, "daily") + swing * activity(at) + scatter * chance.noise("daily", at)

    return value


def _trace(high: float) -> Normal:
    """Next to nothing of a gas: within a fraction of its first limit, zero most of the time."""

    def value(chance: Chance, at: int) -> float:
        return max(0.0, chance.between(-high, high / 2, "trace") + 0.15 * high * chance.noise("trace", at))

    return value


def _fume(chance: Chance, at: int) -> float:
    """Kitchens cook at noon and in the evening, behind a purifier that works."""
    meals = _bump(_hour(at), 12, 1.2) + _bump(_hour(at), 18.2, 1.4)
    return max(0.0, meals * (chance.between(0.3, 0.9, "fume") + 0.05 * chance.noise("fume", at)) - 0.02)


def _cooking(_chance: Chance, at: int) -> float:
    hour = _hour(at)
    return float(_bump(hour, 12, 1.2) + _bump(hour, 18.2, 1.4) > 0.05)


def _tsp(chance: Chance, at: int) -> float:
    return 2.4 * _pm10(chance, at) + 5 * chance.noise("tsp", at)


def _lafmax(chance: Chance, at: int) -> float:
    return _laeq(chance, at) + 3 + 0.8 * chance.noise("lafmax", at)


def _wind(chance: Chance, at: int) -> float:
    return max(0.0, chance.between(1.5, 3, "wind") + 1.5 * activity(at) + 0.4 * chance.noise("wind", at))


def _floor(chance: Chance, at: int) -> float:
    """The lift stands on one floor for a minute, then on another."""
    return float(1 + int(chance.uniform("floor", at // (60 * 1000 * MILLISECOND)) * 17))


def _lorries(chance: Chance, at: int) -> float:
    return round(chance.between(20, 60, "lorries") * (0.1 + _rush(at)))


def _nothing(_chance: Chance, _at: int) -> float:
    return 0.0


def _mains(_chance: Chance, _at: int) -> float:
    return 1.0


NORMAL: Mapping[str, Normal] = {
    "gas_lel": _gas,
    "battery": _battery,
    "smoke": _nothing,
    "residual_current": _residual_current,
    "cable_temp": _cable_temp,
    "depth_cm": _nothing,
    "tilt": _tilt,
    "cover_open": _nothing,
    "mains_on": _mains,
    "laeq": _laeq,
    "pm25": _pm25,
    "pm10": _pm10,
    "flow": _flow,
    "speed": _speed,
    "co": _trace(4),
    "h2s": _trace(1.5),
    "nh3": _trace(3),
    "cl2": _trace(0.15),
    "so2": _trace(0.8),
    "benzene": _trace(1),
    "o2": _steady(20.7, 20.95, 0.03),
    "water_pressure": _steady(0.22, 0.38, 0.004),
    "tank_level": _steady(95, 100, 0.2),
    "temperature": _daily(14, 20, 8, 0.25),
    "humidity": _daily(45, 58, 6, 0.6),
    "level_m": _daily(2.9, 3.2, 0.06, 0.004),
    "tsp": _tsp,
    "lafmax": _lafmax,
    "wind_speed": _wind,
    "wind_direction": _daily(80, 160, 40, 12),
    "fume": _fume,
    "fan_on": _cooking,
    "purifier_on": _cooking,
    "stack_so2": _daily(8, 16, 5, 0.8),
    "stack_nox": _daily(20, 32, 8, 1.2),
    "stack_pm": _daily(2, 4.5, 1, 0.2),
    "stack_voc": _daily(8, 18, 6, 0.9),
    "stack_o2": _steady(6, 9, 0.15),
    "stack_temp": _daily(85, 120, 12, 1.5),
    "stack_flow": _daily(20_000, 40_000, 9_000, 400),
    "ph": _steady(7.1, 7.7, 0.04),
    "cod": _steady(25, 55, 1.2),
    "ammonia_n": _steady(1, 4, 0.1),
    "total_p": _steady(0.1, 0.3, 0.01),
    "total_n": _steady(6, 11, 0.25),
    "water_temp": _daily(18, 22, 2, 0.1),
    "effluent_flow": _daily(3, 9, 4, 0.3),
    "vehicles": _lorries,
    "overweight": _nothing,
    "trapped": _nothing,
    "car_speed": _nothing,
    "floor": _floor,
    "door_open": _nothing,
}
"""By the metric's code."""
