"""A small town in memory and a detector that is fed record by record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from core.clock import SECOND
from core.journal import Offset, Record, RecordKind
from detectors.rules import RuleSet, load_packs
from detectors.safety import SafetyDetector
from detectors.words import Change, Detection
from devices.device_types import load_device_types
from devices.registry import GatewayRow, Registry
from ingest.words import Block, Control, Event, encode

TYPES = load_device_types()
PACKS = load_packs()
START = 1_790_000_000 * SECOND


class Row(NamedTuple):
    """A reading by device and metric; times in seconds after START."""

    device: str
    metric: str
    at: float
    value: float
    received: float | None = None
    quality: int = 0


class Device(NamedTuple):
    code: str
    type: str
    gateway: str = "GW-1"
    site: str = "S-1"
    state: str = "in_service"
    state_until: int = 0
    in_service_at: int = START
    attributes: Mapping[str, Any] = MappingProxyType({})


def registry_of(devices: Sequence[Device], version: int = 1, disabled: Sequence[str] = ()) -> Registry:
    """A registry whose series numbers follow the order of `devices`, its device indexes that of their codes."""
    ordered = sorted(devices, key=lambda device: device.code)
    index = {device.code: place for place, device in enumerate(ordered)}
    gateways = sorted({device.gateway for device in devices})
    metrics: list[str] = []
    series_of: dict[str, dict[str, int]] = {device.code: {} for device in ordered}
    owners: list[int] = []
    kinds: list[int] = []
    ranges: list[tuple[float, float, int]] = []
    for device in devices:
        for code, metric in TYPES[device.type].metrics.items():
            if code not in metrics:
                metrics.append(code)
            series_of[device.code][code] = len(owners)
            owners.append(index[device.code])
            kinds.append(metrics.index(code))
            ranges.append((metric.low, metric.high, TYPES[device.type].late_s * SECOND))
    types = [TYPES[device.type] for device in ordered]
    interval = np.array([kind.interval_s * SECOND for kind in types], np.int64)
    low, high, late = (np.array(column) for column in zip(*ranges, strict=True))
    return Registry(
        id="town",
        version=version,
        types=TYPES,
        gateways={code: _gateway(at, code, code in disabled) for at, code in enumerate(gateways)},
        gateway_codes=gateways,
        device_codes=[device.code for device in ordered],
        device_index=index,
        gateway=np.array([gateways.index(device.gateway) for device in ordered], np.int32),
        type_code=[device.type for device in ordered],
        site=[device.site for device in ordered],
        state=[device.state for device in ordered],
        state_until=np.array([device.state_until for device in ordered], np.int64),
        in_service_at=np.array([device.in_service_at for device in ordered], np.int64),
        interval=interval,
        silence=interval * np.array([kind.silence_factor for kind in types], np.int64),
        attributes={device.code: dict(device.attributes) for device in ordered if device.attributes},
        metrics=metrics,
        series_of=series_of,
        device=np.array(owners, np.int32),
        metric=np.array(kinds, np.int32),
        low=low,
        high=high,
        late=late.astype(np.int64),
    )


def _gateway(place: int, code: str, disabled: bool) -> GatewayRow:
    return GatewayRow(place, code, "v1", "S-1", START, "", START if disabled else 0)


def moment(seconds: float) -> int:
    return START + round(seconds * SECOND)


def block_of(registry: Registry, rows: Sequence[Row]) -> Block:
    series = [registry.series_of[row.device][row.metric] for row in rows]
    received = [moment(row.at if row.received is None else row.received) for row in rows]
    return Block.of(series, [moment(r.at) for r in rows], received, [r.value for r in rows], [r.quality for r in rows])


@dataclass
class Stage:
    """A detector on a registry, with everything that it said. Times in seconds after START."""

    registry: Registry
    rules: RuleSet = PACKS
    found: list[Detection] = field(default_factory=list)
    n: int = 0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.versions = {self.rules.version: self.rules}
        self.detector = SafetyDetector(
            self.registry, self.rules, lambda version: self.versions[version], lambda: self.registry
        )

    @classmethod
    def of(cls, *devices: Device, rules: RuleSet = PACKS) -> "Stage":
        return cls(registry_of(devices), rules)

    def apply(self, kind: RecordKind, payload: bytes, now: float) -> list[Detection]:
        self.n += 1
        self.now = max(self.now, now)
        said = self.detector.apply(Record(Offset(0, self.n), moment(self.now), kind, payload))
        self.found += said
        return said

    def read(
        self, at: float, value: float, device: str = "GAS-1", metric: str = "gas_lel", **more: Any
    ) -> list[Detection]:
        return self.rows(Row(device, metric, at, value, **more))

    def rows(self, *rows: Row) -> list[Detection]:
        latest = max(row.at if row.received is None else row.received for row in rows)
        return self.apply(RecordKind.BLOCK, block_of(self.registry, rows).to_bytes(), latest)

    def tick(self, now: float) -> list[Detection]:
        return self.apply(RecordKind.TICK, b"", now)

    def ticks(self, until: float, every: float = 1.0) -> list[Detection]:
        said = []
        while self.now + every <= until:
            said += self.tick(self.now + every)
        return said

    def control(self, control: Control, now: float | None = None) -> list[Detection]:
        return self.apply(RecordKind.CONTROL, encode(control), self.now if now is None else now)

    def event(
        self, kind: str, code: str, name: str, at: float, received: float | None = None, **more: Any
    ) -> list[Detection]:
        quality = more.pop("quality", 0)
        when = at if received is None else received
        event = Event(kind, code, name, moment(at), moment(when), more, quality)
        return self.apply(RecordKind.EVENT, encode(event), when)


def short(detection: Detection) -> tuple[str, str, str, int, int, bool, str]:
    """What a test compares: change, subject, rule, severity, onset in seconds, page, reason."""
    seconds = (detection.onset - START) // SECOND
    change = Change(detection.change).name
    return (
        change,
        detection.subject.id,
        detection.rule,
        int(detection.severity),
        seconds,
        detection.page,
        detection.reason,
    )


def with_rules(version: int, **changes: Any) -> RuleSet:
    """The packs with some rules replaced by field, or dropped where the change is None: gas__leak={...}."""
    rules = dict(PACKS.rules)
    for name, fields in changes.items():
        code = name.replace("__", ".")
        if fields is None:
            del rules[code]
        else:
            rules[code] = msgspec.structs.replace(rules[code], **fields)
    return replace(PACKS, version=version, rules=rules)
