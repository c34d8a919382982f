"""The tail of a statistic, learnt from what exceeds one of its quantiles, and what a score means."""

import math
from typing import Any

import numpy as np

from detectors.anomaly.cheap_state import SCATTER, TREND
from detectors.jit import compiled

SHARE = 0.02
"""The share of readings in a statistic's tail."""
HEAVY = 0.05
"""Shape of the generalised Pareto tail: a little heavier than exponential."""
TAIL_BEGINS = -math.log10(SHARE)
FIRST_OVER = np.array([3.0, 2.0, 4.0, 4.0, 2.0], np.float32)
LEAST_OVER = np.array([1.5, 1.2, 1.5, 1.5, 2.0], np.float32)
FIRST_EXCESS = np.array([1.0, 0.4, 1.5, 1.5, 0.8], np.float32)
LEAST_EXCESS = np.array([0.25, 0.06, 0.25, 0.25, 0.6], np.float32)
"""By statistic, in units of the usual residual; of SEASON in readings."""
_STRANGE = 4.5
"""From this score on a reading teaches only a little: it is likely no part of what is normal."""
_LITTLE = 0.125
_FEW, _FADING = 20, 0.999
"""A tail seen less often than SHARE is thinner than the one taken for granted at first, which fades."""
_CODE = 8
_SCALE = 1 / (HEAVY * math.log(10))


@compiled
def tail_score(row: Any, part: int, value: float, settled: bool) -> float:
    """-log10 of the probability of a statistic at least so large; 0 below the tail. Learns from the value.

    Peaks over threshold: the exceedances of a quantile that is followed by stochastic approximation have a
    generalised Pareto tail (Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017), here
    with a fixed shape and a decayed mean. Means exceed it in clusters, of which the peaks are what is learnt, once each
    when it is over: else a fault that grows would become its own normal as it grows. A lost season is over in days,
    so that SEASON learns at once.
    """
    over, excess, seen = row.over[part], row.excess[part], row.seen[part]
    step = 0.4 * excess if seen < 30 else 0.06 * excess
    if value <= over:
        row.over[part] = max(over - step * SHARE, LEAST_OVER[part])
        if over == LEAST_OVER[part] and seen < _FEW:
            row.excess[part] = max(excess * _FADING, LEAST_EXCESS[part])
        if SCATTER <= part <= TREND and row.peak[part - 1] > 0:
            _learn(row, part, row.peak[part - 1] / _CODE * excess, settled)
            row.peak[part - 1] = 0
        return 0.0
    beyond = value - over
    score = _score(beyond, excess)
    first = not SCATTER <= part <= TREND
    if first:
        _learn(row, part, beyond, settled)
    else:
        first = row.peak[part - 1] == 0
        row.peak[part - 1] = max(row.peak[part - 1], min(math.ceil(_CODE * beyond / excess), 255))
    if first:
        row.over[part] = over + step * (1 - SHARE) * (_LITTLE if settled and score > _STRANGE else 1.0)
        row.seen[part] = min(seen + 1, 250)
    return score


@compiled
def _score(beyond: float, excess: float) -> float:
    return TAIL_BEGINS + _SCALE * math.log(1 + HEAVY * beyond / excess)


@compiled
def _learn(row: Any, part: int, beyond: float, settled: bool) -> None:
    excess = row.excess[part]
    share = _LITTLE if settled and _score(beyond, excess) > _STRANGE else 1.0
    window = 100 if part <= SCATTER else 200
    rate = share / (4 + min(row.seen[part], window))
    row.excess[part] = max(excess + (min(beyond, 6 * excess) - excess) * rate, LEAST_EXCESS[part])


@compiled
def run_score(row: Any) -> float:
    """-log10 of the probability of a run of equal values longer than the longest known, by the share of repeats."""
    beyond = np.int64(row.run) - np.int64(row.longest)
    if beyond <= 0:
        return 0.0
    usual = 0.25 * row.longest - 1 / math.log10(min(max(row.repeats, 0.02), 0.98))
    return min(beyond / usual, 99.0)  # type: ignore[no-any-return]


@compiled
def end_run(row: Any, settled: bool) -> None:
    """Remember how long the run was that ended; once settled a very long one is believed only in part."""
    most = 1.5 * row.longest + 8 if settled else 60_000.0
    row.longest = max(row.longest, min(row.run, int(most)))
    row.run = 0
