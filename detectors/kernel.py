"""The loops over readings and over checks that wait for a tick, as machine code; `reference` says the same plainly.

State machine of a check: a reading's measure sets `running`, the level that it violates, and from when (`since`); a
level whose dwell has passed becomes `level`; `level` falls only below the level's floor; what changed is emitted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.columns import (
    AGED_RECORDED,
    BUCKETS,
    EASED,
    FRESH,
    FROZEN,
    HELD,
    LEVELS,
    NEVER,
    NOT_IN_SERVICE,
    OUT_OF_RANGE,
    OVER_RANGE,
    RATE,
    RECOVERED,
    STILL_VIOLATED,
    THRESHOLD,
    Arrays,
    Plans,
)
from detectors.jit import compiled

_OUT = 1
_DISORDERED = 2
_AGED = 4
SETTLED = 5_000_000
"""µs without a newer reading after which a backlog counts as settled."""
LONGEST_WAIT = 30_000_000
"""µs after which an aged episode is decided even while its backlog still comes."""


@compiled
def violated(plans: Plans, plan: int, measure: float) -> int:
    """The highest level whose limit the measure reaches, 0 for none."""
    for level in range(LEVELS - 1, 0, -1):
        if measure >= plans.limit[plan, level]:
            return level
    return 0


@compiled
def saturates(plans: Plans, arrays: Arrays, number: int, value: float) -> bool:
    """Whether an out-of-range reading counts as over-range for one of the series' rules."""
    for place in range(arrays.start[number], arrays.start[number + 1]):
        plan = int(arrays.check[place].plan)
        if plans.over[plan] > 0 and violated(plans, plan, plans.sign[plan] * value) > 0:
            return True
    return False


@compiled
def rise(arrays: Arrays, row: int, value: float, at: int, window: int) -> float:
    """Enter a value into its bucket; by how much it exceeds the lowest value within the window."""
    now = at // max(window // BUCKETS, 1)
    slot = now % BUCKETS
    if arrays.bucket[row, slot] != now:
        arrays.bucket[row, slot] = now
        arrays.lowest[row, slot] = value
    elif value < arrays.lowest[row, slot]:
        arrays.lowest[row, slot] = value
    least = value
    for other in range(BUCKETS):
        if arrays.bucket[row, other] > now - BUCKETS and arrays.lowest[row, other] < least:
            least = arrays.lowest[row, other]
    return value - least


@compiled
def measured(plans: Plans, arrays: Arrays, number: int, place: int) -> tuple[float, int]:
    """What the series' newest reading means to a check: its measure, and since when that holds (µs)."""
    series = arrays.series[number]
    check = arrays.check[place]
    plan = check.plan
    kind = plans.kind[plan]
    value = series.last_value
    if kind == THRESHOLD:
        if value == plans.ignore[plan]:
            return -np.inf, series.last_at
        if plans.over[plan] > 0 and series.quality & _OUT and violated(plans, plan, plans.sign[plan] * value) > 0:
            return np.inf, series.last_at
        return plans.sign[plan] * value, series.last_at
    if kind == RATE:
        return rise(arrays, check.rate, plans.sign[plan] * value, series.last_at, plans.window[plan]), series.last_at
    if kind == OUT_OF_RANGE:
        return float(series.out_count), series.out_start
    stuck = series.run_count >= plans.least[plan] and series.last_at - series.run_start >= plans.window[plan]
    return (1.0 if stuck and value != plans.rest[plan] else 0.0), series.run_start


@compiled
def confirmed(plans: Plans, arrays: Arrays, place: int, measure: float, since: int, at: int, held: int) -> int:
    """Move a check by one measure at time `at`, held for `held` µs since; its level by dwell and recovery limit."""
    check = arrays.check[place]
    plan = check.plan
    reached = violated(plans, plan, measure)
    if measure == np.inf and plans.over[plan] > reached:
        reached = plans.over[plan]
    for level in range(check.running + 1, reached + 1):
        arrays.since[place, level - 1] = since
    check.running = reached
    level = check.level
    while level > 0 and not measure >= plans.floor[plan, level]:
        level -= 1
    for higher in range(reached, level, -1):
        if at - arrays.since[place, higher - 1] + held >= plans.dwell[plan]:
            level = higher
            break
    if check.level == 0 and level > 0:
        check.onset = arrays.since[place, 0]
    if check.told == 0 and reached == 0:  # announced anew only while it is really violated
        level = 0
    check.level = level
    return level


@compiled
def waits(plans: Plans, check: Any) -> bool:
    """Whether a tick must look at the check: dwell runs, it is to be announced anew, or an aged episode is open."""
    life = plans.life[check.plan]
    undecided = check.aged_at > 0 and check.level >= life and check.level > check.paged
    return bool(check.running > check.level or (check.level > 0 and check.told == 0) or undecided)


@compiled
def note(plans: Plans, arrays: Arrays, place: int) -> None:
    """List a check for the next tick if it waits for one."""
    check = arrays.check[place]
    if check.noted == 0 and waits(plans, check):
        check.noted = 1
        arrays.attention[arrays.counters[0]] = place
        arrays.counters[0] += 1


@compiled
def pages(level: int, told: int, paged: int, may: bool) -> bool:
    """Whether a step is for people: a rise and what nobody was paged for yet if it may, an ending if they know."""
    if level > told or (may and level > paged):
        return may
    return paged > 0


@compiled
def named(kind: int, level: int, told: int, page: bool, late: bool, tick: bool, over: bool, aged: bool) -> int:
    """The reason of a step. `late`: people are paged for what was only recorded before."""
    if level == 0:
        return RECOVERED
    if late:
        return STILL_VIOLATED if tick and aged else FRESH
    if level < told:
        return EASED
    if not page:
        return AGED_RECORDED if aged else NOT_IN_SERVICE
    if over:
        return OVER_RANGE
    return HELD if tick else kind


@compiled
def announce(
    plans: Plans, arrays: Arrays, number: int, place: int, measure: float, tick: int, at: int, now: int, out: Any
) -> bool:
    """Write what changed of a check into `out`; False when nothing did. `tick` is 0 for a reading, else its time."""
    check = arrays.check[place]
    series = arrays.series[number]
    level, told = check.level, check.told
    aged = series.quality & _AGED != 0
    active = arrays.active[series.device]
    may = active and not aged
    if tick and aged and active and check.aged_at > 0 and min(level, check.running) >= plans.life[check.plan]:
        may = tick - series.last_received >= SETTLED or tick - check.aged_at >= LONGEST_WAIT
    if level == told and not (may and level > check.paged):
        return False
    page = pages(level, told, check.paged, may)
    late = page and min(level, told) > check.paged
    over = measure == np.inf and plans.over[check.plan] > 0
    out.check, out.series = place, number
    out.level, out.told, out.page = level, told, page
    out.reason = named(plans.kind[check.plan], level, told, page, late, tick > 0, over, aged)
    out.measure, out.value = measure, series.last_value
    out.onset, out.at, out.received_at = check.onset, at, now
    out.age = tick - series.last_at if out.reason == STILL_VIOLATED else 0
    check.told = level
    if level == 0:
        check.paged, check.aged_at = 0, 0
    elif page:
        check.paged, check.aged_at = max(level, check.paged), 0
    elif aged and check.aged_at == 0:
        check.aged_at = now
    return True


@compiled
def judge(plans: Plans, arrays: Arrays, number: int, place: int, at: int, now: int, out: Any) -> bool:
    """One check against the series' newest reading; whether something was written into `out`."""
    measure, since = measured(plans, arrays, number, place)
    check = arrays.check[place]
    if check.level == 0 and check.running == 0 and not measure >= plans.limit[check.plan, 0]:
        return False
    confirmed(plans, arrays, place, measure, since, at, 0)
    said = announce(plans, arrays, number, place, measure, 0, at, now, out)
    note(plans, arrays, place)
    return said


@compiled
def take(series: Any, at: int, received_at: int, value: float, quality: int) -> None:
    """Make a reading the series' newest."""
    if series.last_at == NEVER or value != series.last_value:
        series.run_start, series.run_count = at, 1
    elif at > series.last_at:
        series.run_count += 1
    series.last_at, series.last_received = at, received_at
    series.last_value, series.quality = value, quality
    series.out_count = 0


@compiled
def take_out(series: Any, at: int) -> bool:
    """Count a reading that is out of range; False for a redelivery."""
    if at == series.out_at:
        return False
    if series.out_count == 0:
        series.out_start = at
    series.out_at = at
    series.out_count += 1
    return True


@compiled
def read(
    plans: Plans,
    arrays: Arrays,
    number: npt.NDArray[np.int32],
    at: npt.NDArray[np.int64],
    received_at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    quality: npt.NDArray[np.uint16],
    first: int,
    out: npt.NDArray[Any],
) -> tuple[int, int]:
    """Readings from row `first` on, in order of arrival, until all are read or `out` could overflow.

    Returns the row to go on with and how many emissions were written.
    """
    written = 0
    for row in range(first, len(number)):
        s = number[row]
        if s < 0 or s >= len(arrays.series) or arrays.series[s].device < 0:
            arrays.counters[1] += 1
            continue
        begin, end = arrays.start[s], arrays.start[s + 1]
        if written + end - begin > len(out):
            return row, written
        series = arrays.series[s]
        device, when, received, v = series.device, at[row], received_at[row], value[row]
        heard = arrays.heard[device]
        if received > heard or (received == heard and when > arrays.heard_at[device]):
            arrays.heard[device], arrays.heard_at[device] = received, when
        if quality[row] & _DISORDERED or when < series.last_at or when < series.out_at or v != v:  # noqa: PLR0124
            continue
        out_only = quality[row] & _OUT and not saturates(plans, arrays, s, v)
        if out_only:
            if not take_out(series, when):
                continue
        elif when == series.last_at and v == series.last_value:
            continue
        else:
            take(series, when, received, v, quality[row])
        for place in range(begin, end):
            is_out = plans.kind[arrays.check[place].plan] == OUT_OF_RANGE
            if (not out_only or is_out) and judge(plans, arrays, s, place, when, received, out[written]):
                written += 1
    return len(number), written


@compiled
def tick(
    plans: Plans,
    arrays: Arrays,
    owner: npt.NDArray[np.int32],
    now: int,
    out: npt.NDArray[Any],
) -> int:
    """Judge every check that waits, holding each series' last value until `now`; how many emissions were written.

    `owner` is the series number of each check; `out` is at least as long as `attention`.
    """
    waiting = np.sort(arrays.attention[: arrays.counters[0]])
    written, kept = 0, 0
    for place in waiting:
        number = owner[place]
        series = arrays.series[number]
        check = arrays.check[place]
        kind = plans.kind[check.plan]
        if series.last_at != NEVER or kind == OUT_OF_RANGE:
            measure, since = measured(plans, arrays, number, place)
            held = now - series.last_received if kind == THRESHOLD else 0
            held = max(min(held, arrays.silence[series.device]), 0)
            latest = max(series.last_at, series.out_at) if kind in (OUT_OF_RANGE, FROZEN) else series.last_at
            confirmed(plans, arrays, place, measure, since, latest, held)
            if announce(plans, arrays, number, place, measure, now, now, now, out[written]):
                written += 1
        check.noted = 0
        if waits(plans, check):
            check.noted = 1
            arrays.attention[kept] = place
            kept += 1
    arrays.counters[0] = kept
    return written
