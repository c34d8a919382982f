"""Made-up series of a town with their faults, for measuring the models of normal.

A reading every five minutes. What is normal is made hard on purpose: weather that wanders, weekdays unlike weekends,
counts whose scatter grows with their mean, coarse steps of sensors, tides that are no part of a day.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.anomaly.daily_calendar import day_class

A_DAY = 288
STEP = 300_000_000
START = 1_788_192_000_000_000
"""2026-09-01 00:00 in Shanghai, a Tuesday (µs UTC)."""
KINDS = ("temperature", "gas", "level", "sound", "current", "traffic", "voltage", "pressure", "tilt", "dust")
FAULTS = ("spike", "step", "drift", "noise", "stuck", "lost season", "slow leak", "swapped sensors")
SEASONAL = ("temperature", "sound", "current", "traffic")
LASTING = 96
"""Readings that a fault lasts, but a spike, which lasts one."""
SIZES = {"spike": 12.0, "step": 8.0, "drift": 0.5, "noise": 4.0, "slow leak": 0.25}
"""In usual scatters; of drift and leak a reading."""
_LARGEST = 12.0
Floats = npt.NDArray[Any]


class Fault(NamedTuple):
    """What is wrong with a series from a step on; swapped sensors are told of by either."""

    kind: str
    series: tuple[int, ...]
    begin: int
    end: int


def times(days: int) -> npt.NDArray[np.int64]:
    """Moments of the readings, µs UTC; shape (days · A_DAY,)."""
    return START + STEP * np.arange(days * A_DAY, dtype=np.int64)


def kind_of(series: int) -> str:
    """What a series measures."""
    return KINDS[series % len(KINDS)]


def town(count: int, days: int, seed: int) -> Floats:
    """Normal readings of `count` series; shape (days · A_DAY, count)."""
    random = np.random.default_rng(seed)
    at = times(days)
    made = np.empty((len(at), count), np.float32)
    weather = _wander(len(at), 1, 200, random)[:, 0]
    for number, kind in enumerate(KINDS):
        columns = np.arange(number, count, len(KINDS))
        made[:, columns] = _MAKERS[kind](at, len(columns), weather, random)
    return made


def _uniform(low: float, high: float, count: int, random: np.random.Generator) -> Floats:
    return random.uniform(low, high, count).astype(np.float32)


def _wander(steps: int, count: int, memory: float, random: np.random.Generator) -> Floats:
    """AR(1) of unit variance with a memory of so many readings; shape (steps, count)."""
    made = random.standard_normal((steps, count), np.float32)
    keep = np.float32(np.exp(-1 / memory))
    made[1:] *= np.sqrt(1 - keep * keep)
    for step in range(1, steps):
        made[step] += keep * made[step - 1]
    return made


def _course(at: npt.NDArray[np.int64], peak: Floats, width: float) -> Floats:
    """A bump a day around an hour, 0 … 1; shape (steps, count)."""
    hour = ((at + 8 * 3_600_000_000) % 86_400_000_000 / 3.6e9).astype(np.float32)[:, None]
    away = (hour - peak + 12) % 24 - 12
    return np.asarray(np.exp(-0.5 * (away / width) ** 2))


def _rest(at: npt.NDArray[np.int64]) -> Floats:
    return day_class(at).astype(np.float32)[:, None]


def _temperature(at: npt.NDArray[np.int64], count: int, weather: Floats, random: np.random.Generator) -> Floats:
    season = _uniform(4, 9, count, random) * _course(at, 14 + random.normal(0, 0.5, count).astype(np.float32), 4)
    made = 18 + season + 0.5 * weather[:, None] + 0.4 * _wander(len(at), count, 30, random)
    return np.round(made + random.normal(0, 0.3, made.shape), 1)


def _gas(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    made = _uniform(1, 8, count, random) + 0.8 * _wander(len(at), count, 40, random)
    return np.maximum(np.round(made + random.normal(0, 0.6, made.shape), 1), 0)


def _level(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    tide = np.sin(at[:, None] / 1e6 / 44_714 * 2 * np.pi + _uniform(0, 6, count, random)).astype(np.float32)
    made = 2 + _uniform(0.02, 0.1, count, random) * tide + 0.03 * _wander(len(at), count, 300, random)
    return np.round(made + random.normal(0, 0.01, made.shape), 3)


def _sound(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    season = _uniform(10, 18, count, random) * _course(at, _uniform(12, 16, count, random), 5) * (1 - 0.2 * _rest(at))
    return np.round(42 + season + random.gamma(4, 0.9, season.shape), 1)


def _current(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    working = (1 - 0.75 * _rest(at)) * _course(at, _uniform(12, 14, count, random), 3.5)
    made = _uniform(1, 3, count, random) + _uniform(8, 20, count, random) * working
    return np.round(made * (1 + 0.03 * random.standard_normal(made.shape)), 2)


def _traffic(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    rest = _rest(at)
    rush = _course(at, _uniform(7.7, 8.3, count, random), 1.2) + _course(at, _uniform(17.3, 18.3, count, random), 1.5)
    course = 0.7 * rush * (1 - 0.6 * rest) + (0.4 + 0.2 * rest) * _course(at, np.float32(14) + np.zeros(count, "f4"), 4)
    return random.poisson(_uniform(40, 120, count, random) * course + 4).astype(np.float32)


def _voltage(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    spent = np.linspace(0, 1, len(at), dtype=np.float32)[:, None] * _uniform(0, 0.15, count, random)
    return np.round(3.6 - spent + random.normal(0, 0.004, (len(at), count)), 3)


def _pressure(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    made = _uniform(0.25, 0.45, count, random) - 0.02 * _course(at, np.float32(19) + np.zeros(count, "f4"), 2)
    return np.round(made + random.normal(0, 0.004, made.shape), 3)


def _tilt(at: npt.NDArray[np.int64], count: int, _weather: Floats, random: np.random.Generator) -> Floats:
    made = _uniform(-0.5, 0.5, count, random) + 0.02 * _wander(len(at), count, 100, random)
    return np.round(made + random.normal(0, 0.02, made.shape), 2)


def _dust(at: npt.NDArray[np.int64], count: int, weather: Floats, random: np.random.Generator) -> Floats:
    made = np.exp(3.5 + 0.3 * weather[:, None] + 0.15 * _wander(len(at), count, 60, random))
    return np.round(made * (1 + 0.05 * random.standard_normal(made.shape)), 0)


_MAKERS = {
    "temperature": _temperature,
    "gas": _gas,
    "level": _level,
    "sound": _sound,
    "current": _current,
    "traffic": _traffic,
    "voltage": _voltage,
    "pressure": _pressure,
    "tilt": _tilt,
    "dust": _dust,
}


def scatters(made: Floats, before: int) -> Floats:
    """Of each series the usual scatter: standard deviation off its mean by time and class of day, until a step."""
    at, past = times(before // A_DAY), made[:before]
    squares = np.zeros(made.shape[1])
    for which in (0, 1):
        days = past[day_class(at) == which].reshape(-1, A_DAY, made.shape[1])
        if len(days) > 1:
            squares += ((days - days.mean(0)) ** 2).sum((0, 1)) * len(days) / (len(days) - 1)
    return np.sqrt(squares / before).astype(np.float32)


def with_faults(made: Floats, since: int, count: int, seed: int) -> list[Fault]:
    """Put `count` faults into the series after a step, as many of each kind, each into a series of its own."""
    random = np.random.default_rng(seed)
    scatter = scatters(made, since - since % A_DAY)
    middle = made[: since - since % A_DAY].mean(0)
    free = [int(series) for series in random.permutation(made.shape[1])]
    found = []
    for number in range(count):
        kind = FAULTS[number % len(FAULTS)]
        series = _fitting(made, scatter, free, kind)
        for taken in series:
            free.remove(taken)
        begin = int(random.integers(since, len(made) - LASTING))
        end = begin + (1 if kind == "spike" else LASTING)
        _break(made, Fault(kind, series, begin, end), scatter, middle, random)
        found.append(Fault(kind, series, begin, end))
    return sorted(found, key=lambda fault: fault.begin)


def _fitting(made: Floats, scatter: Floats, free: list[int], kind: str) -> tuple[int, ...]:
    """The first free series that such a fault can befall, two of them if they are swapped."""
    for first in free:
        if kind == "swapped sensors":
            other = next((series for series in free if _differ(made, scatter, first, series)), None)
            if other is not None:
                return first, other
        elif kind != "lost season" or kind_of(first) in SEASONAL:
            return (first,)
    raise ValueError(f"no series is left for a fault of kind {kind}")


def _differ(made: Floats, scatter: Floats, one: int, other: int) -> bool:
    """Whether two sensors of a kind read so differently that taking one for the other is an error worth a word."""
    if kind_of(one) != kind_of(other):
        return False
    apart = np.abs(made[:A_DAY, one] - made[:A_DAY, other])
    return bool(np.median(apart) > 4 * max(scatter[one], scatter[other]))


def _break(made: Floats, fault: Fault, scatter: Floats, middle: Floats, random: np.random.Generator) -> None:
    """Write a fault over normal readings, with the sensor's steps."""
    part, first = slice(fault.begin, fault.end), fault.series[0]
    one, unit = made[part, first], float(scatter[first])
    sign = 1 if fault.kind == "slow leak" or random.random() < 0.7 else -1
    passed = np.arange(1, len(one) + 1)
    if fault.kind == "swapped sensors":
        made[part, fault.series] = made[part, fault.series[::-1]]
        return
    if fault.kind in ("spike", "step"):
        one = one + sign * SIZES[fault.kind] * unit
    elif fault.kind in ("drift", "slow leak"):
        one = one + sign * np.minimum(passed * SIZES[fault.kind], _LARGEST) * unit
    elif fault.kind == "noise":
        one = one + random.normal(0, SIZES["noise"] * unit, len(one))
    elif fault.kind == "stuck":
        one = np.full(len(one), made[fault.begin - 1, first])
    else:
        one = middle[first] + random.normal(0, unit, len(one))
    made[part, first] = np.round(one, _DIGITS[kind_of(first)])


_DIGITS = {
    "temperature": 1,
    "gas": 1,
    "level": 3,
    "sound": 1,
    "current": 2,
    "traffic": 0,
    "voltage": 3,
    "pressure": 3,
    "tilt": 2,
    "dust": 0,
}
