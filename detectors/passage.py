"""Stored readings pass the kernels as they did in life: with a tick each second, as machine code."""

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.jit import compiled
from detectors.kernel import Tables, read, tick


@compiled
def live_through(
    tables: Tables,
    counters: npt.NDArray[np.int64],
    of_health: npt.NDArray[np.bool_],
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
    """Readings from row `first` on, by receipt, with a tick at each whole `step` (µs) while a check waits.

    `tables` and `counters` are of columns.Arrays, `of_health` tells of each check whether it is on a sensor's health.
    Goes from `now` to `until`, until `out` could overflow, or until the tick at which a sensor fell ill or got well.
    Returns the row and the time to go on with and how many emissions were written.
    """
    row, written = first, 0
    while now < until:
        end = min((now // step + 1) * step, until)
        if counters[0] == 0:  # nothing waits: the next tick that could matter follows the next reading
            end = until if row == len(number) else min(max((received_at[row] // step + 1) * step, end), until)
        last, before = row, written
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
        for place in range(before, written):
            if of_health[out[place].check]:
                return row, now, written
    return row, now, written
