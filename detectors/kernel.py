"""The loops over readings and over checks that wait for a tick, as machine code; `reference` says the same plainly.

State machine of a check: a reading's measure sets `running`, the level that it violates, and from when (`since`); a
level whose dwell has passed becomes `level`; `level` falls only below the level's floor, after the dwell of its own
that a rule may have, never while a rule is latched; what changed is emitted.
A derived series takes its values when one of its inputs took a reading, in the same loop.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.jit import compiled, prefetch
from detectors.measures import (
    FROZEN,
    LEVELS,
    LONG_AGO,
    NEVER,
    NOISE,
    OUT,
    OUT_OF_RANGE,
    RATE,
    THRESHOLD,
    began,
    evaluated,
    measured,
    minute_of_week,
    saturates,
)

__all__ = ["FROZEN", "LEVELS", "NEVER", "NOISE", "OUT_OF_RANGE", "RATE", "THRESHOLD"]

SETTLED = 5_000_000
"""µs without a newer reading after which a backlog counts as settled."""
LONGEST_WAIT = 30_000_000
"""µs after which an aged episode is decided even while its backlog still comes."""
OVER_RANGE, HELD, RECOVERED, EASED, AGED_RECORDED, NOT_IN_SERVICE, FRESH, STILL_VIOLATED = 5, 6, 7, 8, 9, 10, 11, 12
SENSOR_SICK, SCHEDULE_ENDED = 13, 14
AHEAD, ALL = 12, -1
"""Rows ahead of which a series is fetched into the processor's cache."""
_DISORDERED, _AGED = 2, 4
_MANY = 60_000

Tables = tuple[Any, ...]
"""A plain tuple of columns.Arrays: a class of ours in a cached signature would break the cache when it changes."""


@compiled
def violated(plan: Any, measure: float) -> int:
    """The highest level whose limit the measure reaches, 0 for none."""
    if not measure >= plan.limit[0]:
        return 0
    for level in range(LEVELS - 1, 0, -1):
        if measure >= plan.limit[level]:
            return level
    return 0


@compiled
def fallen(plan: Any, check: Any, memo: Any, measure: float, at: int, held: int) -> int:
    """The level that is left of a check's, those gone below whose floor the measure was for long enough."""
    if plan.dwell_off > 0:
        for level in range(1, LEVELS):
            if measure >= plan.floor[level]:
                memo.below[level - 1] = NEVER
            elif memo.below[level - 1] == NEVER:
                memo.below[level - 1] = at
    level = check.level
    if plan.latch and check.told > 0:
        return int(level)
    while level > 0 and not measure >= plan.floor[level]:
        if plan.dwell_off > 0 and at - memo.below[level - 1] + held < plan.dwell_off:
            break
        level -= 1
    return int(level)


@compiled
def confirm(plan: Any, check: Any, memo: Any, measure: float, since: int, at: int, held: int) -> None:
    """Move a check by one measure at time `at`, held for `held` µs since, to the level of its dwell and recovery."""
    reached = violated(plan, measure)
    if measure == np.inf and plan.over > reached:
        reached = plan.over
    for level in range(check.running + 1, reached + 1):
        check.since[level - 1] = since
    check.running = reached
    level = fallen(plan, check, memo, measure, at, held)
    for higher in range(reached, level, -1):
        if at - check.since[higher - 1] + held >= plan.dwell:
            level = higher
            break
    if check.level == 0 and level > 0:
        check.onset = check.since[0]
    if check.told == 0 and reached == 0:  # announced anew only while it is really violated
        level = 0
    check.level = level


@compiled
def waits(plan: Any, check: Any, memo: Any) -> bool:
    """Whether a tick must look at the check.

    It must while a dwell runs, what is to be announced anew or was held back stands, or a schedule may end it.
    """
    level = check.level
    if check.running > level or (level > 0 and check.told == 0):
        return True
    if level == 0:
        return False
    unpaged = level > check.paged and (plan.anomaly or (check.aged_at > 0 and level >= plan.life))
    leaving = plan.dwell_off > 0 and memo.below[level - 1] != NEVER
    return bool(unpaged or plan.hours >= 0 or leaving)


@compiled
def pages(level: int, told: int, paged: int, may: bool) -> bool:
    """Whether a step is for people: a rise and what nobody was paged for yet if it may, an ending if they know."""
    if level > told or (may and level > paged):
        return may
    return paged > 0


@compiled
def named(
    kind: int, level: int, told: int, page: bool, late: bool, tick: bool, over: bool, aged: bool, sick: bool
) -> int:
    """The reason of a step. `late`: people are paged for what was only recorded before."""
    if level == 0:
        return RECOVERED
    if late:
        return STILL_VIOLATED if tick and aged else FRESH
    if level < told:
        return EASED
    if not page:
        return AGED_RECORDED if aged else SENSOR_SICK if sick else NOT_IN_SERVICE
    if over:
        return OVER_RANGE
    return HELD if tick else kind


@compiled
def announce(
    plan: Any, series: Any, check: Any, active: bool, sick: bool, measure: float, tick: int, at: int, now: int, out: Any
) -> bool:
    """Write what changed of a check into `out`; False when nothing did. `tick` is 0 for a reading, else its time."""
    level, told = check.level, check.told
    aged, held_back = series.quality & _AGED != 0, active and sick and plan.anomaly > 0
    able = active and not held_back
    may = able and not aged
    if tick and aged and able and check.aged_at > 0 and min(level, check.running) >= plan.life:
        may = tick - series.last_received >= SETTLED or tick - check.aged_at >= LONGEST_WAIT
    if level == told and not (may and level > check.paged):
        return False
    page = pages(level, told, check.paged, may)
    late = page and min(level, told) > check.paged
    over = measure == np.inf and plan.over > 0
    out.level, out.told, out.page = level, told, page
    out.reason = named(plan.kind, level, told, page, late, tick > 0, over, aged, held_back)
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
def take(series: Any, at: int, now: int, value: float, quality: int) -> None:
    """Make a reading the series' newest."""
    if series.last_at == NEVER or value != series.last_value:
        series.run_start, series.run_count = at, 1
    elif at > series.last_at:
        series.run_count += 1
    series.last_at, series.last_received = at, now
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
    series.out_count = min(series.out_count + 1, _MANY)
    return True


@compiled
def concerned(profile: Any, series: Any, value: float) -> int:
    """Which checks of the series a reading in range concerns, a bit each: mostly only those that want every one."""
    moves = series.run_count < profile.least or value == profile.rest
    calm = series.busy == 0 and moves and profile.lower < value < profile.upper
    return profile.keen if calm else ALL  # type: ignore[no-any-return]


@compiled
def left_out(plan: Any, hours: Any, quality: int, at: int) -> bool:
    """Whether a reading of this quality and time is not for the rule."""
    if quality & plan.mask:
        return True
    return bool(plan.hours >= 0 and hours[plan.hours, minute_of_week(at)] == 0)


@compiled
def judged(
    plan: Any,
    series: Any,
    check: Any,
    memo: Any,
    windows: Any,
    facts: tuple[int, bool, bool],
    at: int,
    now: int,
    tick: int,
    held: int,
    out: Any,
) -> bool:
    """A check against the series' newest reading, at `at` and held since; whether something was written into `out`.

    `facts` of the device: in service since, pages people, can't be believed.
    """
    since, active, sick = facts
    measure = measured(plan, series, check, memo, windows[memo.window], since, tick == 0)
    if np.isnan(measure) or (check.level == 0 and check.running == 0 and not measure >= plan.limit[0]):
        return False
    confirm(plan, check, memo, measure, began(plan, series), at, held)
    return announce(plan, series, check, active, sick, measure, tick, at if tick == 0 else now, now, out)


@compiled
def closed(plan: Any, series: Any, check: Any, now: int, out: Any) -> bool:
    """End what stands of a check whose hours are over; whether something was written into `out`."""
    check.running = 0
    if check.level == 0 or (plan.latch and check.told > 0):
        return False
    check.level = 0
    if not announce(plan, series, check, False, False, 0.0, now, now, now, out):
        return False
    out.reason = SCHEDULE_ENDED
    return True


@compiled
def admitted(series: Any, at: int, now: int, value: float, quality: int, excluded: bool) -> bool:
    """Whether a reading that is not older than what is known is for rules: no redelivery; if so it is taken."""
    if excluded:
        return take_out(series, at)
    if at == series.last_at and value == series.last_value:
        return False
    take(series, at, now, value, quality)
    return True


@compiled
def older(series: Any, at: int, received_at: int) -> bool:
    """Whether a reading is older than what is known, and not only put behind it by a clock that was ahead until now."""
    return bool(at < max(series.last_at, series.out_at) <= received_at)


@compiled
def set_right(series: Any, checks: Any, memos: Any, windows: Any, at: int) -> None:
    """Let what a clock that was ahead has left in the future begin before `at`, and forget the windows.

    Onsets stay: they are identities.
    """
    series.last_at, series.run_start = min(series.last_at, at - 1), min(series.run_start, at - 1)
    series.out_at, series.out_start = min(series.out_at, at - 1), min(series.out_start, at - 1)
    for place in range(len(checks)):
        memo = memos[checks[place].memo]
        for level in range(LEVELS - 1):
            checks[place].since[level] = min(checks[place].since[level], at)
            memo.below[level] = min(memo.below[level], at)
        windows[memo.window].part[:] = LONG_AGO


@compiled
def read(
    tables: Tables,
    number: npt.NDArray[np.int32],
    at: npt.NDArray[np.int64],
    received_at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    quality: npt.NDArray[np.uint16],
    now: int,
    first: int,
    out: npt.NDArray[Any],
) -> tuple[int, int]:
    """Readings from row `first` on, in order of arrival, until all are read or `out` could overflow.

    `now` is the journal's time, from which held values and silence count: `received_at` is a clock's, which may be set.
    Returns the row to go on with and how many emissions were written.
    """
    plans, profiles, every, start, checks, _, memos, windows, since, heard, heard_at, active, sick, _, hours = tables[
        :15
    ]
    attention, counters, feeds, fed, derived, steps, stack = tables[15:]
    written, known, last = 0, len(feeds) - 1, len(number) - 1
    for row in range(first, len(number)):
        if written + counters[2] > len(out):
            return row, written
        ahead, near, next_one = number[min(row + AHEAD, last)], number[min(row + 6, last)], number[min(row + 3, last)]
        if 0 <= ahead < known:
            prefetch(every, ahead)
            prefetch(start, ahead)
        if 0 <= near < known and every[near].device >= 0:
            prefetch(heard, every[near].device)
            if profiles[every[near].profile].keen & 1:
                prefetch(checks, start[near])
        if 0 <= next_one < known and profiles[every[next_one].profile].keen & 1:
            prefetch(memos, checks[start[next_one]].memo)
        s = number[row]
        if s < 0 or s >= known or every[s].device < 0:
            counters[1] += 1
            continue
        v, when, received, flags = value[row], at[row], received_at[row], int(quality[row])
        device = every[s].device
        if now > heard[device] or (now == heard[device] and when > heard_at[device]):
            heard[device], heard_at[device] = now, when
        feed, feeds_end = 0, 0
        while True:  # the reading's series, then those derived from it
            series, taken, excluded = every[s], False, flags & OUT != 0
            if excluded:
                for place in range(start[s], start[s + 1]):
                    excluded = excluded and not saturates(plans[checks[place].plan], v)
            if not (np.isnan(v) or flags & _DISORDERED or older(series, when, received)):
                if when < series.last_at or when < series.out_at:
                    set_right(series, checks[start[s] : start[s + 1]], memos, windows, when)
                taken = admitted(series, when, now, v, flags, excluded)
            bits = ALL if flags & OUT else concerned(profiles[series.profile], series, v)
            if taken and bits != 0:
                busy = 0
                for place in range(start[s], start[s + 1]):
                    if bits & 1 == 0:
                        bits >>= 1
                        continue
                    bits >>= 1
                    check = checks[place]
                    plan, memo = plans[check.plan], memos[check.memo]
                    if not (excluded and plan.kind != OUT_OF_RANGE) and not left_out(plan, hours, flags, when):
                        facts = since[device], active[device], sick[device]
                        if judged(plan, series, check, memo, windows, facts, when, received, 0, 0, out[written]):
                            out[written].check, out[written].series = place, s
                            written += 1
                    busy |= check.level | check.running
                    if check.noted == 0 and waits(plan, check, memo):
                        check.noted = 1
                        attention[counters[0]] = place
                        counters[0] += 1
                series.busy = busy
                if s < known and not excluded:
                    feed, feeds_end = feeds[s], feeds[s + 1]
            if feed == feeds_end:
                break
            s = known + fed[feed]
            when, v, flags = evaluated(derived[fed[feed]], every, steps, stack)
            feed += 1
    return len(number), written


@compiled
def tick(tables: Tables, now: int, out: npt.NDArray[Any]) -> int:
    """Judge every check that waits, holding each series' last value until `now`; how many emissions were written.

    `out` is at least as long as the list of attention.
    """
    (
        plans,
        _,
        every,
        _,
        checks,
        owner,
        memos,
        windows,
        since,
        _,
        _,
        active,
        sick,
        silence,
        hours,
        attention,
        counters,
    ) = tables[:17]
    written, kept = 0, 0
    for place in np.sort(attention[: counters[0]]):
        series, check, row = every[owner[place]], checks[place], out[written]
        plan, memo, device = plans[check.plan], memos[check.memo], series.device
        latest, held, said = series.last_at, 0, False
        if plan.kind == THRESHOLD:
            held = max(min(now - series.last_received, silence[device]), 0)
        elif plan.kind == OUT_OF_RANGE:
            latest = max(series.last_at, series.out_at)
        if left_out(plan, hours, 0, now):
            said = closed(plan, series, check, now, row)
        elif latest != NEVER and not left_out(plan, hours, series.quality, latest):
            facts = since[device], active[device], sick[device]
            said = judged(plan, series, check, memo, windows, facts, latest, now, now, held, row)
        if said:
            row.check, row.series = place, owner[place]
            written += 1
        check.noted = 0
        series.busy |= check.level | check.running
        if waits(plan, check, memo):
            check.noted = 1
            attention[kept] = place
            kept += 1
    counters[0] = kept
    return written
