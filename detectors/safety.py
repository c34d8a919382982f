"""The safety detector: rules on readings and events, silence and device health, one journal record after another."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

import msgspec
import numpy as np

from core.clock import SHANGHAI, local, moment_of
from core.journal import START, Offset, Record, RecordKind
from detectors.baselines import baseline_of
from detectors.carrying import (
    Columns,
    announced,
    columns_of,
    kept_columns,
    kept_of,
    moved,
    packed,
    packed_faults,
    packed_links,
    series_columns,
    series_of,
    state_of,
    unpacked,
    unpacked_faults,
    unpacked_links,
)
from detectors.checks import Rows, grown
from detectors.compound import SITE, Compounds
from detectors.events import Events
from detectors.faults import GATEWAY, MODEL, PLATFORM, Faults
from detectors.flapping import Flaps
from detectors.hearing import FOREVER, Devices, Gateways, Listening
from detectors.kernel import NEVER
from detectors.re_evaluation import hang_on_the_register
from detectors.rules import RuleSet
from detectors.speech import Speech
from detectors.watch import Watch, gateway_places, succeed
from detectors.words import Change, Detection, Severity, Subject
from devices.registry import Registry
from ingest.words import (
    Block,
    Connected,
    Control,
    Event,
    Lost,
    Rearm,
    RegistryChanged,
    RulesChanged,
    decode_control,
    decode_event,
)

STATUS = "status"
"""The type of the event that says whether a gateway or device is online."""
FORMAT = 1
"""Of a snapshot; raised when its meaning changes."""


class SnapshotRefused(Exception):
    """A snapshot that this detector can't go on from: replay from the start of the kept journal instead."""


class SafetyDetector:
    """Turns journal records into detections, the same ones at every replay.

    `load_rules` and `load_registry` are asked when a control record says that there are others; without them the ones
    given at construction stay. The clock is the records' time.
    """

    def __init__(
        self,
        registry: Registry,
        rules: RuleSet,
        load_rules: Callable[[int], RuleSet] | None = None,
        load_registry: Callable[[], Registry] | None = None,
    ) -> None:
        self.offset: Offset = START
        self.rules = rules
        self._load_rules = load_rules
        self._load_registry = load_registry
        self._time = NEVER
        self._owed: list[Detection] = []
        self._owed_after = START
        self._listening = Listening()
        self._watch = Watch.empty(registry, self._listening)
        self._rules_due = NEVER  # no rule holds before the first record tells the day

    @property
    def registry(self) -> Registry:
        """The registry in use."""
        return self._watch.speech.registry

    @property
    def open_episodes(self) -> int:
        """How many episodes are announced and not over."""
        watch = self._watch
        parts = (watch.silence, watch.events, watch.faults, watch.flaps, watch.drift, watch.compounds)
        return watch.checks.open_episodes + sum(part.open_episodes() for part in parts)

    def sick_devices(self) -> list[str]:
        """The devices whose sensors can't be believed, as of the last tick."""
        return [self.registry.device_codes[place] for place in np.flatnonzero(self._watch.sick).tolist()]

    @property
    def owes(self) -> bool:
        """Whether endings that came with `restore` are not said yet: a snapshot would forget them."""
        return bool(self._owed)

    @property
    def unknown_readings(self) -> int:
        """Readings so far whose series the registry did not know."""
        return int(self._watch.checks.arrays.counters[1])

    def apply(self, record: Record) -> list[Detection]:
        """What a record says, in order; records come in the journal's order."""
        if self._time == NEVER:
            self._listening.since = record.time
        self._time = record.time
        found: list[Detection] = []
        if record.offset > self._owed_after:
            found, self._owed = self._owed, []
        if record.time >= self._rules_due:
            found += self._follow(self.rules, self.registry)
        if record.time >= self._watch.states_due:
            self._watch.refresh_states(record.time)
        found += self._said(record)
        for detection in found:
            self._watch.follow(detection, record.time)
        if record.kind == RecordKind.TICK:
            self._watch.refresh_health()
            found += self._watch.compounds.tick(record.time)
        self.offset = record.offset
        return found

    def _said(self, record: Record) -> Iterator[Detection]:
        watch = self._watch
        if record.kind == RecordKind.BLOCK:
            yield from self._of_checks(watch.checks.read(Block.from_bytes(record.payload), record.time))
        elif record.kind == RecordKind.TICK:
            yield from self._of_checks(watch.checks.tick(record.time))
            yield from watch.events.tick(record.time, self._pages)
            yield from watch.silence.tick(record.time, watch.faults.shed(record.time))
            yield from self._heeded(watch.faults.tick(record.time))
            yield from watch.drift.tick(record.time)
            yield from watch.flaps.tick(record.time)
        elif record.kind == RecordKind.EVENT:
            yield from self._event(decode_event(record.payload))
        elif record.kind == RecordKind.CONTROL:
            yield from self._control(decode_control(record.payload))

    def _of_checks(self, emissions: Iterator[Any]) -> Iterator[Detection]:
        checks = self._watch.checks
        for emission in emissions:
            place = int(emission["check"])
            plan = checks.compiled.plans[checks.compiled.plan[place]]
            said = self._watch.speech.of_check(emission, plan)
            if plan.rule.baseline:
                said.evidence["baseline"] = baseline_of(checks, place)
            yield said

    def _pages(self, device: str) -> bool:
        return bool(self._watch.active[self.registry.device_index[device]])

    def _heeded(self, found: Iterator[Detection]) -> Iterator[Detection]:
        """What models find in a device pages from 预警 on, and only of one whose alarms page."""
        for detection in found:
            kind, code = detection.subject
            if kind != "device" or detection.change == Change.CLEARED:
                yield detection
            else:
                page = detection.severity >= Severity.WARNING and self._pages(code)
                yield msgspec.structs.replace(detection, page=page)

    def _event(self, event: Event) -> Iterator[Detection]:
        watch = self._watch
        if event.kind == PLATFORM:
            yield from watch.faults.apply(event)
        elif event.kind == MODEL:
            yield from self._heeded(watch.faults.apply(event))
        elif event.kind == GATEWAY:
            row = self.registry.gateways.get(event.id)
            if row is not None and event.type == STATUS:
                self._status_of(row.index, event)
            elif row is not None:  # what the platform found in it: no sign of life
                yield from watch.faults.apply(event)
        elif event.id in self.registry.device_index:
            yield from self._of_device(event, self.registry.device_index[event.id])

    def _status_of(self, gateway: int, event: Event) -> None:
        """A gateway's status; one that was not known to be lost, and is, counts as flapping."""
        watch, gateways = self._watch, self._watch.silence.gateways
        before, told = int(gateways.offline_at[gateway]), bool(gateways.told[gateway])
        gateways.report(gateway, event, self._time)
        after = int(gateways.offline_at[gateway])
        if after not in (before, NEVER) and not told:
            watch.flaps.lost(event.id, self._time, after, self._listening)

    def _of_device(self, event: Event, device: int) -> Iterator[Detection]:
        watch = self._watch
        if event.type == STATUS and "online" in event.attributes:
            watch.silence.devices.report(device, event, self._time)
            return
        watch.silence.devices.hear(device, event, self._time)
        yield from watch.events.apply(event, device, bool(watch.active[device]))

    def _control(self, control: Control) -> Iterator[Detection]:
        match control:
            case Lost(at):
                self._listening.lost = True
                self._watch.flaps.platform_lost(at)
            case Connected():
                self._listening.lost, self._listening.connected_at = False, self._time
            case RulesChanged(version) if self._load_rules is not None:
                yield from self._follow(self._load_rules(version), self.registry)
            case RegistryChanged() if self._load_registry is not None:
                yield from self._follow(self.rules, self._load_registry())
            case Rearm(kind, code, rule):
                self._rearm(Subject(kind, code), rule)

    def _rearm(self, subject: Subject, rule: str) -> None:
        self._watch.faults.rearm(subject, rule)
        silence, its = self._watch.silence, self._watch.silence.rule_on(subject)
        if its is not None and its.id == rule:
            silence.forget(subject)
        if subject.kind == GATEWAY:
            self._watch.flaps.rearm(subject.id, rule)
        elif subject.kind == SITE:
            self._watch.compounds.rearm(subject.id, rule)
        elif subject.kind == "device":
            self._watch.compounds.doubt(subject.id, rule)
            self._watch.drift.rearm(subject.id, rule)
            self._watch.events.rearm(subject.id, rule)
            self._watch.checks.rearm(list(self.registry.series_of.get(subject.id, {}).values()), rule)

    def _follow(self, rules: RuleSet, registry: Registry) -> list[Detection]:
        """Go on under these rules and this registry: what is still ruled keeps its state, the rest ends."""
        first, before, registered = self._rules_due == NEVER, self._watch.speech.rules.rules, self.registry
        day = local(self._time).date()
        speech = Speech(rules.in_force(day), registry)
        self._watch, ended = succeed(self._watch, speech, self._time)
        self.rules, self._rules_due = rules, _start_of(rules.next_change(day))
        if not first:
            changed = {code for code, rule in speech.rules.rules.items() if before.get(code) != rule}
            if registry is not registered:
                changed.update(hang_on_the_register(speech.rules.rules))
            self._watch.checks.rejudge(sorted(changed))
        return ended

    def snapshot(self) -> tuple[dict[str, Any], Columns]:
        """All state: a little JSON and columns of plain dtypes, free of the registry's present order of devices."""
        watch, registry = self._watch, self.registry
        rows = watch.checks.rows()
        meta = {
            "format": FORMAT,
            "registry_id": registry.id,
            "registry_version": registry.version,
            "rules_version": self.rules.version,
            "offset": list(self.offset),
            "time": self._time,
            "since": self._listening.since,
            "connected_at": self._listening.connected_at,
            "lost": self._listening.lost,
            "unknown_readings": self.unknown_readings,
            "rules": list(rows.rules),
        }
        arrays: Columns = {f"check.{name}": column for name, column in rows.columns.items()}
        arrays |= {"check.series": rows.series, "check.rule": rows.rule, "events": packed(watch.events.episodes)}
        arrays["faults"] = packed_faults(watch.faults.standing)
        arrays |= series_columns(watch.checks.series)
        arrays |= columns_of("device", watch.silence.devices, registry.device_codes)
        arrays |= columns_of("gateway", watch.silence.gateways, registry.gateway_codes)
        arrays |= {"health.sick": watch.sick.copy(), "health.elsewise": watch.elsewise.copy()}
        arrays |= kept_columns(watch.drift.memory())
        return meta, arrays | packed_links(watch.flaps, watch.compounds)

    def restore(self, meta: dict[str, Any], arrays: Columns, owed_after: Offset = START) -> None:
        """Go on exactly where the snapshot was taken, on the present registry, which may have grown since.

        What ended by the growth (a device retired) is said with the first record behind `owed_after`: what is said of
        an earlier one may be taken for known. Raises SnapshotRefused.
        """
        self._refuse(meta, arrays)
        self._owed_after = owed_after
        if meta["rules_version"] != self.rules.version and self._load_rules is not None:
            self.rules = self._load_rules(meta["rules_version"])
        self.offset, self._time = Offset(*meta["offset"]), meta["time"]
        self._listening = Listening(meta["since"], meta["connected_at"], meta["lost"])
        registry = self.registry
        if self._time == NEVER:
            self._watch = Watch.empty(registry, self._listening)
            return
        day = local(self._time).date()
        self._rules_due = _start_of(self.rules.next_change(day))
        self._watch, self._owed = _restored(Speech(self.rules.in_force(day), registry), meta, arrays, self._listening)

    def _refuse(self, meta: dict[str, Any], arrays: Columns) -> None:
        registry = self.registry
        if meta.get("format") != FORMAT:
            raise SnapshotRefused(f"the snapshot has format {meta.get('format')}, this version reads format {FORMAT}")
        if meta["registry_id"] != registry.id:
            raise SnapshotRefused(f"the snapshot is of registry {meta['registry_id']}, not of {registry.id}")
        if len(arrays["series.last_at"]) > len(registry.device):
            raise SnapshotRefused("the snapshot has more series than the registry")
        if meta["rules_version"] != self.rules.version and self._load_rules is None:
            raise SnapshotRefused(f"the snapshot is of rules {meta['rules_version']}, not of {self.rules.version}")


def _restored(
    speech: Speech, meta: dict[str, Any], arrays: Columns, listening: Listening
) -> tuple[Watch, list[Detection]]:
    """The watch that a snapshot describes, on the speech's registry; the episodes that the registry's growth ends."""
    registry, now = speech.registry, meta["time"]
    devices, device_codes = state_of("device", Devices, arrays)
    gateways, gateway_codes = state_of("gateway", Gateways, arrays)
    told = {"device": list(announced(devices, device_codes)), "gateway": list(announced(gateways, gateway_codes))}
    devices = moved(devices, device_codes, registry.device_index)
    gateways = moved(gateways, gateway_codes, gateway_places(registry))
    drift, series = kept_of(arrays), grown(series_of(arrays), registry.device)
    watch = Watch.assembled(speech, series, devices, gateways, listening, drift)
    watch.refresh_states(now)
    if "health.sick" in arrays:
        watch.take_health(device_codes, arrays["health.sick"], arrays["health.elsewise"])
    watch.checks.arrays.counters[1] = meta["unknown_readings"]
    named = {name.removeprefix("check."): column for name, column in arrays.items() if name.startswith("check.")}
    ended = list(watch.implant(Rows(named.pop("series"), meta["rules"], named.pop("rule"), named), now))
    for kind, announcements in told.items():
        ended += watch.silences_over(speech, kind, announcements, now)
    ended += watch.take_events(Events(speech, unpacked(arrays["events"])), now)
    standing = unpacked_faults(arrays["faults"]) if "faults" in arrays else {}  # older snapshots knew of none
    ended += watch.take_faults(Faults(speech, standing), now)
    ended += watch.drifts_over(drift, registry, now)
    return watch, [*ended, *_linked(watch, arrays, now)]


def _linked(watch: Watch, arrays: Columns, now: int) -> list[Detection]:
    """Give a watch the losses and compounds of a snapshot, which an older one lacks; the episodes that end with it."""
    speech = watch.speech
    losses, flapping, members, compounds = unpacked_links(arrays)
    ended = watch.take_flaps(Flaps(speech, losses, flapping), now)
    compounds_then = Compounds(speech, watch.sick, members, compounds)
    return ended + watch.take_compounds(compounds_then, now, exactly="compounds" in arrays)


def _start_of(day: date | None) -> int:
    """The local midnight at which a day begins, µs; never for None."""
    return FOREVER if day is None else moment_of(datetime.combine(day, time.min, SHANGHAI))
