"""Platform rules: a fault that the platform found in itself opens an episode, which ends when the platform says so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from detectors.rule import Rule
from detectors.speech import Speech
from detectors.words import Detection, Subject
from ingest.words import Event

PLATFORM = "platform"
"""The kind of such rules, of their events and of their subjects."""

Key = tuple[str, str]


class Fault(msgspec.Struct):
    """A fault that stands, by one rule. `onset` in µs UTC; `told` is False while it waits to be announced anew."""

    event: str
    onset: int
    value: float | None
    limit: float | None
    told: bool = True


@dataclass
class Faults:
    """The platform rules in force, with the faults that stand by (part of the platform, rule)."""

    speech: Speech
    standing: dict[Key, Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_event: dict[str, list[Rule]] = {}
        for rule in self.speech.rules.rules.values():
            if rule.kind == PLATFORM:
                by_event.setdefault(rule.event, []).append(rule)
        self._rules: Mapping[str, list[Rule]] = by_event

    def apply(self, event: Event) -> Iterator[Detection]:
        """What an event of the platform says; the same said again, as every start does, is no news."""
        for rule in self._rules.get(event.type, ()):
            key, active = (event.id, rule.id), event.attributes.get("active")
            fault = self.standing.get(key)
            if active is True and fault is None and _holds(rule, event.id):
                yield self._begin(key, rule, event)
            elif active is False and fault is not None:
                del self.standing[key]
                if fault.told:
                    yield self._end(key, fault, event.at, event.received_at, "recovered")

    def _begin(self, key: Key, rule: Rule, event: Event) -> Detection:
        value, limit = event.attributes.get("value"), event.attributes.get("limit")
        fault = self.standing[key] = Fault(event.type, event.at, value, limit)
        return self._say(key, rule, fault, event.at, event.received_at)

    def _say(self, key: Key, rule: Rule, fault: Fault, at: int, received_at: int) -> Detection:
        fault.told = True
        evidence = {"event": fault.event, "unit": rule.unit}
        said = self.speech.opened(rule, Subject(PLATFORM, key[0]), fault.onset, at, received_at, "event", evidence)
        return msgspec.structs.replace(said, value=fault.value, limit=fault.limit)

    def _end(self, key: Key, fault: Fault, at: int, received_at: int, reason: str) -> Detection:
        return self.speech.cleared(key[1], Subject(PLATFORM, key[0]), fault.onset, at, received_at, reason)

    def tick(self, now: int) -> Iterator[Detection]:
        """Faults to be announced anew."""
        for key in sorted(key for key, fault in self.standing.items() if not fault.told):
            yield self._say(key, self.speech.rules.rules[key[1]], self.standing[key], now, now)

    def rearm(self, part: str, rule: str) -> None:
        """Forget that a fault was announced: while it stands, it is announced again with its onset."""
        if fault := self.standing.get((part, rule)):
            fault.told = False

    def carried(self, speech: Speech, now: int) -> tuple["Faults", list[Detection]]:
        """The faults under other rules; those without one end."""
        kept: dict[Key, Fault] = {}
        ended = []
        for key, fault in self.standing.items():
            rule = speech.rules.rules.get(key[1])
            if rule is not None and (rule.kind, rule.event) == (PLATFORM, fault.event) and _holds(rule, key[0]):
                kept[key] = fault
            elif fault.told:
                ended.append(self._end(key, fault, now, now, "rule_withdrawn"))
        return Faults(speech, kept), ended

    def open_episodes(self) -> int:
        """How many are announced."""
        return sum(fault.told for fault in self.standing.values())


def _holds(rule: Rule, part: str) -> bool:
    """Whether no override switches the rule off; one names the part as `device`."""
    return rule.terms("", "", part).enabled
