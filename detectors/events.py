"""Event rules: an alarm that a device reports itself opens at once and ends when the device says so.

A rule of kind event_value judges the number that an event brings: one that reaches no limit says nothing. While a
rule's hours are closed nothing begins; what stands goes on. An episode of a latched rule ends only when a person
closes it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detectors.event_values import Judged, judge
from detectors.kernel import LONGEST_WAIT, SETTLED
from detectors.rule import Rule
from detectors.schedule import is_open
from detectors.speech import Evidence, Speech
from detectors.words import Detection, Severity, Subject
from ingest.words import Event, Quality

EVENT_KINDS = frozenset({"event", "event_value"})
"""Kinds of rules that look at a device's events."""

Key = tuple[str, str]


class EventEpisode(msgspec.Struct):
    """What is remembered of one rule on one device, from its first event on. Times in µs UTC.

    `momentary`: the event came without "active", so that nothing will end the episode but a person. `level` is the
    severity, `value`, `limit` and `more` what the event that raised it said; without a number they are empty.
    """

    at: int
    received_at: int
    active: bool
    momentary: bool = False
    onset: int = 0
    told: bool = False
    paged: bool = False
    aged_at: int = 0
    waiting: bool = False
    level: int = 0
    value: float | None = None
    limit: float | None = None
    more: dict[str, Any] = {}


@dataclass
class Events:
    """The event rules in force, with their episodes by (device, rule)."""

    speech: Speech
    episodes: dict[Key, EventEpisode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_event: dict[tuple[str, str], list[Rule]] = {}
        for rule in self.speech.rules.rules.values():
            if rule.kind in EVENT_KINDS:
                for code in rule.device_types:
                    by_event.setdefault((code, rule.event), []).append(rule)
        self._rules: Mapping[tuple[str, str], list[Rule]] = by_event
        self._waiting = {key for key, episode in self.episodes.items() if episode.waiting}

    def apply(self, event: Event, device: int, active: bool) -> Iterator[Detection]:
        """What an event of the device with this index says; `active`: the device pages people."""
        registry = self.speech.registry
        device_type, site = registry.type_code[device], registry.site[device]
        for rule in self._rules.get((device_type, event.type), ()):
            terms = rule.terms(device_type, site, event.id, registry.attributes_of(device))
            judged = judge(rule, terms, event.attributes) if terms.enabled else None
            if judged is not None and (not judged.level or is_open(rule.hours, event.at)):
                yield from self._apply(event, rule, judged, active)

    def _apply(self, event: Event, rule: Rule, judged: Judged, active: bool) -> Iterator[Detection]:
        key = (event.id, rule.id)
        episode = self.episodes.get(key)
        says = judged.level > 0
        if episode is None:
            episode = self.episodes[key] = EventEpisode(event.at, event.received_at, active=False)
        elif event.at < episode.at <= event.received_at or (event.at == episode.at and says == episode.active):
            return  # what a clock that was ahead said is no reason to be deaf until then
        begins = says and not episode.active
        episode.at, episode.received_at, episode.active = event.at, event.received_at, says
        if begins:
            episode.momentary = "active" not in event.attributes
            episode.onset = episode.onset if episode.told else event.at  # a latched one goes on
        if says:
            episode.momentary &= "active" not in event.attributes  # what says that it stands will say that it ends
            raised = (begins and not episode.told) or judged.level > episode.level
            if raised:
                episode.level, episode.value, episode.limit, episode.more = judged
            aged = bool(event.quality & Quality.AGED)
            yield from self._violated(key, rule, episode, active, aged, raised)
        elif episode.told and not rule.latch:
            episode.told = False
            yield self._end(key, episode, event.at, event.received_at, "recovered")

    def _violated(
        self, key: Key, rule: Rule, episode: EventEpisode, active: bool, aged: bool, raised: bool
    ) -> Iterator[Detection]:
        page = active and not aged
        if not page and not episode.paged and rule.is_life_safety(_severity(rule, episode)):
            episode.aged_at = episode.aged_at or (episode.received_at if aged else 0)
            if aged or not episode.momentary:
                self._wait(key, episode)
        if episode.told and not raised and (episode.paged or not page):
            return
        late = episode.told and not raised
        reason = "fresh" if late else "event" if page else "aged_recorded" if aged else "not_in_service"
        yield self._say(key, rule, episode, (episode.at, episode.received_at), reason, page)

    def _say(
        self, key: Key, rule: Rule, episode: EventEpisode, when: tuple[int, int], reason: str, page: bool, age: int = 0
    ) -> Detection:
        evidence: Evidence = {"event": rule.event, **episode.more} | ({"latch": True} if rule.latch else {})
        made = self.speech.opened(rule, Subject("device", key[0]), episode.onset, *when, reason, evidence)
        if episode.told:
            made = self.speech.updated(made)
        episode.told, episode.paged = True, episode.paged or page
        measured = {"severity": _severity(rule, episode), "value": episode.value, "limit": episode.limit}
        return msgspec.structs.replace(made, page=page, age=age, **measured)

    def _end(self, key: Key, episode: EventEpisode, at: int, received_at: int, reason: str) -> Detection:
        paged, episode.paged, episode.aged_at = episode.paged, False, 0
        return self.speech.cleared(key[1], Subject("device", key[0]), episode.onset, at, received_at, reason, paged)

    def _wait(self, key: Key, episode: EventEpisode) -> None:
        episode.waiting = True
        self._waiting.add(key)

    def tick(self, now: int, pages: Callable[[str], bool]) -> Iterator[Detection]:
        """Alarms that still hold and are told late, and alarms to be announced anew.

        Late are aged ones once their backlog has settled, and those of a device that pages people only now, as `pages`
        tells.
        """
        for key in sorted(self._waiting):
            episode, rule = self.episodes[key], self.speech.rules.rules[key[1]]
            settled = now - episode.received_at >= SETTLED or now - episode.aged_at >= LONGEST_WAIT
            if episode.active and not episode.told:
                page = pages(key[0])
                yield self._say(key, rule, episode, (now, now), "event" if page else "not_in_service", page)
                if not page and rule.is_life_safety(_severity(rule, episode)):
                    continue
            elif episode.active and not episode.paged:
                if not (settled and pages(key[0])):
                    continue
                late = ("still_violated", True, now - episode.at) if episode.aged_at else ("fresh", True)
                yield self._say(key, rule, episode, (now, now), *late)
            episode.waiting = False
            self._waiting.discard(key)

    def rearm(self, device: str, rule: str) -> None:
        """Forget that an episode was announced; a momentary one is over."""
        episode = self.episodes.get((device, rule))
        if episode is None or not episode.told:
            return
        episode.told = episode.paged = False
        episode.aged_at = 0
        if episode.momentary:
            episode.active = False
        else:
            self._wait((device, rule), episode)

    def carried(self, speech: Speech, gone: Mapping[str, str], now: int) -> tuple["Events", list[Detection]]:
        """The episodes under other rules or another registry; those without one end. `gone`: device → reason."""
        kept: dict[Key, EventEpisode] = {}
        ended = []
        for key, episode in self.episodes.items():
            rule = speech.rules.rules.get(key[1])
            reason = gone.get(key[0]) or ("" if self._still(rule, key, speech) else "rule_withdrawn")
            if not reason and episode.told and not episode.active and rule is not None and not rule.latch:
                reason = "recovered"  # a latch was all that kept it
            if not reason:
                kept[key] = episode
            elif episode.told:
                ended.append(self._end(key, episode, now, now, reason))
        return Events(speech, kept), ended

    def _still(self, rule: Rule | None, key: Key, speech: Speech) -> bool:
        """Whether what a rule now is judges the same event of the device as it did."""
        before, registry = self.speech.rules.rules.get(key[1]), speech.registry
        device = registry.device_index.get(key[0])
        if rule is None or rule.kind not in EVENT_KINDS or device is None:
            return False
        if before is not None and before.event != rule.event:
            return False
        kind = registry.type_code[device]
        return (
            kind in rule.device_types
            and rule.terms(kind, registry.site[device], key[0], registry.attributes_of(device)).enabled
        )

    def open_episodes(self) -> int:
        """How many are announced."""
        return sum(episode.told for episode in self.episodes.values())


def _severity(rule: Rule, episode: EventEpisode) -> Severity:
    """An episode without a number has the rule's one severity."""
    return rule.severity() if rule.kind == "event" else Severity(episode.level)
