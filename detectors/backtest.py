"""A backtest: stored readings through the same kernels as live ones, for today's rules and for tried ones at once.

No look-ahead: readings come in the order in which they were known, and what only time decides (dwell, silence) is
decided by a tick each second while a check waits. Rules on events, silence, gateways, neighbours and the platform are
not judged by readings alone; they are left out and named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from detectors.backtest_result import (
    Episode,
    LeftOut,
    Result,
    compare,
    lead_of,
    listing,
    rows_by,
    side_of,
)
from detectors.columns import EMISSION, KINDS
from detectors.hearing import Listening
from detectors.passage import live_through
from detectors.rule import HEALTH
from detectors.rules import RuleSet
from detectors.speech import Speech
from detectors.watch import Watch, succeed
from devices.registry import Registry
from ingest.words import Block

MOST_EPISODES = 200_000
"""More of one side are no backtest to read: the limit is far too low or the span far too long."""
_ROOM = 65_536


class BacktestRefused(ValueError):
    """A backtest that can't be made; the text is a reason's code, or says why and what to do."""


@dataclass
class Trial:
    """One set of rules over the stream; `episodes` are those that ended, in the order of their ends."""

    watch: Watch
    now: int
    of_health: npt.NDArray[np.bool_]
    episodes: list[Episode] = field(default_factory=list)
    _open: dict[int, Episode] = field(default_factory=dict)
    _out: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(_ROOM, EMISSION))

    @classmethod
    def of(cls, rules: RuleSet, registry: Registry, since: int, until: int) -> "Trial":
        """A trial that knows nothing yet; who pages people is as the registry says at the end of the span."""
        empty = Watch.empty(registry, Listening(since, since))
        watch, _ = succeed(empty, Speech(rules, registry), until)
        compiled = watch.checks.compiled
        of_health = np.array([*(plan.rule.kind in HEALTH for plan in compiled.plans), False], np.bool_)
        return cls(watch, since, of_health[compiled.plan])

    def take(self, block: Block, until: int) -> None:
        """Let time pass to `until` with the readings of a block, all known before it and ordered by receipt."""
        first, columns = 0, (block.series, block.at, block.received_at, block.value, block.quality)
        arrays = self.watch.checks.arrays
        tables, counters = tuple(arrays), arrays.counters
        while self.now < until:
            waiting = int(counters[0])
            if waiting > len(self._out):
                self._out = np.zeros(2 * waiting, EMISSION)
            first, self.now, written = live_through(
                tables, counters, self.of_health, *columns, first, self.now, until, SECOND, self._out
            )
            for emission in self._out[:written]:
                self._hear(emission)
            if written and self.of_health[self._out["check"][:written]].any():
                self.watch.health_asked = True
                self.watch.refresh_health()

    def finished(self) -> list[Episode]:
        """All episodes, those that go on at the end among them, by the moment when they were said."""
        return sorted([*self.episodes, *self._open.values()], key=lambda each: (each.told, each.rule, each.device))

    def _hear(self, emission: Any) -> None:
        check, level = int(emission["check"]), int(emission["level"])
        known = self._open.pop(check, None)
        if level == 0:
            if known:
                self.episodes.append(msgspec.structs.replace(known, end=int(emission["at"])))
            return
        page, value = bool(emission["page"]), float(emission["value"])
        if known is None:
            self._open[check] = self._begun(emission, check, level, page, value)
        else:
            told = int(emission["received_at"]) if page and not known.paged else known.told
            gravest = (level, value) if level > known.severity else (known.severity, known.value)
            self._open[check] = msgspec.structs.replace(
                known, severity=gravest[0], value=gravest[1], paged=known.paged or page, told=told
            )
        if len(self.episodes) + len(self._open) > MOST_EPISODES:
            raise BacktestRefused("too_many_episodes")

    def _begun(self, emission: Any, check: int, level: int, page: bool, value: float) -> Episode:
        checks, registry = self.watch.checks, self.watch.speech.registry
        device = int(registry.device[checks.compiled.anchor[check]])
        rule = checks.compiled.plans[checks.compiled.plan[check]].rule.id
        onset, told = int(emission["onset"]), int(emission["received_at"])
        code = registry.device_codes[device]
        return Episode(rule, code, registry.site[device], level, onset, told, None, value, page)


@dataclass
class Backtest:
    """Two trials over one stream of [since, until), whole seconds in µs."""

    since: int
    until: int
    today: Trial
    tried: Trial
    left_out: list[LeftOut]
    changed: list[str]
    readings: int = 0

    @classmethod
    def of(cls, today: RuleSet, tried: RuleSet, registry: Registry, since: int, until: int) -> "Backtest":
        """Nothing read yet."""
        trials = [Trial.of(judged(rules), registry, since, until) for rules in (today, tried)]
        return cls(since, until, trials[0], trials[1], left_out((today, tried)), changed_rules(today, tried))

    def take(self, block: Block, until: int) -> None:
        """Readings that were known before `until` and not before the last block's, ordered by receipt."""
        for trial in (self.today, self.tried):
            trial.take(block, until)
        self.readings += len(block)

    def result(self, seconds: float) -> Result:
        """What was found, once time passed to the end of the span; tickets are counted elsewhere."""
        nothing = Block.of([], [], [], [])
        for trial in (self.today, self.tried):
            trial.take(nothing, self.until)
        today, tried = self.today.finished(), self.tried.finished()
        compared = compare(today, tried)
        return Result(
            since=self.since,
            until=self.until,
            readings=self.readings,
            seconds=seconds,
            today=side_of(today),
            tried=side_of(tried),
            new=listing(compared.new),
            lost=listing(compared.lost),
            lead_s=lead_of(compared.leads),
            by_site=rows_by("site", today, tried, compared),
            by_rule=rows_by("rule", today, tried, compared),
            changed=self.changed,
            left_out=self.left_out,
        )


def judged(rules: RuleSet) -> RuleSet:
    """The rules that stored readings can be judged by."""
    return RuleSet(rules.version, {code: rule for code, rule in rules.rules.items() if rule.kind in KINDS})


def left_out(sides: Iterable[RuleSet]) -> list[LeftOut]:
    """The rules of any side that are not judged, by id."""
    kinds = {code: rule.kind for rules in sides for code, rule in rules.rules.items() if rule.kind not in KINDS}
    return [LeftOut(code, kinds[code]) for code in sorted(kinds)]


def changed_rules(today: RuleSet, tried: RuleSet) -> list[str]:
    """The ids of the rules that differ, are new or are gone."""
    every = {*today.rules, *tried.rules}
    return sorted(code for code in every if today.rules.get(code) != tried.rules.get(code))


def series_of_sites(registry: Registry, sites: Sequence[str]) -> npt.NDArray[np.int32] | None:
    """The series of the devices at these sites; None for the whole town. Raises BacktestRefused for unknown ones."""
    if not sites:
        return None
    unknown = sorted(set(sites) - set(registry.site))
    if unknown:
        raise BacktestRefused(f"no device stands at {', '.join(unknown)}: there is no such site, or it is empty")
    its = np.array([site in set(sites) for site in registry.site] + [False], np.bool_)
    return np.flatnonzero(its[registry.device]).astype(np.int32)
