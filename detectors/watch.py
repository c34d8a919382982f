"""All that watches one registry under one set of rules, and how one watch succeeds another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.carrying import announced, moved
from detectors.checks import Checks, Rows, grown
from detectors.columns import empty_series
from detectors.compile import RETIRED, compile_rules
from detectors.events import Events
from detectors.faults import Faults
from detectors.hearing import FOREVER, Devices, Gateways, Listening
from detectors.rules import RuleSet
from detectors.silence import Silence
from detectors.speech import Speech
from detectors.words import Detection, Subject
from devices.registry import Registry


@dataclass
class Watch:
    """Checks, silence, events and faults of gateways and the platform under one speech.

    `states_due` (µs): a device's state changes by itself.
    """

    speech: Speech
    checks: Checks
    silence: Silence
    events: Events
    faults: Faults
    active: npt.NDArray[np.bool_]
    states_due: int = 0

    @classmethod
    def assembled(
        cls, speech: Speech, series: npt.NDArray[Any], devices: Devices, gateways: Gateways, listening: Listening
    ) -> "Watch":
        """A watch over series and devices that may remember something; its other parts remember nothing."""
        registry = speech.registry
        active = np.zeros(len(registry.device_codes), np.bool_)
        compiled = compile_rules(speech.rules, registry)
        checks = Checks.fresh(compiled, series, devices.heard, devices.heard_at, active, registry.silence)
        silence = Silence(registry, speech, devices, gateways, active, listening)
        return cls(speech, checks, silence, Events(speech), Faults(speech), active)

    @classmethod
    def empty(cls, registry: Registry, listening: Listening) -> "Watch":
        """A watch that knows no rule and heard nothing."""
        devices, gateways = Devices.unheard(len(registry.device_codes)), Gateways.unheard(len(registry.gateway_codes))
        return cls.assembled(Speech(RuleSet(0), registry), empty_series(registry.device), devices, gateways, listening)

    def refresh_states(self, now: int) -> None:
        """Which devices page people now, and when that changes next."""
        registry = self.speech.registry
        states = np.array(registry.state, dtype=object)
        maintained, ended = states == "maintenance", registry.state_until <= now
        self.active[:] = (states == "in_service") | (maintained & ended)
        ahead = registry.state_until[maintained & ~ended]
        self.states_due = int(ahead.min()) if len(ahead) else FOREVER

    def implant(self, rows: Rows, now: int) -> Iterator[Detection]:
        """Take over the checks' state; the endings of announced episodes that no check goes on with."""
        registry = self.speech.registry
        for row in self.checks.implant(rows).tolist():
            device = int(registry.device[rows.series[row]])
            if not rows.columns["told"][row] or device < 0:
                continue
            reason = RETIRED if registry.state[device] == RETIRED else "rule_withdrawn"
            subject, onset = Subject("device", registry.device_codes[device]), int(rows.columns["onset"][row])
            page = bool(rows.columns["paged"][row])
            yield self.speech.cleared(rows.rule_id(row), subject, onset, now, now, reason, page)

    def silences_over(
        self, before: Speech, kind: str, announcements: list[tuple[str, int]], now: int
    ) -> Iterator[Detection]:
        """The endings of silences announced under the speech `before` that nothing goes on with."""
        for code, onset in announcements:
            subject = Subject(kind, code)
            rule, holds = before.silence_rule(subject), self.silence.rule_on(subject)
            if rule is None or (holds is not None and holds.id == rule.id):
                continue
            self.silence.forget(subject)
            reason = RETIRED if self._retired(subject) else "rule_withdrawn"
            yield self.speech.cleared(rule.id, subject, onset, now, now, reason)

    def _retired(self, subject: Subject) -> bool:
        registry = self.speech.registry
        if subject.kind == "gateway":
            return subject.id not in registry.gateways
        index = registry.device_index.get(subject.id)
        return index is None or registry.state[index] == RETIRED

    def take_events(self, events: Events, now: int) -> list[Detection]:
        """Go on with event episodes; the endings of those that can't."""
        devices = {device for device, _ in events.episodes}
        gone = {code: RETIRED for code in devices if self._retired(Subject("device", code))}
        self.events, ended = events.carried(self.speech, gone, now)
        return ended

    def take_faults(self, faults: Faults, now: int) -> list[Detection]:
        """Go on with the faults; the endings of those that can't."""
        self.faults, ended = faults.carried(self.speech, now)
        return ended


def succeed(before: Watch, speech: Speech, now: int) -> tuple[Watch, list[Detection]]:
    """A watch under another speech that goes on where `before` stands, and the episodes that end with it."""
    old, new = before.speech.registry, speech.registry
    series, silence = before.checks.arrays.series, before.silence
    devices, gateways = silence.devices, silence.gateways
    told = {
        "device": list(announced(devices, old.device_codes)),
        "gateway": list(announced(gateways, old.gateway_codes)),
    }
    if new is not old:
        series = grown(series, new.device)
        devices = moved(devices, old.device_codes, new.device_index)
        gateways = moved(gateways, old.gateway_codes, gateway_places(new))
    watch = Watch.assembled(speech, series, devices, gateways, silence.listening)
    watch.refresh_states(now)
    watch.checks.arrays.counters[1] = before.checks.arrays.counters[1]
    ended = list(watch.implant(before.checks.rows(), now))
    for kind, announcements in told.items():
        ended += watch.silences_over(before.speech, kind, announcements, now)
    return watch, [*ended, *watch.take_events(before.events, now), *watch.take_faults(before.faults, now)]


def gateway_places(registry: Registry) -> Mapping[str, int]:
    """Each gateway's index by code."""
    return {code: row.index for code, row in registry.gateways.items()}
