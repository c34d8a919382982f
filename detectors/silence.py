"""Silence of devices and gateways, judged at each tick over all of them at once.

A gateway is dead when its status says so or when nothing came from any of its devices for three times the shortest of
their intervals, and from no second one that was due by then: one fast device that dies is no dead gateway. It counts
once: its devices' silence is not told while it is dead, while it is on the way to be (nothing heard for half of that
time), and until they had an interval to speak after its return.

A device that is reported out of reach need not be silent for long: it is told after its gateway's dwell, so that one
that connects anew alarms nobody. The same inhibition holds.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from detectors.compile import RETIRED
from detectors.device_terms import terms_of
from detectors.hearing import FOREVER, GRACE, Devices, Flags, Gateways, Listening, Times
from detectors.kernel import NEVER
from detectors.rules import Rule, Terms
from detectors.speech import Speech
from detectors.words import Detection, Subject
from devices.registry import GatewayRow, Registry

ALIVE_AFTER = 5 * SECOND
"""µs after a gateway's offline status from which on a reading proves that it lives: what was under way has come."""
UNREACHED_AFTER = MINUTE
"""µs after which a device is told that is reported out of reach, where no rule on gateways gives a dwell."""
DEAD_AFTER = 3
"""Shortest intervals without anything from a gateway after which it may be dead."""


@dataclass
class _Alive:
    """What a tick knows of the gateways.

    `quiet` for too long, `offline` by status, `suspect` of becoming quiet, `shed` by the platform.
    """

    heard: Times
    shortest: Times
    offline: Flags
    quiet: Flags
    suspect: Flags
    shed: Flags


_UNHEARD = ("silence", "never_reported")
_NO_RULE = Terms({}, 0.0, 0, 0, enabled=False)


def device_terms(rules: Mapping[str, Rule], registry: Registry) -> list[Terms]:
    """The terms of each device's silence rule, resolved device by device only where an override names one."""
    common = {code: rule.terms(code, "", "") for code, rule in rules.items()}
    special = {code for code, rule in rules.items() if any(its.device_type is None for its in rule.overrides)}
    return [
        terms_of(rules[code], registry, device) if code in special else common.get(code, _NO_RULE)
        for device, code in enumerate(registry.type_code)
    ]


def gateway_term(rule: Rule | None, row: GatewayRow, registry: Registry) -> Terms:
    """The gateway rule's terms for one gateway; an override names it as `device`, or an attribute of its site."""
    if rule is None:
        return _NO_RULE
    return rule.terms("", row.site, row.code, registry.site_attributes.get(row.site, {}))


@dataclass
class Silence:
    """The silence rules over the devices and gateways of one registry. `active` says which devices page people."""

    registry: Registry
    speech: Speech
    devices: Devices
    gateways: Gateways
    active: Flags
    listening: Listening = field(default_factory=Listening)

    def __post_init__(self) -> None:
        registry = self.registry
        self._gateway_since = np.array([row.in_service_at for row in registry.gateways.values()], np.int64)
        self._rules = self.speech.silence_rules
        self._distinct = list({rule.id: rule for rule in self._rules.values()}.values())
        terms = device_terms(self._rules, registry)
        self._limit = registry.silence + np.array([term.dwell for term in terms], np.int64)
        self._ruled = np.array([term.enabled for term in terms], np.bool_)
        self._gateway_rule = self.speech.gateway_rule
        gateway_terms = [gateway_term(self._gateway_rule, row, registry) for row in registry.gateways.values()]
        self._gateway_dwell = np.array([term.dwell for term in gateway_terms], np.int64)
        self._gateway_ruled = np.array([term.enabled for term in gateway_terms], np.bool_)
        self._held = registry.gateway >= 0
        dwell = self._gateway_dwell if self._gateway_rule else np.full(len(gateway_terms), UNREACHED_AFTER)
        self._patience = np.append(dwell, UNREACHED_AFTER)[registry.gateway]
        self._by_pace = np.lexsort((registry.interval, registry.gateway))
        self._by_gateway = np.argsort(registry.gateway, kind="stable")
        self._starts = np.searchsorted(registry.gateway[self._by_gateway], np.arange(len(gateway_terms) + 1))
        until = np.where([state == "maintenance" for state in registry.state], registry.state_until, NEVER)
        self._begun = np.maximum(registry.in_service_at, until)

    def tick(self, now: int, shed: Collection[str] = ()) -> Iterator[Detection]:
        """Silences and gateways that begin or end; `shed` are gateways of which not all is heard."""
        alive = self._alive(now, shed)
        yield from self._gateways(now, alive)
        yield from self._devices(now, alive)

    def _alive(self, now: int, shed: Collection[str]) -> _Alive:
        registry, gateways, count = self.registry, self.gateways, len(self.gateways.heard)
        heard, begun = gateways.heard.copy(), np.full(count, FOREVER)
        np.maximum.at(heard, registry.gateway[self._held], self.devices.heard[self._held])
        paging = self._held & self.active
        np.minimum.at(begun, registry.gateway[paging], self._begun[paging])
        shortest, second = self._paces(paging, count)
        judged = (shortest < FOREVER) & self._gateway_ruled
        span, pace = np.where(judged, shortest, 0), np.where(judged, np.where(second < FOREVER, second, shortest), 0)
        limit = np.maximum(DEAD_AFTER * span, np.where(second < FOREVER, pace + GRACE, 0))
        since = now - np.maximum.reduce([heard, self._gateway_since, np.where(judged, begun, 0)])
        since = np.minimum(since, now - self.listening.since)
        waiting = self.listening.suspended(now, pace) & (gateways.told == 0)
        self._revive(heard)
        offline = judged & (gateways.offline_at != NEVER)
        quiet = judged & (since > limit) & ~waiting
        unheard = np.zeros(count, np.bool_)
        unheard[[registry.gateways[code].index for code in shed if code in registry.gateways]] = True
        gateways.dead_at[offline | quiet | unheard] = now
        return _Alive(heard, span, offline, quiet, judged & (2 * since > limit), unheard)

    def _paces(self, paging: Flags, count: int) -> tuple[Times, Times]:
        """The shortest and second shortest interval of each gateway's paging devices; FOREVER where there is none."""
        ordered = self._by_pace[paging[self._by_pace]]
        gateway, interval = self.registry.gateway[ordered], self.registry.interval[ordered]
        shortest, second = np.full(count, FOREVER), np.full(count, FOREVER)
        first = np.flatnonzero(np.diff(gateway, prepend=-1))
        shortest[gateway[first]] = interval[first]
        several = first[np.diff(first, append=len(ordered)) > 1]
        second[gateway[several]] = interval[several + 1]
        return shortest, second

    def _revive(self, heard: Times) -> None:
        """A gateway that went on talking after its offline status is not offline."""
        gateways = self.gateways
        offline = gateways.offline_at != NEVER
        alive = offline & (heard > np.where(offline, gateways.offline_received, 0) + ALIVE_AFTER)
        gateways.offline_at[alive] = gateways.offline_received[alive] = NEVER

    def _gateways(self, now: int, alive: _Alive) -> Iterator[Detection]:
        gateways, rule = self.gateways, self._gateway_rule
        if rule is None:
            return
        over = (gateways.told > 0) & (gateways.offline_at == NEVER) & (alive.heard > gateways.known)
        yield from self._ended("gateway", rule.id, over, now)
        waited = now - np.where(alive.offline, gateways.offline_received, now) >= self._gateway_dwell
        due = (alive.quiet | (alive.offline & waited)) & (gateways.told == 0)
        for index in np.flatnonzero(due).tolist():
            yield self._gateway_dead(rule, now, index, alive)

    def _gateway_dead(self, rule: Rule, now: int, index: int, alive: _Alive) -> Detection:
        gateways = self.gateways
        offline, heard = bool(alive.offline[index]), int(alive.heard[index])
        mine = self._by_gateway[self._starts[index] : self._starts[index + 1]]
        onset = int(gateways.offline_at[index]) if offline else self._last_at(index, mine, heard)
        gateways.told[index], gateways.onset[index], gateways.known[index] = rule.severity(), onset, heard
        evidence = {
            "last_received": None if heard == NEVER else heard,
            "inhibited": int(np.count_nonzero(self.active[mine] & (self.devices.told[mine] == 0))),
            "shortest_interval_s": int(alive.shortest[index]) / SECOND,
        }
        reason = "gateway_offline" if offline else "gateway_silence"
        subject = Subject("gateway", self.registry.gateway_codes[index])
        return self.speech.opened(rule, subject, onset, now, now, reason, evidence)

    def _last_at(self, index: int, mine: npt.NDArray[np.intp], heard: int) -> int:
        """The own time of the last thing heard from a gateway; when it came into service if nothing was."""
        if heard == NEVER:
            return int(self._gateway_since[index])
        own = [int(self.gateways.heard_at[index])] if self.gateways.heard[index] == heard else []
        return int(max([*self.devices.heard_at[mine][self.devices.heard[mine] == heard].tolist(), *own]))

    def _devices(self, now: int, alive: _Alive) -> Iterator[Detection]:
        devices, registry = self.devices, self.registry
        devices.revive()
        out = devices.offline_at != NEVER
        over = (devices.told > 0) & (devices.heard > devices.known) & ~out
        for rule in self._distinct:
            yield from self._ended("device", rule.id, over & self._follows(over, rule), now)
        base = np.where(devices.heard == NEVER, self.listening.since, devices.heard)
        quiet = now - np.maximum(base, self._begun) > self._limit
        quiet |= out & (now - np.where(out, devices.offline_received, now) >= self._patience)
        quiet &= self.active & self._ruled & (devices.told == 0)
        if not quiet.any():
            return
        reported = out & (devices.offline_received > self.listening.connected_at) & (not self.listening.lost)
        silent = np.flatnonzero(quiet & (reported | ~self.listening.suspended(now, registry.interval)))
        for index in silent[~self._excused(silent, now, alive)].tolist():
            yield self._device_silent(self._rules[registry.type_code[index]], now, index)

    def _follows(self, among: Flags, rule: Rule) -> Flags:
        follows = np.zeros(len(among), np.bool_)
        places = np.flatnonzero(among).tolist()
        follows[[place for place in places if self._rules.get(self.registry.type_code[place]) is rule]] = True
        return follows

    def _excused(self, devices: npt.NDArray[np.intp], now: int, alive: _Alive) -> Flags:
        """Whether their gateway accounts for these devices' silence."""
        excused = np.zeros(len(devices), np.bool_)
        held = self._held[devices]
        gateway = self.registry.gateway[devices[held]]
        dead_at = self.gateways.dead_at[gateway]
        returned = now < dead_at + self.registry.interval[devices[held]] + GRACE
        returned &= self.devices.offline_received[devices[held]] <= dead_at  # else it was lost after that
        dead = alive.offline[gateway] | alive.quiet[gateway] | alive.suspect[gateway]
        excused[held] = dead | alive.shed[gateway] | returned
        return excused

    def _device_silent(self, rule: Rule, now: int, index: int) -> Detection:
        devices, registry = self.devices, self.registry
        heard = int(devices.heard[index])
        never, reported = heard == NEVER, int(devices.offline_at[index])
        onset = int(registry.in_service_at[index]) if never else int(devices.heard_at[index])
        reason, onset = ("reported_unreachable", reported) if reported != NEVER else (_UNHEARD[never], onset)
        devices.told[index], devices.onset[index], devices.known[index] = rule.severity(), onset, heard
        evidence = {
            "last_received": None if never else heard,
            "interval_s": int(registry.interval[index]) / SECOND,
            "limit_s": int(self._limit[index]) / SECOND,
            **({"reported_at": reported} if reported != NEVER else {}),
        }
        subject = Subject("device", registry.device_codes[index])
        return self.speech.opened(rule, subject, onset, now, now, reason, evidence)

    def _ended(self, kind: str, rule_id: str, over: Flags, now: int) -> Iterator[Detection]:
        state: Devices = self.gateways if kind == "gateway" else self.devices
        codes = self.registry.gateway_codes if kind == "gateway" else self.registry.device_codes
        for index in np.flatnonzero(over).tolist():
            state.told[index] = 0
            subject = Subject(kind, codes[index])
            yield self.speech.cleared(rule_id, subject, int(state.onset[index]), now, now, "recovered")

    def rule_on(self, subject: Subject) -> Rule | None:
        """The silence or gateway rule that holds for a subject; None for one that is retired."""
        state, index = self._place(subject)
        if index is None:
            return None
        if state is self.gateways:
            return self._gateway_rule if self._gateway_ruled[index] else None
        if not self._ruled[index] or self.registry.state[index] == RETIRED:
            return None
        return self._rules[self.registry.type_code[index]]

    def forget(self, subject: Subject) -> None:
        """Take a subject's episode as not announced: if it still holds, it is announced again with its onset."""
        state, index = self._place(subject)
        if index is not None:
            state.told[index] = 0

    def _place(self, subject: Subject) -> tuple[Devices, int | None]:
        if subject.kind == "gateway":
            row = self.registry.gateways.get(subject.id)
            return self.gateways, None if row is None else row.index
        return self.devices, self.registry.device_index.get(subject.id)

    def open_episodes(self) -> int:
        """How many devices and gateways are announced as silent."""
        return int(np.count_nonzero(self.devices.told) + np.count_nonzero(self.gateways.told))
