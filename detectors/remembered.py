"""What the plain reference remembers of a rule on one series, besides its newest reading."""

import math
from dataclasses import dataclass, field

from detectors.compile import Plan, levels

PARTS, BUCKETS, KEPT = 24, 10, 24
FAST, SLOW, ENOUGH = 16, 1024, 256


@dataclass
class Memory:
    """Readings within a span, a baseline, a scatter: whichever the plan's rule needs."""

    plan: Plan
    lowest: dict[int, float] = field(default_factory=dict)
    parts: dict[int, list[float]] = field(default_factory=dict)
    newest: list[tuple[int, float]] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    first_since: int | None = None
    before: float = math.nan
    read: int = 0
    fast: float = 0.0
    slow: float = 0.0

    def forget(self) -> None:
        """Forget the readings within a span: the clock was set."""
        self.lowest, self.parts, self.newest = {}, {}, []

    def rise(self, value: float, at: int) -> float:
        """By how much a value exceeds the lowest within the window; a tenth of it is forgotten at once."""
        now = at // max(self.plan.terms.window // BUCKETS, 1)
        self.lowest = {bucket: low for bucket, low in self.lowest.items() if bucket > now - BUCKETS}
        self.lowest[now] = min(self.lowest.get(now, value), value)
        return value - min(self.lowest.values())

    def mean(self, value: float, at: int, enter: bool) -> float:
        """The mean of the means of the span's parts; NaN while too few of them have data."""
        now = at // max(self.plan.rule.mean // PARTS, 1)
        if enter:
            self.parts.setdefault(now, []).append(value)
        self.parts = {part: values for part, values in self.parts.items() if part > now - PARTS}
        if not self.parts or len(self.parts) * 100 < self.plan.rule.coverage * PARTS:
            return math.nan
        # in the order of the kernel's slots, so that the sums are the same to the last bit
        ordered = sorted(self.parts.items(), key=lambda item: item[0] % PARTS)
        total = 0.0
        for _, values in ordered:
            total += _sum(values) / len(values)
        return total / len(ordered)

    def repeated(self, measure: float, at: int, enter: bool) -> float:
        """What at least `count` readings within the window reached; beyond KEPT those that reach the least are lost."""
        if enter:
            begin = at - self.plan.terms.window
            kept = sorted(pair for pair in self.newest if begin < pair[0] <= at)
            if len(kept) == KEPT:
                kept.remove(min(kept, key=self._standing))
            self.newest = [*kept, (at, measure)]
        within = sorted((old for when, old in self.newest if at - self.plan.terms.window < when <= at), reverse=True)
        count = self.plan.rule.count
        return within[count - 1] if len(within) >= count else -math.inf

    def _standing(self, pair: tuple[int, float]) -> int:
        """How many limits and floors a reading reaches."""
        limit, floor = levels(self.plan)
        return int((pair[1] >= limit[1:]).sum() + (pair[1] >= floor[1:]).sum())

    def baseline(self, value: float, at: int, in_service_at: int, enter: bool) -> float:
        """What the device's attribute says, else the mean of its first readings in service; NaN before."""
        if self.plan.base is not None:
            return self.plan.base
        if self.first_since != in_service_at:
            self.first_since, self.first = in_service_at, []
        needed = max(self.plan.rule.baseline_readings, 1)
        if enter and at >= in_service_at and len(self.first) < needed:
            self.first.append(value)
        return _sum(self.first) / needed if len(self.first) >= needed else math.nan

    def scatter(self, value: float, settled: bool, enter: bool) -> float:
        """How many times its usual scatter a sensor has; NaN before it is known."""
        if enter and math.isfinite(value):
            step, self.before = abs(value - self.before), value
            self.read = min(self.read + 1, SLOW + 1)
            if self.read > 1 and math.isfinite(step):
                self.fast += (step - self.fast) / min(self.read - 1, FAST)
                if settled:
                    self.slow += (step - self.slow) / min(self.read - 1, SLOW)
        if self.read <= ENOUGH:
            return math.nan
        return self.fast / max(self.slow, 10.0**-self.plan.metric.decimals)


def _sum(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total
