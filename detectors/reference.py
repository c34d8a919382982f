"""The rules on readings said plainly, one reading and one dictionary at a time; what the kernel must agree with."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from detectors.compile import Compiled, Plan, levels
from detectors.expression import Expression
from detectors.measures import NEVER
from detectors.remembered import Memory
from detectors.schedule import minute_of_week, week_of
from detectors.state_machine import LONGEST_WAIT, SETTLED
from ingest.words import Block, Quality


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

    @property
    def usable(self) -> bool:
        """Whether its newest reading is one to calculate with."""
        return self.newest is not None and not self.out and not self.newest.quality & Quality.OUT_OF_RANGE

    def set_right(self, at: int) -> None:
        """What lies in the future of a clock that was ahead began just before `at`; the windows are forgotten."""
        if self.newest:
            self.newest.at, self.newest.same_since = min(self.newest.at, at - 1), min(self.newest.same_since, at - 1)
        self.out = [min(out, at - 1) for out in self.out]
        self.out_at = None if self.out_at is None else min(self.out_at, at - 1)
        for episode in self.episodes:
            episode.since = {level: min(since, at) for level, since in episode.since.items()}
            episode.below = {level: min(below, at) for level, below in episode.below.items()}
            episode.memory.forget()


@dataclass
class Episode:
    """One rule on one series; `shut` is a reading outside of the hours: it is not held when they begin."""

    plan: Plan
    since: dict[int, int] = field(default_factory=dict)
    level: int = 0
    told: int = 0
    paged: int = 0
    onset: int = 0
    aged_at: int = 0
    below: dict[int, int] = field(default_factory=dict)
    shut: Reading | None = None
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.plan)

    @property
    def life(self) -> float:
        return self.plan.rule.life_safety_from or math.inf

    def left_out(self, quality: int, at: int) -> bool:
        """Whether a reading of this quality and time is not for the rule."""
        rule = self.plan.rule
        masked = any(quality & Quality[name.upper()] for name in rule.not_when)
        return masked or (bool(rule.hours) and not week_of(rule.hours)[minute_of_week(at)])

    def measure(self, line: Line, in_service_at: int, enter: bool) -> tuple[float, int]:
        """What the series' newest reading means to the rule, and since when; NaN for no judgement."""
        rule, newest = self.plan.rule, line.newest
        if rule.kind == "out_of_range":
            return len(line.out), line.out[0] if line.out else 0
        assert newest is not None
        signed = newest.value if rule.direction == "above" else -newest.value
        if rule.kind == "frozen":
            metric = self.plan.metric
            span = self.plan.terms.window or (metric.frozen_s or 0) * 1_000_000
            stuck = newest.same >= metric.frozen_count and newest.at - newest.same_since >= span
            return float(stuck and newest.value != metric.rest), newest.same_since
        if rule.kind in ("rate", "noise") and newest.quality & Quality.OUT_OF_RANGE:
            return math.nan, newest.at
        if rule.kind == "rate":
            return self.memory.rise(signed, newest.at), newest.at
        if rule.kind == "noise":
            return self.memory.scatter(newest.value, self.level == 0 and not self.since, enter), newest.at
        measure = self._of_value(newest, in_service_at, enter)
        if rule.count and not math.isnan(measure):
            measure = self.memory.repeated(measure, newest.at, enter)
        return measure, newest.at

    def _of_value(self, newest: Reading, in_service_at: int, enter: bool) -> float:
        rule, value = self.plan.rule, newest.value
        ignored = value == rule.ignore
        if not rule.mean and ignored:
            return -math.inf
        if not rule.mean and self.over(value, newest.quality):
            return math.inf
        counted = enter and not ignored and math.isfinite(value)
        base = self.memory.baseline(value, newest.at, in_service_at, counted) if rule.baseline else 0.0
        if rule.mean:
            value = self.memory.mean(value, newest.at, counted)
        value = abs(value - base) if rule.baseline else value
        return value if rule.direction == "above" else -value

    def over(self, value: float, quality: int) -> bool:
        """Whether a reading counts as over-range for this rule."""
        rule = self.plan.rule
        signed = value if rule.direction == "above" else -value
        return bool(rule.over_range and quality & Quality.OUT_OF_RANGE and signed >= levels(self.plan)[0][0])

    def judge(self, measure: float, since: int, at: int, held: int) -> int:
        """Move to the level that the measure, its dwells and the recovery limit make; the level just violated."""
        limit, floor = levels(self.plan)
        reached = max((level for level in range(1, 5) if measure >= limit[level]), default=0)
        if measure == math.inf:
            reached = max(reached, self.plan.rule.over_range or 0)
        if self.level == 0 and not self.since and not reached:
            return 0
        self.since = {level: self.since.get(level, since) for level in range(1, reached + 1)}
        self.below = {level: self.below.get(level, at) for level in range(1, 5) if not measure >= floor[level]}
        if not (self.plan.rule.latch and self.told):
            off = self.plan.terms.dwell_off
            while self.level in self.below and at - self.below[self.level] + held >= off:
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
    sick: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        plans, start, derived = self.compiled.plans, self.compiled.start, self.compiled.derived
        owners = [*self.devices, *derived.device.tolist()]
        self.lines = [
            Line(device, [Episode(plans[plan]) for plan in self.compiled.plan[start[number] : start[number + 1]]])
            for number, device in enumerate(owners)
        ]
        self.inputs = {derived.registered + row: its["input"][: its["inputs"]] for row, its in enumerate(derived.rows)}
        self.since = derived.registry.in_service_at.tolist()

    def read(self, block: Block, now: int) -> Iterator[Step]:
        """The steps of a block journalled at `now`, in order."""
        columns = (block.series, block.at, block.received_at, block.value, block.quality)
        for number, at, received_at, value, quality in zip(*(column.tolist() for column in columns), strict=True):
            known = 0 <= number < len(self.devices) and self.devices[number] >= 0 and not math.isnan(value)
            if known and self._newer(self.lines[number], at, received_at, quality):
                before = self.lines[number].newest
                yield from self._read(number, at, received_at, now, value, quality)
                if self.lines[number].newest is not before:
                    yield from self._derive(number, received_at, now)

    def _derive(self, number: int, received_at: int, now: int) -> Iterator[Step]:
        """The steps of the series that are derived from this one, which has just taken a reading."""
        for derived, inputs in self.inputs.items():
            sources = [self.lines[place] for place in inputs.tolist()]
            if number not in inputs or not all(source.usable for source in sources):
                continue
            rule, newest = self.lines[derived].episodes[0].plan.rule, [line.newest for line in sources if line.newest]
            at = max(reading.at for reading in newest)
            if any(at - reading.at > rule.max_age for reading in newest):
                continue
            expression = Expression.parse(rule.expression)
            value = expression.of(dict(zip(expression.metrics, (reading.value for reading in newest), strict=True)))
            quality = 0
            for reading in newest:
                quality |= reading.quality
            if not math.isnan(value) and self._newer(self.lines[derived], at, received_at, quality):
                yield from self._read(derived, at, received_at, now, value, quality)

    def _known_by(self, number: int) -> int:
        """The registered series that a series is known by: a derived one's is the first of its inputs."""
        return number if number not in self.inputs else int(self.inputs[number].min())

    def rearm(self, numbers: Sequence[int], rule: str) -> None:
        """Forget that the episodes of a rule on these series were announced."""
        derived = [number for number, inputs in self.inputs.items() if inputs.min() in numbers]
        for number in (*numbers, *derived):
            for episode in self.lines[number].episodes:
                if episode.plan.rule.id == rule:
                    episode.told = episode.paged = episode.aged_at = 0

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
            concerned = not excluded or episode.plan.rule.kind == "out_of_range"
            if concerned and episode.left_out(quality, at):
                episode.shut = line.newest if not (episode.since or episode.level) else episode.shut
            elif concerned:
                measure, since = episode.measure(line, self.since[line.device], True)
                if not math.isnan(measure):
                    reached = episode.judge(measure, since, at, 0)
                    yield from self._say(number, episode, measure, reached, 0, at, received_at)

    def tick(self, now: int) -> Iterator[Step]:
        """The steps that time alone makes: the last value of every threshold is held."""
        for number, line in enumerate(self.lines):
            newest = line.newest
            if newest is None:
                continue
            for episode in line.episodes:
                yield from self._held(number, episode, newest, now)

    def _held(self, number: int, episode: Episode, newest: Reading, now: int) -> Iterator[Step]:
        """The step that a tick makes of an episode: its hours end, or the last value is held."""
        line, kind = self.lines[number], episode.plan.rule.kind
        if episode.left_out(0, now):
            yield from self._closed(number, episode, now)
        elif (
            newest is not episode.shut
            and kind in ("threshold", "noise", "rate")
            and not episode.left_out(newest.quality, newest.at)
        ):
            held = max(min(now - newest.received_at, self.silence[line.device]), 0) if kind == "threshold" else 0
            waiting = kind == "threshold" or episode.level or episode.since
            measure, since = episode.measure(line, self.since[line.device], False) if waiting else (math.nan, 0)
            if not math.isnan(measure):
                reached = episode.judge(measure, since, newest.at, held)
                yield from self._say(number, episode, measure, reached, now, now, now)

    def _closed(self, number: int, episode: Episode, now: int) -> Iterator[Step]:
        episode.since = {}
        if episode.plan.rule.latch and episode.told:
            return
        episode.shut = self.lines[number].newest
        told, rule, page = episode.told, episode.plan.rule.id, episode.paged > 0
        episode.level = episode.told = episode.paged = episode.aged_at = 0
        if told:
            yield Step(self._known_by(number), rule, told, 0, page, "schedule_ended", episode.onset, now, now)

    def _say(
        self, number: int, episode: Episode, measure: float, reached: int, tick: int, at: int, received_at: int
    ) -> Iterator[Step]:
        line, level, told, paged = self.lines[number], episode.level, episode.told, episode.paged
        aged = bool(line.newest and line.newest.quality & Quality.AGED)
        held_back = episode.plan.rule.anomaly and bool(self.sick) and self.sick[line.device]
        active = self.active[line.device] and not held_back
        if tick and told > paged and not episode.aged_at and not episode.plan.rule.anomaly and line.newest:
            active = active and tick - line.newest.received_at <= self.silence[line.device]
        may = active and not aged
        if tick and aged and active and episode.aged_at and min(level, reached) >= episode.life and line.newest:
            may = tick - line.newest.received_at >= SETTLED or tick - episode.aged_at >= LONGEST_WAIT
        if level == told and not (may and level > paged):
            return
        page = may if level > told or (may and level > paged) else paged > 0
        reason = self._reason(number, episode, measure, page, tick > 0, aged)
        late = line.newest is not None and reason == "still_violated"
        age = tick - line.newest.at if late and line.newest else 0
        yield Step(
            self._known_by(number), episode.plan.rule.id, told, level, page, reason, episode.onset, at, received_at, age
        )
        episode.told = level
        episode.paged = 0 if level == 0 else max(level, paged) if page else paged
        episode.aged_at = 0 if level == 0 or page else received_at if aged and not episode.aged_at else episode.aged_at

    def _reason(self, number: int, episode: Episode, measure: float, page: bool, tick: bool, aged: bool) -> str:
        level, told, line = episode.level, episode.told, self.lines[number]
        if level == 0:
            return "recovered"
        if page and min(level, told) > episode.paged:
            return "still_violated" if tick and aged else "fresh"
        if level < told:
            return "eased"
        if not page:
            return "aged_recorded" if aged else "sensor_sick" if self.active[line.device] else "not_in_service"
        if measure == math.inf and episode.plan.rule.over_range:
            return "over_range"
        return "held" if tick else episode.plan.rule.kind
