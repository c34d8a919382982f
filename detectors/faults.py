"""Faults that the platform finds in itself or in a gateway, and what its models of normal find unusual in a device.

Each is an episode that ends when the platform says so.

A gateway that was shut out is let in again by a person, in the registry: that ends the fault too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from core.clock import MINUTE
from detectors.compile import RETIRED
from detectors.rule import Rule
from detectors.speech import Speech
from detectors.words import Detection, Subject
from ingest.words import Event

PLATFORM, GATEWAY, DEVICE = "platform", "gateway", "device"
MODEL = "model"
"""The kind of the events in which a model of normal speaks of the device `id`: no sign of life of it."""
SUBJECT_OF = {"platform": PLATFORM, "gateway_fault": GATEWAY, "unusual": DEVICE}
"""Kinds of rules and the kind of their subjects."""
SHUT_OUT = "shut_out"
"""The gateway's fault that its registration knows too."""
FLOODING = "flooding"
"""The gateway's fault for which what it sends is shed."""
_SHED_FOR = 10 * MINUTE  # then the gate shuts out one that goes on, and one that pauses is heard in between
_FIGURES = ("active", "value", "limit")


class FaultKey(NamedTuple):
    """What has the fault (kind, id), and the rule on it."""

    kind: str
    id: str
    rule: str


class Fault(msgspec.Struct):
    """A fault that stands, by one rule. `onset` in µs UTC; `told` is False while it waits to be announced anew.

    `more` is what else was said of it; `registered`: the registry was seen to know it.
    """

    event: str
    onset: int
    value: float | None
    limit: float | None
    told: bool = True
    more: dict[str, Any] = {}
    registered: bool = False


@dataclass
class Faults:
    """The rules on faults in force, with the faults that stand."""

    speech: Speech
    standing: dict[FaultKey, Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_event: dict[tuple[str, str], list[Rule]] = {}
        for rule in self.speech.rules.rules.values():
            if rule.kind in SUBJECT_OF:
                by_event.setdefault((SUBJECT_OF[rule.kind], rule.event), []).append(rule)
        self._rules: Mapping[tuple[str, str], list[Rule]] = by_event

    def apply(self, event: Event) -> Iterator[Detection]:
        """What an event says of the platform or a gateway; the same said again, as every start does, is no news."""
        kind = DEVICE if event.kind == MODEL else event.kind
        for rule in self._rules.get((kind, event.type), ()):
            key, active = FaultKey(kind, event.id, rule.id), event.attributes.get("active")
            fault = self.standing.get(key)
            if active is True and fault is None and _holds(rule, key, self.speech):
                yield self._begin(key, rule, event)
            elif active is False and fault is not None:
                del self.standing[key]
                if fault.told:
                    yield self._end(key, fault, event.at, event.received_at, "recovered")

    def _begin(self, key: FaultKey, rule: Rule, event: Event) -> Detection:
        value, limit = event.attributes.get("value"), event.attributes.get("limit")
        more = {name: said for name, said in event.attributes.items() if name not in _FIGURES}
        fault = self.standing[key] = Fault(event.type, event.at, value, limit, more=more)
        fault.registered = _is_registered(key, fault, self.speech)
        return self._say(key, rule, fault, event.at, event.received_at)

    def _say(self, key: FaultKey, rule: Rule, fault: Fault, at: int, received_at: int) -> Detection:
        fault.told = True
        evidence = {**fault.more, "event": fault.event, "unit": rule.unit}
        subject = Subject(key.kind, key.id)
        said = self.speech.opened(rule, subject, fault.onset, at, received_at, "event", evidence)
        return msgspec.structs.replace(said, value=fault.value, limit=fault.limit)

    def _end(self, key: FaultKey, fault: Fault, at: int, received_at: int, reason: str) -> Detection:
        return self.speech.cleared(key.rule, Subject(key.kind, key.id), fault.onset, at, received_at, reason)

    def tick(self, now: int) -> Iterator[Detection]:
        """Faults to be announced anew."""
        for key in sorted(key for key, fault in self.standing.items() if not fault.told):
            yield self._say(key, self.speech.rules.rules[key.rule], self.standing[key], now, now)

    def shed(self, now: int) -> list[str]:
        """The gateways of which the platform may have shed what its devices said, so that their silence says little."""
        return [
            key.id
            for key, fault in self.standing.items()
            if (key.kind, fault.event) == (GATEWAY, FLOODING) and now - fault.onset <= _SHED_FOR
        ]

    def rearm(self, subject: Subject, rule: str) -> None:
        """Forget that a fault was announced: while it stands, it is announced again with its onset."""
        if fault := self.standing.get(FaultKey(*subject, rule)):
            fault.told = False

    def carried(self, speech: Speech, now: int) -> tuple["Faults", list[Detection]]:
        """The faults under other rules or another registry; those that nothing goes on with end."""
        kept: dict[FaultKey, Fault] = {}
        ended = []
        for key, fault in self.standing.items():
            if reason := _ending(key, fault, speech):
                ended += [self._end(key, fault, now, now, reason)] * fault.told
                continue
            fault.registered = _is_registered(key, fault, speech)
            kept[key] = fault
        return Faults(speech, kept), ended

    def open_episodes(self) -> int:
        """How many are announced."""
        return sum(fault.told for fault in self.standing.values())


def _ending(key: FaultKey, fault: Fault, speech: Speech) -> str:
    """Why a fault ends under these rules and this registry; "" while it goes on."""
    if key.kind == GATEWAY and key.id not in speech.registry.gateways:
        return RETIRED
    if key.kind == DEVICE and _device(key, speech) is None:
        return RETIRED
    rule = speech.rules.rules.get(key.rule)
    if rule is None or SUBJECT_OF.get(rule.kind) != key.kind or rule.event != fault.event:
        return "rule_withdrawn"
    if not _holds(rule, key, speech):
        return "rule_withdrawn"
    return "recovered" if fault.registered and not _is_registered(key, fault, speech) else ""


def _holds(rule: Rule, key: FaultKey, speech: Speech) -> bool:
    """Whether no override switches the rule off; one names the platform's part or the gateway as `device`."""
    if key.kind == DEVICE:
        registry, place = speech.registry, _device(key, speech)
        return place is not None and rule.terms(registry.type_code[place], registry.site[place], key.id).enabled
    gateway = speech.registry.gateways.get(key.id) if key.kind == GATEWAY else None
    return rule.terms("", gateway.site if gateway else "", key.id).enabled


def _device(key: FaultKey, speech: Speech) -> int | None:
    """The place of a device that is in service, None of one that is not."""
    place = speech.registry.device_index.get(key.id)
    return None if place is None or speech.registry.gateway[place] < 0 else place


def _is_registered(key: FaultKey, fault: Fault, speech: Speech) -> bool:
    """Whether the registry says that the gateway is shut out, which only a person takes back."""
    gateway = speech.registry.gateways.get(key.id) if fault.event == SHUT_OUT else None
    return gateway is not None and gateway.disabled_at != 0
