"""The state machine of a check, as machine code.

A reading's measure sets `running`, the level that it violates, and from when (`since`); a level whose dwell has passed
becomes `level`; `level` falls only below the level's floor, after the dwell of its own that a rule may have, never
while a rule is latched; what changed is emitted.
"""

from typing import Any

import numpy as np

from detectors.jit import compiled
from detectors.measures import LEVELS, NEVER, began, measured

SETTLED = 5_000_000
"""µs without a newer reading after which a backlog counts as settled."""
LONGEST_WAIT = 30_000_000
"""µs after which an aged episode is decided even while its backlog still comes."""
OVER_RANGE, HELD, RECOVERED, EASED, AGED_RECORDED, NOT_IN_SERVICE, FRESH, STILL_VIOLATED = 5, 6, 7, 8, 9, 10, 11, 12
SENSOR_SICK, SCHEDULE_ENDED = 13, 14
AGED = 4


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

    It must while a dwell runs, what is to be announced anew or was held back stands, a danger stands of which nobody
    was told (its device is in maintenance), or a schedule may end it.
    """
    level = check.level
    if check.running > level or (level > 0 and check.told == 0):
        return True
    if level == 0:
        return False
    unpaged = level > check.paged and (plan.anomaly or level >= plan.life)
    leaving = plan.dwell_off > 0 and memo.below[level - 1] != NEVER
    return bool(unpaged or plan.hours >= 0 or leaving)


@compiled
def unheeded(plan: Any, check: Any) -> bool:
    """Whether an episode stands of which nobody was told as its device paged no people: it may, while it is heard."""
    return bool(check.told > check.paged and check.aged_at == 0 and not plan.anomaly)


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
    aged, held_back = series.quality & AGED != 0, active and sick and plan.anomaly > 0
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
