"""The loop of the discord tier: distances of a series' newest stretch to every earlier one, kept by lag.

D[L] is the sum over q < m of |x[t-q] - x[t-q-L]|: one addition and one subtraction a lag at each value, whatever m. A
buffer is written downwards, so that the value L earlier stands L places on; half is room, so that it is moved once
in WINDOW + LONGEST values.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.jit import compiled

SCALES = 3
BLOCKS = np.array([1, 3, 6])
"""Values that one of a scale stands for: of a block the one farthest from the series' mean."""
STRETCH = np.array([20, 6, 4])
NEAREST = np.array([5, 3, 3])
WINDOW, LONGEST = 300, 20
KEPT = WINDOW + LONGEST
RANKS = 64
"""The largest strengths that are remembered."""
APART = np.array([10, 4, 2])
"""Values between two remembered strengths."""
WARM = np.array([300, 100, 50])
"""Values of a scale before it says anything."""
REMEMBERED = 10_000.0
"""Values after which a remembered strength has sunk to 1/e: sensitivity returns."""
TOP_SCORE = 3.0
FILLED = 5
"""Intervals of a gap that are filled with the value before."""
_SURE = 8
"""Readings after which the interval is known."""
_DAY = 86_400.0


@compiled
def push(buffer: Any, distance: Any, place: int, count: int, value: float, scale: int) -> int:
    """Enter a value into a scale and bring all distances up to date; the new place."""
    stretch = STRETCH[scale]
    if place == 0:
        buffer[KEPT:] = buffer[:KEPT]
        place = KEPT
    place -= 1
    buffer[place] = value
    lags = min(WINDOW, count)
    whole = min(WINDOW, max(count - stretch, 0))
    newest, leaving = buffer[place], buffer[place + stretch]
    for lag in range(1, whole + 1):
        distance[lag - 1] += abs(newest - buffer[place + lag]) - abs(leaving - buffer[place + stretch + lag])
    for lag in range(whole + 1, lags + 1):
        distance[lag - 1] += abs(newest - buffer[place + lag])
    if count > 0:
        lag = 1 + count % lags
        distance[lag - 1] = apart(buffer, place, lag, min(stretch, count - lag + 1))
    return place


@compiled
def apart(buffer: Any, place: int, lag: int, stretch: int) -> float:
    """The distance of a lag, exactly: against rounding one is refreshed at each value."""
    total = np.float32(0)
    for back in range(stretch):
        total += abs(buffer[place + back] - buffer[place + back + lag])
    return total  # type: ignore[return-value]


@compiled
def strength_of(distance: Any, first: int, last: int, nearest: int) -> float:
    """Mean of the smallest distances of the lags first … last."""
    least = np.full(8, np.inf, np.float32)
    bound = np.float32(np.inf)
    for lag in range(first, last + 1):
        found = distance[lag - 1]
        if found < bound:
            at = nearest - 1
            while at > 0 and least[at - 1] > found:
                least[at] = least[at - 1]
                at -= 1
            least[at] = found
            bound = least[nearest - 1]
    total = 0.0
    for at in range(nearest):
        total += least[at]
    return max(total / nearest, 0.0)


@compiled
def ranked(top: Any, strength: float) -> float:
    """TOP_SCORE - log10 of the rank among the remembered strengths."""
    rank = 1
    for at in range(RANKS):
        rank += top[at] > strength
    return TOP_SCORE - math.log10(rank)


@compiled
def remember(top: Any, last: Any, strength: float, count: int, scale: int) -> None:
    """Keep a strength if it is among the largest; of those close together only the largest."""
    fading = np.float32(math.exp(-BLOCKS[scale] / REMEMBERED))
    least = 0
    for at in range(RANKS):
        top[at] *= fading
        if top[at] < top[least]:
            least = at
    if last[1] >= 0 and count - last[0] < APART[scale]:
        if strength > top[last[1]]:
            top[last[1]] = strength
            last[0] = count
    elif strength > top[least]:
        top[least] = strength
        last[0], last[1] = count, least


@compiled
def step(state: Any, buffers: Any, distances: Any, tops: Any, scale: int, value: float) -> None:
    """Enter a value of a scale: its score stands until the next one."""
    buffer, distance, top = buffers[scale], distances[scale], tops[scale]
    count = state.count[scale]
    state.place[scale] = push(buffer, distance, state.place[scale], count, value, scale)
    count += 1
    state.count[scale] = count
    stretch = STRETCH[scale]
    last = min(WINDOW, count - stretch)
    if last - stretch + 1 < NEAREST[scale]:
        return
    strength = strength_of(distance, stretch, last, NEAREST[scale])
    warm = count >= WARM[scale]
    state.score[scale] = ranked(top, strength) if warm and strength > 0 else 0.0
    state.strength[scale] = strength
    if count >= 25:
        remember(top, state.last[scale], strength, count, scale)


@compiled
def entered(state: Any, buffers: Any, distances: Any, tops: Any, value: float) -> float:
    """Enter a value of the raw scale, and of the others if their block is whole; the mean score of those warmed up."""
    step(state, buffers, distances, tops, 0, value)
    for scale in range(1, SCALES):
        if state.filled[scale] == 0 or abs(value - state.mean) > abs(state.extreme[scale] - state.mean):
            state.extreme[scale] = value
        state.filled[scale] += 1
        if state.filled[scale] == BLOCKS[scale]:
            state.filled[scale] = 0
            step(state, buffers, distances, tops, scale, state.extreme[scale])
    if state.count[0] < WARM[0]:
        return 0.0
    total, warm = 0.0, 0
    for scale in range(SCALES):
        if state.count[scale] >= WARM[scale]:
            total += state.score[scale]
            warm += 1
    return total / warm


@compiled
def gathered(interval: float) -> int:
    """How many readings of an interval (s) one value stands for, so that a day fits into the largest scale's window."""
    longest = WINDOW * BLOCKS[SCALES - 1]
    return int(np.ceil(max(_DAY / (longest * max(interval, 0.01)), 1.0)))


@compiled
def taken(state: Any, buffers: Any, distances: Any, tops: Any, value: float) -> float:
    """Take a reading on the grid of the series: gather it, or enter what was gathered; the score that stands now."""
    weight = 1 / min(state.readings + 1, 2000)
    state.mean += weight * (value - state.mean)
    if state.gathered == 0 or abs(value - state.mean) > abs(state.outlying - state.mean):
        state.outlying = value
    state.gathered += 1
    if state.gathered < gathered(state.interval):
        return state.known  # type: ignore[no-any-return]
    state.gathered = 0
    if state.held:
        state.known = against_frozen(state, buffers[0], tops[0], state.outlying)
    else:
        state.known = entered(state, buffers, distances, tops, state.outlying)
    return state.known  # type: ignore[no-any-return]


@compiled
def against_frozen(state: Any, buffer: Any, top: Any, value: float) -> float:
    """The score of a value of a held series: its newest stretch against the window as it was before the fault began."""
    stretch, place, count = STRETCH[0], state.place[0], state.count[0]
    for back in range(stretch - 1, 0, -1):
        state.newest[back] = state.newest[back - 1]
    state.newest[0] = value
    least = np.float32(np.inf)
    for lag in range(stretch, min(WINDOW, count - stretch) + 1):
        total = np.float32(0)
        for back in range(stretch):
            total += abs(state.newest[back] - buffer[place + lag + back])
        least = min(least, total)
    return ranked(top, float(least)) if count >= WARM[0] else 0.0


@compiled
def hold(state: Any, buffer: Any) -> None:
    """Freeze what is known of a series; the stretch that is going on may be what is wrong with it."""
    if state.held == 0:
        for back in range(STRETCH[0]):
            state.newest[back] = buffer[state.place[0] + back]
        state.held = 1


@compiled
def nearest_lag(distance: Any, count: int) -> int:
    """The lag of the earlier stretch that is most like the newest; 0 while there is none."""
    stretch, best = STRETCH[0], 0
    for lag in range(stretch, min(WINDOW, count - stretch) + 1):
        if best == 0 or distance[lag - 1] < distance[best - 1]:
            best = lag
    return best


@compiled
def usual_interval(interval: float, seconds: float, readings: int) -> float:
    """The median of the intervals (s), by steps of ever fewer percent: gaps don't stretch it."""
    if readings == 1:
        return seconds
    pace = max(1 / readings, 0.005)
    if abs(seconds - interval) < pace * interval:
        return seconds
    return interval * (1 + pace) if seconds > interval else interval * (1 - pace)


@compiled
def timed(state: Any, buffers: Any, distances: Any, tops: Any, at: int, value: float) -> float:
    """Put a reading on the series' grid of intervals: the score that stands after it."""
    if state.readings == 0:
        state.center, state.outlying = value, 0.0
    else:
        seconds = (at - state.last_at) * 1e-6
        if state.readings >= _SURE and seconds < 0.4 * state.interval:
            state.interval = usual_interval(state.interval, seconds, state.readings)
            return state.known  # type: ignore[no-any-return]
        steps = round(seconds / state.interval) if state.readings >= _SURE else 1
        state.interval = usual_interval(state.interval, seconds, state.readings)
        for _ in range(steps - 1 if steps <= FILLED + 1 else 0):
            taken(state, buffers, distances, tops, state.value)
    state.last_at = at
    state.value = value - state.center
    score = taken(state, buffers, distances, tops, state.value)
    state.readings = min(state.readings + 1, 2_000_000_000)
    return score


@compiled
def read(
    states: Any,
    buffers: npt.NDArray[np.float32],
    distances: npt.NDArray[np.float32],
    tops: npt.NDArray[np.float32],
    slot: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    score: npt.NDArray[np.float32],
) -> None:
    """Readings in their order; each one's score."""
    for place in range(len(slot)):
        s = slot[place]
        if s < 0 or s >= len(states) or not np.isfinite(value[place]):
            continue
        state = states[s]
        if state.readings == 0 or at[place] > state.last_at:
            score[place] = timed(state, buffers[s], distances[s], tops[s], at[place], value[place])
