"""The loops over readings and over checks that wait for a tick, as machine code; `reference` says the same plainly.

State machine of a check: a reading's measure sets `running`, the level that it violates, and from when (`since`); a
level whose dwell has passed becomes `level`; `level` falls only below the level's floor; what changed is emitted.
Helpers take rows (records) of the arrays, never the arrays: passing those counts references at every call.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.jit import compiled

# What the machine code depends on stands in this file, because numba's cache knows a change only by this file's age.
LEVELS = 5
"""Severities NONE..CRITICAL."""
BUCKETS = 10
"""A rate's window is this many buckets, of each of which only the minimum is kept."""
NEVER = -(2**63)
"""A time before all others."""
SETTLED = 5_000_000
"""µs without a newer reading after which a backlog counts as settled."""
LONGEST_WAIT = 30_000_000
"""µs after which an aged episode is decided even while its backlog still comes."""
THRESHOLD, RATE, FROZEN, OUT_OF_RANGE = 0, 1, 2, 3
OVER_RANGE, HELD, RECOVERED, EASED, AGED_RECORDED, NOT_IN_SERVICE, FRESH, STILL_VIOLATED = 4, 5, 6, 7, 8, 9, 10, 11
_OUT, _DISORDERED, _AGED = 1, 2, 4
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
def saturates(plan: Any, value: float) -> bool:
    """Whether a reading that is out of range counts as over-range."""
    return bool(plan.over > 0 and plan.sign * value >= plan.limit[0])


@compiled
def rise(rate: Any, value: float, at: int, window: int) -> float:
    """Enter a value into its bucket; by how much it exceeds the lowest value within the window."""
    now = at // max(window // BUCKETS, 1)
    slot = now % BUCKETS
    if rate.bucket[slot] != now:
        rate.bucket[slot] = now
        rate.lowest[slot] = value
    elif value < rate.lowest[slot]:
        rate.lowest[slot] = value
    least = value
    for other in range(BUCKETS):
        if rate.bucket[other] > now - BUCKETS and rate.lowest[other] < least:
            least = rate.lowest[other]
    return value - least


@compiled
def measured(plan: Any, series: Any) -> float:
    """What the series' newest reading means to a rule that is no rate."""
    if plan.kind == THRESHOLD:
        value = series.last_value
        if value == plan.ignore:
            return -np.inf
        if series.quality & _OUT and saturates(plan, value):
            return np.inf
        return float(plan.sign * value)
    if plan.kind == OUT_OF_RANGE:
        return float(series.out_count)
    stuck = series.run_count >= plan.least and series.last_at - series.run_start >= plan.window
    return 1.0 if stuck and series.last_value != plan.rest else 0.0


@compiled
def began(plan: Any, series: Any) -> int:
    """From when the newest reading's measure holds, µs."""
    if plan.kind == OUT_OF_RANGE:
        return series.out_start  # type: ignore[no-any-return]
    if plan.kind == FROZEN:
        return series.run_start  # type: ignore[no-any-return]
    return series.last_at  # type: ignore[no-any-return]


@compiled
def confirm(plan: Any, check: Any, measure: float, since: int, at: int, held: int) -> None:
    """Move a check by one measure at time `at`, held for `held` µs since, to the level of its dwell and recovery."""
    reached = violated(plan, measure)
    if measure == np.inf and plan.over > reached:
        reached = plan.over
    for level in range(check.running + 1, reached + 1):
        check.since[level - 1] = since
    check.running = reached
    level = check.level
    while level > 0 and not measure >= plan.floor[level]:
        level -= 1
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
def waits(plan: Any, check: Any) -> bool:
    """Whether a tick must look at the check: dwell runs, it is to be announced anew, or an aged episode is open."""
    undecided = check.aged_at > 0 and check.level >= plan.life and check.level > check.paged
    return bool(check.running > check.level or (check.level > 0 and check.told == 0) or undecided)


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
    plan: Any, series: Any, check: Any, active: bool, measure: float, tick: int, at: int, now: int, out: Any
) -> bool:
    """Write what changed of a check into `out`; False when nothing did. `tick` is 0 for a reading, else its time."""
    level, told = check.level, check.told
    aged = series.quality & _AGED != 0
    may = active and not aged
    if tick and aged and active and check.aged_at > 0 and min(level, check.running) >= plan.life:
        may = tick - series.last_received >= SETTLED or tick - check.aged_at >= LONGEST_WAIT
    if level == told and not (may and level > check.paged):
        return False
    page = pages(level, told, check.paged, may)
    late = page and min(level, told) > check.paged
    over = measure == np.inf and plan.over > 0
    out.level, out.told, out.page = level, told, page
    out.reason = named(plan.kind, level, told, page, late, tick > 0, over, aged)
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
def calm(profile: Any, series: Any, value: float) -> bool:
    """Whether no check of the series has anything to say to a reading in range: the common case, told apart fast."""
    moves = series.run_count < profile.least or value == profile.rest
    return bool(series.busy == 0 and profile.rated == 0 and moves and profile.lower < value < profile.upper)


@compiled
def judged(
    plan: Any, series: Any, check: Any, rate: Any, active: bool, at: int, now: int, tick: int, held: int, out: Any
) -> bool:
    """A check against the series' newest reading, at `at` and held since; whether something was written into `out`."""
    if plan.kind == RATE:
        measure = rise(rate, plan.sign * series.last_value, at, plan.window)
    else:
        measure = measured(plan, series)
    if check.level == 0 and check.running == 0 and not measure >= plan.limit[0]:
        return False
    confirm(plan, check, measure, began(plan, series), at, held)
    return announce(plan, series, check, active, measure, tick, at if tick == 0 else now, now, out)


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
def set_right(series: Any, checks: Any, rates: Any, at: int) -> None:
    """Let what a clock that was ahead has left in the future begin before `at`, and forget a rate's window.

    Onsets stay: they are identities.
    """
    series.last_at, series.run_start = min(series.last_at, at - 1), min(series.run_start, at - 1)
    series.out_at, series.out_start = min(series.out_at, at - 1), min(series.out_start, at - 1)
    for place in range(len(checks)):
        for level in range(LEVELS - 1):
            checks[place].since[level] = min(checks[place].since[level], at)
        rates[checks[place].rate].bucket[:] = NEVER // 2


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
    plans, profiles, every, start, checks, _, rates, heard, heard_at, active, _, attention, counters = tables
    written = 0
    for row in range(first, len(number)):
        s = number[row]
        if s < 0 or s >= len(every) or every[s].device < 0:
            counters[1] += 1
            continue
        begin, end = start[s], start[s + 1]
        if written + end - begin > len(out):
            return row, written
        series, v = every[s], value[row]
        device, when, received, flags = series.device, at[row], received_at[row], quality[row]
        if now > heard[device] or (now == heard[device] and when > heard_at[device]):
            heard[device], heard_at[device] = now, when
        excluded = flags & _OUT != 0
        if excluded:
            for place in range(begin, end):
                excluded = excluded and not saturates(plans[checks[place].plan], v)
        if np.isnan(v) or flags & _DISORDERED or older(series, when, received):
            continue
        if when < series.last_at or when < series.out_at:
            set_right(series, checks[begin:end], rates, when)
        if not admitted(series, when, now, v, flags, excluded) or (
            flags & _OUT == 0 and calm(profiles[series.profile], series, v)
        ):
            continue
        busy = 0
        for place in range(begin, end):
            check = checks[place]
            plan, rate = plans[check.plan], rates[check.rate]
            concerned = not excluded or plan.kind == OUT_OF_RANGE
            if concerned and judged(plan, series, check, rate, active[device], when, received, 0, 0, out[written]):
                out[written].check, out[written].series = place, s
                written += 1
            busy |= check.level | check.running
            if check.noted == 0 and waits(plan, check):
                check.noted = 1
                attention[counters[0]] = place
                counters[0] += 1
        series.busy = busy
    return len(number), written


@compiled
def tick(tables: Tables, now: int, out: npt.NDArray[Any]) -> int:
    """Judge every check that waits, holding each series' last value until `now`; how many emissions were written.

    `out` is at least as long as the list of attention.
    """
    plans, _, every, _, checks, owner, rates, _, _, active, silence, attention, counters = tables
    written, kept = 0, 0
    for place in np.sort(attention[: counters[0]]):
        series, check = every[owner[place]], checks[place]
        plan, rate = plans[check.plan], rates[check.rate]
        latest, held = series.last_at, 0
        if plan.kind == THRESHOLD:
            held = max(min(now - series.last_received, silence[series.device]), 0)
        elif plan.kind == OUT_OF_RANGE:
            latest = max(series.last_at, series.out_at)
        known = latest != NEVER
        if known and judged(plan, series, check, rate, active[series.device], latest, now, now, held, out[written]):
            out[written].check, out[written].series = place, owner[place]
            written += 1
        check.noted = 0
        series.busy |= check.level | check.running
        if waits(plan, check):
            check.noted = 1
            attention[kept] = place
            kept += 1
    counters[0] = kept
    return written


@compiled
def live_through(
    tables: Tables,
    number: npt.NDArray[np.int32],
    at: npt.NDArray[np.int64],
    received_at: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    quality: npt.NDArray[np.uint16],
    first: int,
    now: int,
    until: int,
    step: int,
    out: npt.NDArray[Any],
) -> tuple[int, int, int]:
    """Stored readings from row `first` on, by receipt, with a tick at each whole `step` (µs) while a check waits.

    Goes from `now` to `until`, or until `out` could overflow. Returns the row and the time to go on with and how many
    emissions were written.
    """
    counters = tables[-1]
    row, written = first, 0
    while now < until:
        end = min((now // step + 1) * step, until)
        if counters[0] == 0:  # nothing waits: the next tick that could matter follows the next reading
            end = until if row == len(number) else min(max((received_at[row] // step + 1) * step, end), until)
        last = row
        while last < len(number) and received_at[last] < end:
            last += 1
        if last > row:
            rows = slice(row, last)
            columns = number[rows], at[rows], received_at[rows], value[rows], quality[rows]
            done, said = read(tables, *columns, received_at[last - 1], 0, out[written:])
            row, written = row + done, written + said
            if row < last:
                return row, now, written
        if counters[0] > len(out) - written:
            return row, now, written
        written += tick(tables, end, out[written:])
        now = end
    return row, now, written
