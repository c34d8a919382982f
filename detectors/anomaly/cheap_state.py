"""What the cheap tier keeps of one series, 384 bytes, and the constants of its statistics."""

import numpy as np

BUCKETS = 48
"""Parts of a day, half an hour each."""
BUCKET = 1_800_000_000
CLASSES = 2
POINT, SCATTER, DAY, TREND, SEASON, RUN = range(6)
"""A reading off its EWMA, residuals grown, the mean off the daily baseline, moving off, season lost, stuck."""
NOBODY = 255
"""The part that speaks where no score is above 0."""
TAILS = 5
"""Statistics with a learnt tail: all but RUN."""
UNKNOWN = -32_768
"""A bucket of the profile that was never learnt."""
NO_BUCKET = 255

ROW = np.dtype(
    [
        ("center", "f8"),  # the first value; all others are kept as differences to it
        ("last_at", "i8"),
        ("unit", "f4"),  # of the profile and of the scatter; 0 until it is chosen
        ("usual", "f4"),  # mean absolute residual
        ("interval", "f4"),  # s
        ("quantum", "f4"),  # the least step seen
        ("last", "f4"),
        ("level", "f4"),  # slow mean off the profile
        ("fast", "f4"),  # the EWMA
        ("slow", "f4"),
        ("middle", "f4"),  # the profile's mean
        ("power", "f4"),  # the profile's mean square around it
        ("scatter", "f4"),
        ("season", "f4"),
        ("repeats", "f4"),
        ("visit_sum", "f4"),  # of the bucket that the newest reading fell into
        ("visit_scatter", "f4"),
        ("over", "f4", (TAILS,)),  # the quantile beyond which the tail begins
        ("excess", "f4", (TAILS,)),  # mean excess over it
        ("readings", "u4"),
        ("ignored", "u2"),
        ("longest", "u2"),
        ("run", "u2"),
        ("visit", "u2"),
        ("day", "u2"),
        ("bucket", "u1"),
        ("day_class", "u1"),
        ("days", "u1", (CLASSES,)),
        ("seen", "u1", (TAILS,)),
        ("peak", "u1", (3,)),  # of the present cluster of SCATTER, DAY and TREND, in eighths of the mean excess
        ("spare", "u1"),
        ("known", "u1"),
        ("noise", "u1", (BUCKETS,)),
        ("profile", "i2", (BUCKETS * CLASSES,)),
    ]
)
LINES = ROW.itemsize // 64
