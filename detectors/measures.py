"""What a reading means to a rule, as machine code: the number that is held against the rule's limits.

Functions take rows (records) of the arrays, never the arrays: passing those counts references at every call. NaN is no
judgement: the check stays as it is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.expression import ABSOLUTE, ADD, CONSTANT, DIVIDE, LEAST, LOAD, MULTIPLY, NEGATE, SUBTRACT
from detectors.jit import compiled

LEVELS = 5
"""Severities NONE..CRITICAL."""
PARTS = 24
"""A mean's span is this many parts; as many readings are kept for a count."""
BUCKETS = 10
"""A rate's window is this many parts, of each of which only the minimum is kept."""
NEVER = -(2**63)
"""A time before all others."""
LONG_AGO = NEVER // 2
"""The number of no part: later ones can be told from it without overflow."""
FAST, SLOW = 16, 1024
"""Over as many differences the present and the usual scatter are averaged."""
ENOUGH = 256
"""Readings before a scatter is judged."""
WEEK = 7 * 24 * 60
THRESHOLD, RATE, FROZEN, OUT_OF_RANGE, NOISE = 0, 1, 2, 3, 4
OUT = 1
_MINUTE = 60_000_000
_WEEK_OFFSET = (3 * 24 + 8) * 60 * _MINUTE  # the epoch was a Thursday, local time is 8 hours ahead


@compiled
def minute_of_week(moment: int) -> int:
    """As `schedule.minute_of_week`."""
    return (moment + _WEEK_OFFSET) // _MINUTE % WEEK


@compiled
def saturates(plan: Any, value: float) -> bool:
    """Whether a reading that is out of range counts as over-range."""
    return bool(plan.over > 0 and plan.sign * value >= plan.limit[0])


@compiled
def rise(window: Any, value: float, at: int, span: int) -> float:
    """Enter a value into its part; by how much it exceeds the lowest value within the span."""
    now = at // max(span // BUCKETS, 1)
    slot = now % BUCKETS
    if window.newest != now:
        for later in range(min(now - window.newest, BUCKETS)):
            window.value[(now - later) % BUCKETS] = np.inf
        window.newest, window.older = now, np.inf
        for part in range(BUCKETS):
            window.older = min(window.older, window.value[part])
    window.value[slot] = min(window.value[slot], value)
    return value - min(window.older, window.value[slot])  # type: ignore[no-any-return]


@compiled
def average(window: Any, value: float, at: int, span: int, needed: int, enter: bool) -> float:
    """The mean of the parts' means, a value entered before; NaN below the coverage."""
    now = at // max(span // PARTS, 1)
    slot = now % PARTS
    if enter:
        if window.part[slot] != now:
            window.part[slot] = now
            window.value[slot], window.readings[slot] = 0.0, 0
        window.value[slot] += value
        window.readings[slot] += 1
    total, parts = 0.0, 0
    for other in range(PARTS):
        if now - PARTS < window.part[other] <= now:
            total += window.value[other] / window.readings[other]
            parts += 1
    return total / parts if parts >= needed else np.nan


@compiled
def standing(plan: Any, measure: float) -> int:
    """How many limits and floors a measure reaches."""
    reached = 0
    for level in range(1, LEVELS):
        reached += (measure >= plan.limit[level]) + (measure >= plan.floor[level])
    return reached


@compiled
def repeated(plan: Any, window: Any, measure: float, at: int, enter: bool) -> float:
    """The measure that as many readings within the span reached as the rule counts, one entered before.

    Its place is that of a reading that is out of the span, else of the oldest of those that reach the least: however
    many harmless ones come in between, those over the limit are counted.
    """
    span, count = plan.window, plan.count
    if enter:
        place, least = 0, LEVELS * LEVELS
        for slot in range(PARTS):
            within = at - span < window.part[slot] <= at
            its = standing(plan, window.value[slot]) if within else -1
            older = window.part[slot] < window.part[place]
            lower = window.part[slot] == window.part[place] and window.value[slot] < window.value[place]
            if its < least or (its == least and (older or lower)):
                place, least = slot, its
        window.part[place], window.value[place] = at, measure
    best = -np.inf
    for slot in range(PARTS):
        candidate = window.value[slot]
        if at - span < window.part[slot] <= at and candidate > best:
            reached = 0
            for other in range(PARTS):
                reached += at - span < window.part[other] <= at and window.value[other] >= candidate
            if reached >= count:
                best = candidate
    return best


@compiled
def usual(plan: Any, memo: Any, value: float, at: int, since: int, enter: bool) -> float:
    """The baseline of a check: given, or the mean of its first readings since it came into service; NaN before."""
    if plan.learn == 0 or not np.isnan(plan.base):
        return plan.base  # type: ignore[no-any-return]
    if memo.before != float(since):
        memo.before, memo.total, memo.readings = float(since), 0.0, 0
    if enter and at >= since and np.isfinite(value) and memo.readings < plan.learn:
        memo.total += value
        memo.readings += 1
    return memo.total / memo.readings if memo.readings >= plan.learn else np.nan


@compiled
def stepped(memo: Any, value: float, settled: bool) -> tuple[int, float, float]:
    """How many readings there are with a finite value, and the present and the usual scatter that it makes."""
    step, steps = abs(value - memo.before), min(memo.readings, SLOW)
    present, usual = memo.total, memo.slow
    if steps > 0 and np.isfinite(step):
        present += (step - present) / min(steps, FAST)
        if settled:
            usual += (step - usual) / steps
    return steps + 1, present, usual


@compiled
def scatter(plan: Any, memo: Any, value: float, settled: bool, enter: bool) -> float:
    """How many times its usual scatter a sensor has now; the usual one moves only while the check is `settled`."""
    if enter and np.isfinite(value):
        memo.readings, memo.total, memo.slow = stepped(memo, value, settled)
        memo.before = value
    return memo.total / max(memo.slow, plan.resolution) if memo.readings > ENOUGH else np.nan


@compiled
def stays_quiet(plan: Any, memo: Any, value: float) -> bool:
    """Enter a value into the scatter of a settled check if its limit isn't reached; else nothing is entered."""
    if not np.isfinite(value):
        return False
    readings, present, usual = stepped(memo, value, True)
    if readings > ENOUGH and present / max(usual, plan.resolution) >= plan.limit[0]:
        return False
    memo.readings, memo.total, memo.slow, memo.before = readings, present, usual, value
    return True


@compiled
def stays_level(plan: Any, window: Any, value: float, at: int) -> bool:
    """Enter a value into the window of a rate; whether its limit isn't reached."""
    return not rise(window, plan.sign * value, at, plan.window) >= plan.limit[0]


@compiled
def of_value(plan: Any, series: Any, memo: Any, window: Any, since: int, enter: bool) -> float:
    """What the newest value means to a threshold: itself, its mean, or its distance from the baseline."""
    value, at = series.last_value, series.last_at
    ignored, infinite = value == plan.ignore, not np.isfinite(value)
    if plan.needed == 0:
        if ignored:
            return -np.inf
        if series.quality & OUT and saturates(plan, value):
            return np.inf
    base = usual(plan, memo, value, at, since, enter and not ignored)
    if plan.needed > 0:
        value = average(window, value, at, plan.window, plan.needed, enter and not ignored and not infinite)
    return float(plan.sign * (value if plan.learn == 0 else abs(value - base)))


@compiled
def measured(plan: Any, series: Any, check: Any, memo: Any, window: Any, since: int, enter: bool) -> float:
    """What the series' newest reading means to the rule; with `enter` it becomes part of what the check remembers."""
    if plan.kind == OUT_OF_RANGE:
        return float(series.out_count)
    if plan.kind == FROZEN:
        stuck = series.run_count >= plan.least and series.last_at - series.run_start >= plan.window
        return 1.0 if stuck and series.last_value != plan.rest else 0.0
    if plan.kind in (RATE, NOISE) and series.quality & OUT:
        return np.nan  # it is there for a rule to which it is over-range: how far it jumped means nothing
    if plan.kind == RATE:
        return rise(window, plan.sign * series.last_value, series.last_at, plan.window)
    if plan.kind == NOISE:
        return scatter(plan, memo, series.last_value, check.level == 0 and check.running == 0, enter)
    measure = of_value(plan, series, memo, window, since, enter)
    if plan.count > 0 and not np.isnan(measure):
        return repeated(plan, window, measure, series.last_at, enter)
    return measure


@compiled
def began(plan: Any, series: Any) -> int:
    """From when the newest reading's measure holds, µs."""
    if plan.kind == OUT_OF_RANGE:
        return series.out_start  # type: ignore[no-any-return]
    if plan.kind == FROZEN:
        return series.run_start  # type: ignore[no-any-return]
    return series.last_at  # type: ignore[no-any-return]


@compiled
def applied(op: int, left: float, right: float) -> float:
    """One operation on two values, as `expression` defines it."""
    if np.isnan(left) or np.isnan(right) or (op == DIVIDE and right == 0):
        return np.nan
    if op == ADD:
        return left + right
    if op == SUBTRACT:
        return left - right
    if op == MULTIPLY:
        return left * right
    if op == DIVIDE:
        return left / right
    if op == LEAST:
        return right if right < left else left
    return right if right > left else left


@compiled
def evaluated(
    derived: Any, series: npt.NDArray[Any], steps: npt.NDArray[Any], stack: npt.NDArray[np.float64]
) -> tuple[int, float, int]:
    """The time, value and quality that a derived series has by its inputs' newest readings; NaN for no value."""
    newest, quality = NEVER, 0
    for place in range(derived.inputs):
        source = series[derived.input[place]]
        if source.last_at == NEVER or source.out_count > 0 or source.quality & OUT:
            return NEVER, np.nan, 0
        newest = max(newest, source.last_at)
        quality |= source.quality
    for place in range(derived.inputs):
        if newest - series[derived.input[place]].last_at > derived.max_age:
            return NEVER, np.nan, 0
    top = -1
    for place in range(derived.first, derived.end):
        op, argument = steps[place].op, steps[place].argument
        if op == CONSTANT:
            top += 1
            stack[top] = argument
        elif op == LOAD:
            top += 1
            stack[top] = series[derived.input[int(argument)]].last_value
        elif op == ABSOLUTE:
            stack[top] = abs(stack[top])
        elif op == NEGATE:
            stack[top] = -stack[top]
        else:
            top -= 1
            stack[top] = applied(op, stack[top], stack[top + 1])
    return newest, stack[0], quality
