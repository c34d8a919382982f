"""The loops over readings and over checks that wait for a tick, as machine code; `reference` says the same plainly.

A derived series takes its values when one of its inputs took a reading, in the same loop.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.jit import compiled, prefetch
from detectors.measures import (
    LEVELS,
    LONG_AGO,
    NEVER,
    OUT,
    OUT_OF_RANGE,
    THRESHOLD,
    evaluated,
    minute_of_week,
    saturates,
    stays_level,
    stays_quiet,
)
from detectors.state_machine import LONGEST_WAIT, SETTLED, closed, judged, unheeded, waits

__all__ = ["LONGEST_WAIT", "NEVER", "SETTLED", "Tables", "read", "tick"]

ALL = -1
"""A bit for every check of a series."""
FAR, NEAR, NEXT = 12, 6, 3
"""Rows ahead of which a series, where its checks are, and what these remember are fetched into the cache."""
_DISORDERED = 2
_MANY = 60_000

Tables = tuple[Any, ...]
"""A plain tuple of columns.Arrays: a class of ours in a cached signature would break the cache when it changes."""


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
    """Whether a reading in range concerns only the checks of the series that want every one."""
    moves = series.run_count < profile.least or value == profile.rest
    return bool(series.busy == 0 and moves and profile.lower < value < profile.upper)


@compiled
def left_out(plan: Any, hours: Any, quality: int, at: int) -> bool:
    """Whether a reading of this quality and time is not for the rule."""
    if quality & plan.mask:
        return True
    return bool(plan.hours >= 0 and hours[plan.hours, minute_of_week(at)] == 0)


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
        windows[memo.window].newest = LONG_AGO


@compiled
def read(  # noqa: PLR0912, PLR0915 - a call with arrays costs more than its work
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
    attention, counters, feeds, fed, derived, steps, stack, own = tables[15:]
    written, known, last = 0, len(feeds) - 1, len(number) - 1
    for row in range(first, len(number)):
        if written + counters[2] > len(out):
            return row, written
        ahead, near, next_one = (
            number[min(row + FAR, last)],
            number[min(row + NEAR, last)],
            number[min(row + NEXT, last)],
        )
        if 0 <= ahead < known:
            prefetch(every, ahead)
        if 0 <= near < known and every[near].device >= 0:
            prefetch(heard, every[near].device)
            prefetch(own, near)
            if profiles[every[near].profile].keen != 0:
                prefetch(start, near)
                prefetch(feeds, near)
        if 0 <= next_one < known:
            profile = profiles[every[next_one].profile]
            if profile.keen != 0:
                prefetch(checks, start[next_one])
                prefetch(memos, own[next_one].memo)
                prefetch(windows, own[next_one].window)
                if feeds[next_one] < feeds[next_one + 1]:
                    prefetch(derived, fed[feeds[next_one]])
                    prefetch(every, known + fed[feeds[next_one]])
            if profile.noise >= 0:
                prefetch(memos, own[next_one].memo + profile.noise_memo)
            if profile.rate >= 0:
                prefetch(windows, own[next_one].window + profile.rate_window)
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
            profile, bits = profiles[series.profile], ALL
            if taken and flags & OUT == 0 and calm(profile, series, v):
                rate, noise, moved = profile.rate, profile.noise, False
                if rate >= 0:
                    moved = not stays_level(plans[rate], windows[own[s].window + profile.rate_window], v, when)
                if noise >= 0 and not moved:  # what is judged in full is entered there
                    moved = not stays_quiet(plans[noise], memos[own[s].memo + profile.noise_memo], v)
                bits = ALL if moved else profile.keen
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
            forgotten = unheeded(plan, check) and now - series.last_received > silence[device]
            facts = since[device], active[device] and not forgotten, sick[device]
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
