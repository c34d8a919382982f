"""A series' history for a chart: readings as they are over short spans, roll-ups over long ones and far back."""

import numpy as np
import numpy.typing as npt

from ingest.store import FIVE_MINUTES, ONE_HOUR, Curve, ReadingStore, RollUp


def history(store: ReadingStore, series: int, since: int, until: int, points: int, raw_since: int) -> Curve:
    """The curve of [since, until) in at most `points`, each standing for the readings since the one before it.

    `raw_since` is the time (µs) before which the store keeps no readings, only roll-ups. What the roll-ups don't have
    yet comes from the readings. Raises ValueError when `points` isn't positive, StoreUnavailable.
    """
    width = width_for(since, until, points, raw_since)
    if width is None:
        return store.range(series, since, until, points)
    rollup = store.rollup(width, np.array([series], np.int32), since // width * width, until)
    if len(rollup) and rollup.start[-1] >= raw_since:
        rollup = rollup.take(slice(0, -1))  # the last one may be growing still
    newest = max(since, int(rollup.start[-1]) + width if len(rollup) else since)
    tail = store.range(series, newest, until, points)
    return _thinned(_joined(rollup, width, until, tail), since, until, points)


def width_for(since: int, until: int, points: int, raw_since: int) -> int | None:
    """Which roll-up a chart is drawn from, None for the readings themselves.

    >>> week = 7 * 24 * ONE_HOUR
    >>> [width_for(0, until, points, 0) for until, points in ((ONE_HOUR, 800), (week, 800), (week, 100))]
    [None, 300000000, 3600000000]
    """
    if points < 1:
        raise ValueError(f"a curve of {points} points can't be drawn")
    for width in (ONE_HOUR, FIVE_MINUTES):
        if until - since >= points * width:
            return width
    return FIVE_MINUTES if since < raw_since else None


def _joined(rollup: RollUp, width: int, until: int, tail: Curve) -> Curve:
    """Roll-ups, each at its bucket's end, and the curve behind them; the mean's weight is left aside."""
    at = np.minimum(rollup.start + width, until) - 1
    pairs = ((at, tail.at), (rollup.low, tail.low), (rollup.mean, tail.mean), (rollup.high, tail.high))
    return Curve(*(np.concatenate(pair) for pair in pairs))


def _thinned(curve: Curve, since: int, until: int, points: int) -> Curve:
    """At most so many points, each the least, mean and greatest of those that fall into one part of the span."""
    if len(curve) <= points:
        return curve
    part: npt.NDArray[np.int64] = (curve.at - since) * points // (until - since)
    first = np.flatnonzero(np.diff(part, prepend=-1))
    last = np.append(first[1:], len(curve)) - 1
    mean = np.add.reduceat(curve.mean, first) / (last - first + 1)
    return Curve(curve.at[last], np.minimum.reduceat(curve.low, first), mean, np.maximum.reduceat(curve.high, first))
