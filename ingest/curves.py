"""Curves from columns: readings as they are, or summed up by buckets of time."""

import numpy as np
import numpy.typing as npt

from ingest.store import Curve


def curve_of(at: npt.NDArray[np.int64], value: npt.NDArray[np.float64], since: int, width: int, points: int) -> Curve:
    """Readings ascending by `at`: as they are when they fit into `points`, else by buckets of `width` µs from `since`.

    >>> curve_of(np.array([0, 4, 5, 9]), np.array([1.0, 3.0, 8.0, 2.0]), 0, 5, 2).mean.tolist()
    [2.0, 5.0]
    """
    if len(at) <= points:
        return Curve(at, value, value, value)
    bucket = (at - since) // width
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(at))
    mean = np.add.reduceat(value, starts) / (ends - starts)
    return Curve(at[ends - 1], np.minimum.reduceat(value, starts), mean, np.maximum.reduceat(value, starts))
