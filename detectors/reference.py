"""The rules on readings said plainly, one reading and one dictionary at a time; what the kernel must agree with."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from detectors.compile import Compiled, Plan, levels
from detectors.kernel import LONGEST_WAIT, NEVER, SETTLED
from ingest.words import Block, Quality

BUCKETS = 10


@dataclass
class Step:
    """What a check says: it went from `told` to `level`. Times in µs."""

    series: int
    rule: str
    told: int
    level: int
    page: bool
    reason: str
    onset: int
    at: int
    received_at: int
    age: int = 0


@dataclass
class Reading:
    """A series' newest reading and what led to it: since when it has its value, and its readings out of range."""

    at: int
    received_at: int
    value: float
    quality: int
    same_since: int
    same: int


@dataclass
class Line:
    """A series: its device, newest reading, out-of-range readings in a row, and one episode a rule."""

    device: int
    episodes: list["Episode"]
    newest: Reading | None = None
    out: list[int] = field(default_factory=list)
    out_at: int | None = None

    def set_right(self, at: int) -> None:
        """What lies in the future of a clock that was ahead began just before `at`; a rate's window is forgotten."""
        if self.newest:
            self.newest.at, self.newest.same_since = min(self.newest.at, at - 1), min(self.newest.same_since, at - 1)
        self.out = [min(out, at - 1) for out in self.out]
        self.out_at = None if self.out_at is None else min(self.out_at, at - 1)
        for episode in self.episodes:
            episode.since = {level: min(since, at) for level, since in episode.since.items()}
            episode.lowest = {}


@dataclass
class Episode:
    """One rule on one series."""

    plan: Plan
    since: dict[int, int] = field(default_factory=dict)
    level: int = 0
    told: int = 0
    paged: int = 0
    onset: int = 0
    aged_at: int = 0
    lowest: dict[int, float] = field(default_factory=dict)

    @property
    def life(self) -> float:
        return self.plan.rule.life_safety_from or math.inf

    def measure(self, line: Line) -> tuple[float, int]:
        """What the series' newest reading means to the rule, and since when."""
        rule, newest = self.plan.rule, line.newest
        if rule.kind == "out_of_range":
            return len(line.out), line.out[0] if line.out else 0
        assert newest is not None
        value = newest.value if rule.direction == "above" else -newest.value
        if rule.kind == "frozen":
            metric = self.plan.metric
            span = self.plan.terms.window or (metric.frozen_s or 0) * 1_000_000
            stuck = newest.same >= metric.frozen_count and newest.at - newest.same_since >= span
            return float(stuck and newest.value != metric.rest), newest.same_since
        if rule.kind == "rate":
            return self._rise(value, newest.at), newest.at
        if rule.ignore is not None and newest.value == rule.ignore:
            return -math.inf, newest.at
        return (math.inf if self.over(newest.value, newest.quality) else value), newest.at

    def over(self, value: float, quality: int) -> bool:
        """Whether a reading counts as over-range for this rule; an infinite one does, flagged or not."""
        rule = self.plan.rule
        signed = value if rule.direction == "above" else -value
        flagged = quality & Quality.OUT_OF_RANGE or signed == math.inf
        return bool(rule.over_range and flagged and signed >= levels(self.plan)[0][0])

    def _rise(self, value: float, at: int) -> float:
        now = at // max(self.plan.terms.window // BUCKETS, 1)
        self.lowest = {bucket: low for bucket, low in self.lowest.items() if bucket > now - BUCKETS}
        self.lowest[now] = min(self.lowest.get(now, value), value)
        return value - min(self.lowest.values())

    def judge(self, measure: float, since: int, at: int, held: int) -> int:
        """Move to the level that the measure, its dwell and the recovery limit make; the level just violated."""
        limit, floor = levels(self.plan)
        reached = max((level for level in range(1, 5) if measure >= limit[level]), default=0)
        if measure == math.inf:
            reached = max(reached, self.plan.rule.over_range or 0)
        self.since = {level: self.since.get(level, since) for level in range(1, reached + 1)}
        while self.level and not measure >= floor[self.level]:
            self.level -= 1
        dwelt = [level for level, start in self.since.items() if at - start + held >= self.plan.terms.dwell]
        if self.level == 0 and dwelt and self.told == 0:
            self.onset = self.since[1]
        self.level = max([self.level, *dwelt])
        if self.told == 0 and not reached:
            self.level = 0
        return reached


@dataclass
class Reference:
    """Readings and ticks under compiled rules; `active` says which devices page people, `silence` is µs a device."""

    compiled: Compiled
    devices: list[int]
    active: list[bool]
    silence: list[int]

    def __post_init__(self) -> None:
        plans, start = self.compiled.plans, self.compiled.start
        self.lines = [
            Line(device, [Episode(plans[plan]) for plan in self.compiled.plan[start[number] : start[number + 1]]])
            for number, device in enumerate(self.devices)
        ]

    def read(self, block: Block, now: int) -> Iterator[Step]:
        """The steps of a block journalled at `now`, in order."""
        columns = (block.series, block.at, block.received_at, block.value, block.quality)
        for number, at, received_at, value, quality in zip(*(column.tolist() for column in columns), strict=True):
            known = 0 <= number < len(self.lines) and self.devices[number] >= 0 and not math.isnan(value)
            if known and self._newer(self.lines[number], at, received_at, quality):
                yield from self._read(number, at, received_at, now, value, quality)

    def _newer(self, line: Line, at: int, received_at: int, quality: int) -> bool:
        """Whether a reading is newer than what is known, or only seems older because the clock was ahead until now."""
        known = max(NEVER if line.newest is None else line.newest.at, NEVER if line.out_at is None else line.out_at)
        if quality & Quality.DISORDERED or at < known <= received_at:
            return False
        if at < known:
            line.set_right(at)
        return True

    def _read(self, number: int, at: int, received_at: int, now: int, value: float, quality: int) -> Iterator[Step]:
        line = self.lines[number]
        newest = line.newest
        excluded = quality & Quality.OUT_OF_RANGE and not any(e.over(value, quality) for e in line.episodes)
        if excluded:
            if at == line.out_at:
                return
            line.out.append(at)
            line.out_at = at
        elif newest and (at, value) == (newest.at, newest.value):
            return
        else:
            same = newest is not None and newest.value == value
            since = newest.same_since if newest and same else at
            count = newest.same + (at > newest.at) if newest and same else 1
            line.newest = Reading(at, now, value, quality, since, count)
            line.out = []
        for episode in line.episodes:
            if not excluded or episode.plan.rule.kind == "out_of_range":
                reached = episode.judge(*episode.measure(line), at, 0)
                yield from self._say(number, episode, reached, 0, at, received_at)

    def tick(self, now: int) -> Iterator[Step]:
        """The steps that time alone makes: the last value of every threshold is held."""
        for number, line in enumerate(self.lines):
            newest = line.newest
            if newest is None:
                continue
            for episode in line.episodes:
                if episode.plan.rule.kind != "threshold":
                    continue
                held = max(min(now - newest.received_at, self.silence[line.device]), 0)
                reached = episode.judge(*episode.measure(line), newest.at, held)
                yield from self._say(number, episode, reached, now, now, now)

    def _say(self, number: int, episode: Episode, reached: int, tick: int, at: int, received_at: int) -> Iterator[Step]:
        line, level, told, paged = self.lines[number], episode.level, episode.told, episode.paged
        aged = bool(line.newest and line.newest.quality & Quality.AGED)
        active = self.active[line.device]
        may = active and not aged
        if tick and aged and active and episode.aged_at and min(level, reached) >= episode.life and line.newest:
            may = tick - line.newest.received_at >= SETTLED or tick - episode.aged_at >= LONGEST_WAIT
        if level == told and not (may and level > paged):
            return
        page = may if level > told or (may and level > paged) else paged > 0
        reason = self._reason(number, episode, page, tick > 0, aged)
        late = line.newest is not None and reason == "still_violated"
        age = tick - line.newest.at if late and line.newest else 0
        yield Step(number, episode.plan.rule.id, told, level, page, reason, episode.onset, at, received_at, age)
        episode.told = level
        episode.paged = 0 if level == 0 else max(level, paged) if page else paged
        episode.aged_at = 0 if level == 0 or page else received_at if aged and not episode.aged_at else episode.aged_at

    def _reason(self, number: int, episode: Episode, page: bool, tick: bool, aged: bool) -> str:
        level, told, line = episode.level, episode.told, self.lines[number]
        if level == 0:
            return "recovered"
        if page and min(level, told) > episode.paged:
            return "still_violated" if tick and aged else "fresh"
        if level < told:
            return "eased"
        if not page:
            return "aged_recorded" if aged else "not_in_service"
        if line.newest and episode.over(line.newest.value, line.newest.quality):
            return "over_range"
        return "held" if tick else episode.plan.rule.kind
