"""All that watches one registry under one set of rules, and how one watch succeeds another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.carrying import announced, moved
from detectors.checks import Checks, Rows, grown
from detectors.columns import empty_series
from detectors.compile import RETIRED, compile_rules
from detectors.compound import Compounds, Member, MemberKey, OpenEpisode
from detectors.drift import NOTHING, Drift, Kept, announced_in
from detectors.events import Events
from detectors.faults import Faults
from detectors.flapping import Flaps
from detectors.hearing import FOREVER, Devices, Flags, Gateways, Listening
from detectors.re_evaluation import expressions_changed, reevaluate
from detectors.rule import HEALTH
from detectors.rules import RuleSet
from detectors.silence import Silence
from detectors.speech import Speech
from detectors.words import Detection, Subject
from devices.registry import Registry


@dataclass
class Watch:
    """Checks, silence, events, faults of gateways and the platform, drift, flapping and compounds under one speech.

    Over devices: `active` pages people; `sick` has an open episode of a rule on its health, `elsewise` one of another
    than drift. `sick` is found at each tick, so that it is the same for any split into blocks. `states_due` (µs): a
    device's state changes by itself.
    """

    speech: Speech
    checks: Checks
    silence: Silence
    events: Events
    faults: Faults
    flaps: Flaps
    drift: Drift
    compounds: Compounds
    active: npt.NDArray[np.bool_]
    sick: npt.NDArray[np.bool_]
    elsewise: npt.NDArray[np.bool_]
    states_due: int = 0
    health_asked: bool = True

    @classmethod
    def assembled(
        cls,
        speech: Speech,
        series: npt.NDArray[Any],
        devices: Devices,
        gateways: Gateways,
        listening: Listening,
        drift: Kept = NOTHING,
    ) -> "Watch":
        """A watch over series and devices that may remember something, as drift; its other parts remember nothing."""
        registry = speech.registry
        active, sick, elsewise = np.zeros((3, len(registry.device_codes)), np.bool_)
        compiled = compile_rules(speech.rules, registry)
        checks = Checks.fresh(compiled, series, devices.heard, devices.heard_at, active, registry.silence, sick)
        silence = Silence(registry, speech, devices, gateways, active, listening)
        drifts = Drift(speech, checks.series, active, elsewise, drift)
        rest = Events(speech), Faults(speech), Flaps(speech), drifts, Compounds(speech, sick)
        return cls(speech, checks, silence, *rest, active, sick, elsewise)

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

    def follow(self, found: Detection, now: int) -> None:
        """Take note of what was found, as far as something else hangs on it."""
        rule = self.speech.rules.rules.get(found.rule)
        self.health_asked |= rule is None or rule.kind in HEALTH
        self.flaps.follow(found, now, self.silence.listening)
        self.compounds.follow(found)

    def refresh_health(self) -> None:
        """Which devices are sick, if that may have changed."""
        if not self.health_asked:
            return
        self.health_asked = False
        before = self.sick.copy()
        self.elsewise[:] = self.silence.devices.told > 0
        self.elsewise[self._unhealthy()] = True
        self.sick[:] = self.elsewise
        self.sick[self.drift.devices_drifting()] = True
        if (before != self.sick).any():
            self.compounds.health_changed()

    def _unhealthy(self) -> npt.NDArray[np.int32]:
        """Indexes of the devices on which a check of a rule on their health has a level."""
        compiled = self.checks.compiled
        of_plan = np.array([plan.rule.kind in HEALTH for plan in compiled.plans], np.bool_)
        places = np.flatnonzero(of_plan[compiled.plan]) if len(of_plan) else np.empty(0, np.int64)
        ill = places[self.checks.arrays.check["level"][places] > 0]
        return np.asarray(self.speech.registry.device[compiled.anchor[ill]])

    def episodes_of(self, rules: Iterable[str]) -> Iterator[OpenEpisode]:
        """What is announced of these rules on devices."""
        wanted, registry = set(rules), self.speech.registry
        if not wanted:
            return
        for episode in (*self._checks_told(), *self._events_told(), *self.drift.episodes()):
            if episode.key.rule in wanted:
                yield episode
        for code, onset in announced(self.silence.devices, registry.device_codes):
            rule = self.silence.rule_on(Subject("device", code))
            if rule is not None and rule.id in wanted:
                yield OpenEpisode(MemberKey(rule.id, code), onset, True)

    def _checks_told(self) -> Iterator[OpenEpisode]:
        registry, checks = self.speech.registry, self.checks
        compiled, state = checks.compiled, checks.arrays.check
        for place in np.flatnonzero(state["told"]).tolist():
            device = int(registry.device[compiled.anchor[place]])
            if device >= 0:
                key = MemberKey(compiled.plans[compiled.plan[place]].rule.id, registry.device_codes[device])
                yield OpenEpisode(key, int(state["onset"][place]), bool(state["paged"][place]))

    def _events_told(self) -> Iterator[OpenEpisode]:
        for (device, rule), episode in self.events.episodes.items():
            if episode.told:
                yield OpenEpisode(MemberKey(rule, device), episode.onset, episode.paged)

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

    def take_flaps(self, flaps: Flaps, now: int) -> list[Detection]:
        """Go on with the gateways' losses; the endings of episodes that can't."""
        self.flaps, ended = flaps.carried(self.speech, now)
        return ended

    def drifts_over(self, before: Kept, registry: Registry, now: int) -> Iterator[Detection]:
        """The endings of drifts announced on `registry` that nothing goes on with."""
        kept = {episode.key for episode in self.drift.episodes()}
        for episode in announced_in(before, registry):
            if episode.key not in kept:
                subject = Subject("device", episode.key.device)
                reason = RETIRED if self._retired(subject) else "rule_withdrawn"
                yield self.speech.cleared(episode.key.rule, subject, episode.onset, now, now, reason)

    def take_compounds(self, compounds: Compounds, now: int, *, exactly: bool = False) -> list[Detection]:
        """Go on with the compounds over the episodes that are open here, or `exactly` with theirs; what ends."""
        members: Mapping[MemberKey, Member] = compounds.members
        if not exactly:
            members = compounds.reconciled(self.episodes_of(self.compounds.naming))
        self.compounds, ended = compounds.carried(self.speech, self.sick, members, now)
        return ended

    def take_health(self, codes: Sequence[str], sick: Flags, elsewise: Flags) -> None:
        """Go on with what was known of the health of devices with these codes."""
        to = np.array([self.speech.registry.device_index.get(code, -1) for code in codes], np.int64)
        self.sick[to[to >= 0]] = sick[to >= 0]
        self.elsewise[to[to >= 0]] = elsewise[to >= 0]


def succeed(before: Watch, speech: Speech, now: int) -> tuple[Watch, list[Detection]]:
    """A watch under another speech that goes on where `before` stands, and the episodes that end with it."""
    old, new = before.speech.registry, speech.registry
    series, silence = before.checks.series, before.silence
    devices, gateways = silence.devices, silence.gateways
    told = {
        "device": list(announced(devices, old.device_codes)),
        "gateway": list(announced(gateways, old.gateway_codes)),
    }
    if new is not old:
        series = grown(series, new.device)
        devices = moved(devices, old.device_codes, new.device_index)
        gateways = moved(gateways, old.gateway_codes, gateway_places(new))
    drift = before.drift.memory()
    watch = Watch.assembled(speech, series, devices, gateways, silence.listening, drift)
    watch.refresh_states(now)
    watch.take_health(old.device_codes, before.sick, before.elsewise)
    watch.checks.arrays.counters[1] = before.checks.arrays.counters[1]
    ended = list(watch.implant(before.checks.rows(), now))
    reevaluate(watch.checks, set(expressions_changed(before.speech.rules.rules, speech.rules.rules)))
    for kind, announcements in told.items():
        ended += watch.silences_over(before.speech, kind, announcements, now)
    ended += watch.take_events(before.events, now)
    ended += watch.take_faults(before.faults, now)
    ended += watch.take_flaps(before.flaps, now)
    ended += watch.drifts_over(drift, old, now)
    return watch, [*ended, *watch.take_compounds(before.compounds, now)]


def gateway_places(registry: Registry) -> Mapping[str, int]:
    """Each gateway's index by code."""
    return {code: row.index for code, row in registry.gateways.items()}
