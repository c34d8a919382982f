"""The gate: every message becomes readings, events or named rejects; each reading's quality is judged here, once."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from core import snapshot
from core.clock import MILLISECOND
from core.journal import Offset, Record, RecordKind
from devices.registry import Registry
from ingest.admission import Admitted, admitted_devices
from ingest.formats.items import Answer, Happened, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.v1 import PREFIX, telemetry
from ingest.lateness import EARLIEST, Outages, implausible, judge
from ingest.routes import Routes
from ingest.words import (
    Block,
    Connected,
    Control,
    Event,
    Lost,
    Message,
    Quality,
    Reject,
    Remembered,
    decode_control,
)

MAX_PAYLOAD = 256 * 1024
"""Bytes; a larger message is refused."""
_KEPT_OF_OVERSIZE = 1024
_LARGEST_TIME = 2**52  # ms; beyond it a time is nonsense and would overflow
_EVENT_LATE = 600_000_000
_log = structlog.get_logger()


class _Run(NamedTuple):
    """Rows of one device in one message."""

    message: int
    gateway: str
    device: str
    start: int
    end: int


@dataclass
class _Batch:
    """Columns under construction."""

    series: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    memories: dict[str, Remember] = field(default_factory=dict)


class Judged(NamedTuple):
    """What a batch of messages became. `memories` hold once the batch is journalled, by gateway: see `Gate.settle`."""

    block: Block
    events: list[Event]
    rejects: list[Reject]
    answers: Sequence[Answer] = ()
    memories: Mapping[str, Remember] = {}


class Gate:
    """Admits messages of the registered town. One thread's own; it knows each series' newest time and the outages.

    `ticked` is the time of the last tick (µs, 0 before the first): until then the platform certainly listened. `beat` is
    the time of the canary's newest reading that is journalled.
    """

    def __init__(self, registry: Registry) -> None:
        self.outages = Outages()
        self.ticked = 0
        self.beat = 0
        self._newest: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._memories: dict[str, Any] = {}
        self.load(registry)

    def load(self, registry: Registry) -> None:
        """Take a newer registry; what is known of the series stays."""
        self._registry = registry
        newest = np.zeros(len(registry.device), np.int64)
        newest[: len(self._newest)] = self._newest
        self._newest = newest
        self.routes = Routes(registry)
        self._admitted = admitted_devices(registry)

    def prepare(self) -> None:
        """Compile the kernel, so that the first message does not wait for it."""
        self._set_flags(Block.of([], [], [], []))

    def judge(self, messages: Sequence[Message]) -> Judged:
        """Decode and judge a batch in order of arrival."""
        batch = _Batch()
        for index, message in enumerate(messages):
            self._admit(index, message, batch)
        block = self._block(messages, batch)
        return Judged(block, batch.events, batch.rejects, batch.answers, batch.memories)

    def settle(self, judged: Judged) -> None:
        """Take up what the dialects remember of a batch that is journalled, and how far the canary came."""
        if self._registry.canary >= 0 and len(judged.block):
            beats = judged.block.at[judged.block.series == self._registry.canary]
            self.beat = int(beats.max(initial=self.beat))
        for gateway, remember in judged.memories.items():
            self._memories[gateway] = remember.memory

    def remembered(self, judged: Judged) -> list[Remembered]:
        """The memories of a batch that must be journalled with it."""
        durable = ((gateway, kept.memory) for gateway, kept in judged.memories.items() if kept.durable)
        return [Remembered(gateway, self.routes.dialects[gateway].pack(memory)) for gateway, memory in durable]

    def _admit(self, index: int, message: Message, batch: _Batch) -> None:
        route = self.routes.find(message.topic)
        if route is None:
            batch.rejects.append(_reject(message, "", Refused("unknown_topic", "no registered gateway speaks there")))
            return
        gateway = route.gateway
        admitted = self._admitted.get(gateway)
        refusal = self._refusal(message, gateway)
        if refusal or admitted is None:
            batch.rejects.append(_reject(message, gateway, refusal or Refused("unknown_gateway", gateway)))
            return
        for item in route.dialect.decode(message, self._memory(gateway, batch)):
            if type(item) is Measured:
                self._measured(index, message, gateway, admitted, item, batch)
            else:
                self._other(message, gateway, admitted, item, batch)

    def _memory(self, gateway: str, batch: _Batch) -> Any:
        """What the gateway's last message before this one left to be remembered."""
        if gateway in batch.memories:
            return batch.memories[gateway].memory
        return self._memories.get(gateway)

    def _refusal(self, message: Message, gateway: str) -> Refused | None:
        """Why the whole message is refused unread, if it is."""
        if gateway not in self._admitted:
            return Refused("unknown_gateway", f"gateway {gateway} is not registered")
        if len(message.payload) > MAX_PAYLOAD:
            return Refused("oversize", f"{len(message.payload)} bytes, at most {MAX_PAYLOAD}")
        if message.retained and not (message.topic.startswith(PREFIX) and message.topic.endswith("/status")):
            return Refused("retained", "telemetry must not be retained: it would return as new at every start")
        return None

    def _measured(
        self, index: int, message: Message, gateway: str, admitted: Admitted, item: Measured, batch: _Batch
    ) -> None:
        metrics = admitted.series.get(item.device)
        if metrics is None:
            detail = self._why_not(gateway, item.device)
            batch.rejects.append(_part(message, gateway, item, item.values, *detail))
            return
        at, flag = _time(item.t, message.stands_at)
        start = len(batch.series)
        for metric, value in item.values.items():
            number = metrics.get(metric)
            if number is None:
                detail = ("unknown_metric", f"{item.device} has no metric {metric}")
                batch.rejects.append(_part(message, gateway, item, {metric: value}, *detail))
                continue
            batch.series.append(number)
            batch.value.append(value)
        rows = len(batch.series) - start
        batch.at += [at] * rows
        batch.received_at += [message.received_at] * rows
        batch.quality += [flag] * rows
        batch.runs.append(_Run(index, gateway, item.device, start, start + rows))

    def _why_not(self, gateway: str, device: str) -> tuple[str, str]:
        index = self._registry.device_index.get(device)
        if index is None:
            return "unknown_device", f"device {device} is not registered"
        if self._registry.state[index] == "retired":
            return "retired_device", f"device {device} is retired"
        return "foreign_device", f"device {device} belongs to another gateway than {gateway}"

    def _other(self, message: Message, gateway: str, admitted: Admitted, item: Item, batch: _Batch) -> None:
        match item:
            case Status():
                now = message.received_at
                batch.events.append(Event("gateway", gateway, "status", now, now, {"online": item.online}))
            case Happened() | Reach() if item.device not in admitted.series:
                batch.rejects.append(_reject(message, gateway, Refused(*self._why_not(gateway, item.device))))
            case Happened():
                code = admitted.code(item.device)
                batch.events.append(self._event(code, item.type, item.t, item.attributes, message))
            case Reach():
                code = admitted.code(item.device)
                batch.events.append(self._event(code, "status", item.t, {"online": item.online}, message))
            case Refused():
                batch.rejects.append(_reject(message, gateway, item))
            case Answer():
                batch.answers.append(item)
            case Remember():
                durable = item.durable or (gateway in batch.memories and batch.memories[gateway].durable)
                batch.memories[gateway] = Remember(item.memory, durable)

    def _event(self, device: str, kind: str, t: float | None, attributes: dict[str, Any], message: Message) -> Event:
        received_at = message.received_at
        at, flag = _time(t, message.stands_at)
        times = np.array([at], np.int64), np.array([received_at], np.int64)
        if implausible(*times)[0]:
            at, flag = message.stands_at, int(Quality.TIME_REPLACED)
        starts, ends = self.outages.spans()
        own = np.maximum(0, np.minimum(ends, received_at) - np.maximum(starts, at)).sum()
        if received_at - at - own > _EVENT_LATE:
            flag |= int(Quality.AGED)
        return Event("device", device, kind, at, received_at, attributes, flag)

    def _block(self, messages: Sequence[Message], batch: _Batch) -> Block:
        block = Block.of(batch.series, batch.at, batch.received_at, batch.value, batch.quality)
        if not len(block):
            return block
        if not np.isfinite(block.value).all():
            block = self._without_infinite(messages, batch, block)
        strange = implausible(block.at, block.received_at)
        if strange.any():
            _replace_times(block, messages, batch.runs, strange)
        self._set_flags(block)
        return block

    def _set_flags(self, block: Block) -> None:
        starts, ends = self.outages.spans()
        registry = self._registry
        judge(
            block.series, block.at, block.received_at, block.value, block.quality, self._newest,
            registry.low, registry.high, registry.late, starts, ends,
        )  # fmt: skip

    def _without_infinite(self, messages: Sequence[Message], batch: _Batch, block: Block) -> Block:
        """Refuse values that are no numbers; a row that goes leaves the runs' places to those that stay."""
        keep = np.isfinite(block.value)
        for run in batch.runs:
            bad = np.flatnonzero(~keep[run.start : run.end]) + run.start
            for row in bad:
                series = int(block.series[row])
                metric = self._registry.metrics[self._registry.metric[series]]
                refused = Refused("not_finite", f"{run.device} {metric} is not a finite number", 1)
                batch.rejects.append(_reject(messages[run.message], run.gateway, refused))
        places = np.concatenate([[0], np.cumsum(keep)])
        batch.runs = [run._replace(start=int(places[run.start]), end=int(places[run.end])) for run in batch.runs]
        columns = (block.series, block.at, block.received_at, block.value, block.quality)
        return Block(*(column[keep] for column in columns))  # type: ignore[arg-type]

    def control(self, control: Control) -> None:
        """Follow what was journalled about the platform's own session."""
        match control:
            case Lost():
                self.outages.lost(control.at)
            case Connected():
                self.outages.connected(control.at)
            case Remembered(gateway, memory):
                self._recall(gateway, memory)

    def _recall(self, gateway: str, packed: bytes) -> None:
        """Take up a packed memory; one that its dialect no longer reads is forgotten, as after a change of format."""
        dialect = self.routes.dialects.get(gateway)
        if dialect is None:
            return
        try:
            self._memories[gateway] = dialect.unpack(packed)
        except ValueError as error:
            _log.warning("what was remembered of a gateway is forgotten", gateway=gateway, why=str(error))

    def replay(self, record: Record) -> None:
        """Take up what a journalled record taught, after a restart."""
        if record.kind is RecordKind.BLOCK:
            block = Block.from_bytes(record.payload)
            taken = (block.series < len(self._newest)) & (block.quality & int(Quality.DISORDERED) == 0)
            self._newest[block.series[taken]] = block.at[taken]  # of a series' rows the last one stands
        elif record.kind is RecordKind.TICK:
            self.ticked = record.time
        elif record.kind is RecordKind.CONTROL:
            self.control(decode_control(record.payload))

    def save(self, path: Path, offset: Offset) -> None:
        """Write the state as of `offset`."""
        outages = msgspec.to_builtins(self.outages)
        memories = {
            gateway: b64encode(self.routes.dialects[gateway].pack(memory)).decode()
            for gateway, memory in self._memories.items()
            if gateway in self.routes.dialects
        }
        meta = {
            "offset": list(offset),
            "registry": self._registry.id,
            "outages": outages,
            "ticked": self.ticked,
            "memories": memories,
        }
        snapshot.save(path, meta, {"newest": self._newest})

    def restore(self, path: Path) -> Offset | None:
        """Take up a saved state and return its offset; None when there is none of this registry, or a damaged one."""
        try:
            loaded = snapshot.load(path)
        except snapshot.SnapshotDamaged as damage:
            _log.warning("gate snapshot not used: starting from the oldest kept record", why=str(damage))
            return None
        if loaded is None or loaded[0]["registry"] != self._registry.id:
            return None
        meta, arrays = loaded
        kept = arrays["newest"][: len(self._newest)]
        self._newest[: len(kept)] = kept
        self.outages = msgspec.convert(meta["outages"], Outages)
        self.ticked = meta.get("ticked", 0)
        for gateway, packed in meta.get("memories", {}).items():
            self._recall(gateway, b64decode(packed))
        return Offset(*meta["offset"])


def unforeseen(message: Message, error: Exception) -> Judged:
    """What becomes of a message on which the gate itself failed: a dead letter, as any other that can't be read."""
    gateway = message.topic.removeprefix(PREFIX).split("/")[0]
    refused = Refused("internal_error", f"{type(error).__name__}: {error}")
    return Judged(Block.of([], [], [], []), [], [_reject(message, gateway, refused)])


def _time(t: float | None, received_at: int) -> tuple[int, int]:
    """The µs of a sender's milliseconds and the flag that says how they came about."""
    if t is None:
        return received_at, int(Quality.NO_TIME)
    if not -_LARGEST_TIME < t < _LARGEST_TIME:  # nanoseconds, infinity: implausible, to be replaced
        return EARLIEST - 1, 0
    return int(t * MILLISECOND), 0


def _replace_times(block: Block, messages: Sequence[Message], runs: list[_Run], strange: npt.NDArray[np.bool_]) -> None:
    """Shift the rows of each device and message that has an implausible time so that its newest is at receipt."""
    groups: dict[tuple[int, str], list[int]] = {}
    for run in runs:
        groups.setdefault((run.message, run.device), []).extend(range(run.start, run.end))
    rows, shifts = [], []
    for (message, _), members in groups.items():
        if not strange[members].any():
            continue
        shift = messages[message].stands_at - int(block.at[members].max())
        block.at[members] += shift
        block.quality[members] |= int(Quality.TIME_REPLACED)
        rows += members
        shifts += [shift] * len(members)
    block.shift_rows, block.shifts = np.array(rows, np.int32), np.array(shifts, np.int64)


def _part(message: Message, gateway: str, item: Measured, values: dict[str, Any], reason: str, detail: str) -> Reject:
    """The refused part of a message as a version 1 message of its own, so that it can be replayed after enrolment."""
    topic = f"{PREFIX}{gateway}/telemetry"
    if message.topic != topic:
        detail = f"{detail} (from {message.topic})"
    payload = telemetry([Measured(item.device, values, item.t)])
    return _reject(
        msgspec.structs.replace(message, topic=topic), gateway, Refused(reason, detail, len(values), payload)
    )


def _reject(message: Message, gateway: str, refused: Refused) -> Reject:
    payload = message.payload if refused.payload is None else refused.payload
    if refused.reason == "oversize":
        payload = payload[:_KEPT_OF_OVERSIZE]
    return Reject(
        message.topic, payload, message.stands_at, gateway, refused.reason, refused.detail, refused.readings,
        message.retained,
    )  # fmt: skip
