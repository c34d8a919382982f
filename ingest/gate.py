"""The gate: every message becomes readings, events or named rejects; each reading's quality is judged here, once."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from core import snapshot
from core.clock import MILLISECOND
from core.journal import Offset, Record, RecordKind
from devices.registry import Registry
from ingest.admission import Admission, Admitted
from ingest.batch import Batch, Judged, Run, Traffic, deltas_of
from ingest.clocks import CLOCK, Clocks, clock_event
from ingest.floods import BURST, FLOODING, FLOOR, UNREGISTERED, FloodReport, Floods, Passage
from ingest.formats.items import Answer, Happened, Item, Measured, Reach, Refused, Remember, Status
from ingest.formats.refusals import few
from ingest.lateness import EARLIEST, Outages, age_of, implausible, judge
from ingest.refusals import bounded, part, reject, stranger, whole_refusal
from ingest.words import (
    Block,
    Connected,
    Control,
    Event,
    Lost,
    Message,
    Quality,
    Remembered,
    decode_control,
    decode_event,
)

DEEPEST = 32
"""Levels of arrays and objects in an event's attributes."""
_LARGEST_TIME = 2**52  # ms; beyond it a time is nonsense and would overflow
_EVENT_LATE = 600_000_000
_TIMELESS = int(Quality.NO_TIME | Quality.TIME_REPLACED)
_ALL_RIGHT = np.empty(0, np.int64)
_log = structlog.get_logger()


class Gate:
    """Admits messages of the registered town. One thread's own; it knows each series' newest time and the outages.

    `ticked` is the time of the last tick (µs, 0 before the first): until then the platform certainly listened. `beat`
    is the time of the canary's newest reading that is journalled.
    """

    def __init__(self, registry: Registry, floor: float = FLOOR, burst: float = BURST) -> None:
        """`floor` and `burst` are how many messages every gateway may send a second for good, and at once."""
        self.outages = Outages()
        self.clocks = Clocks()
        self._floods = Floods()
        self._floor, self._burst = floor, burst
        self.ticked = 0
        self.beat = 0
        self._newest: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._memories: dict[str, Any] = {}
        admission = self.admission(registry)
        self.routes = admission.routes
        self.load(admission)

    def admission(self, registry: Registry) -> Admission:
        """What `load` takes of a registry; in whatever thread, as it may take a second."""
        return Admission.of(registry, self._floor, self._burst)

    def load(self, admission: Admission) -> None:
        """Take a newer registry; what is known of series and gateways stays."""
        registry, routes, self._admitted, limits = admission
        self._registry = registry
        newest = np.zeros(len(registry.device), np.int64)
        newest[: len(self._newest)] = self._newest
        self._newest = newest
        self._memories = {
            gateway: memory for gateway, memory in self._memories.items() if routes.speaks_as(self.routes, gateway)
        }
        self.routes = routes
        self.clocks.load(registry.gateway_codes)
        self._floods.load(limits, frozenset(code for code, row in registry.gateways.items() if row.disabled_at))

    def prepare(self) -> None:
        """Compile the kernel, so that the first message does not wait for it."""
        self._set_flags(Block.of([], [], [], []))

    def judge(self, messages: Sequence[Message]) -> Judged:
        """Decode and judge a batch in order of arrival."""
        batch = Batch()
        for index, message in enumerate(messages):
            self._admit(index, message, batch)
        block = self._block(messages, batch)
        traffic = batch.traffic(messages, len(block), self._registry.gateway_codes)
        if len(block):
            self._follow_clocks(traffic, block, batch)
            self._set_flags(block)
        return Judged(block, batch.events, batch.rejects, batch.answers, batch.memories, traffic)

    def tick(self, now: int) -> FloodReport:
        """What is told once a second of the gateways that send too much."""
        return self._floods.tick(now)

    def settle(self, judged: Judged) -> None:
        """Take up what the dialects remember of a batch that is journalled, and how far the canary came."""
        if self._registry.canary >= 0 and len(judged.block):
            beats = judged.block.at[judged.block.series == self._registry.canary]
            self.beat = int(beats[-1]) if len(beats) else self.beat
        for gateway, remember in judged.memories.items():
            self._memories[gateway] = remember.memory

    def remembered(self, judged: Judged) -> list[Remembered]:
        """The memories of a batch that must be journalled with it."""
        durable = ((gateway, kept.memory) for gateway, kept in judged.memories.items() if kept.durable)
        return [Remembered(gateway, self.routes.dialects[gateway].pack(memory)) for gateway, memory in durable]

    def _admit(self, index: int, message: Message, batch: Batch) -> None:
        batch.starts.append(len(batch.series))
        route = self.routes.find(message.topic)
        admitted = self._admitted.get(route.gateway) if route else None
        gateway = route.gateway if route and admitted else UNREGISTERED
        passage = Passage.OPEN
        if not message.replayed_from:
            credit = self._floods.credit
            left = credit[gateway] - 1 - (len(message.payload) >> 10)  # cost_of, without the call
            if left >= 0:
                credit[gateway] = left
            else:
                passage = self._floods.passage(gateway, message)
        if passage is Passage.SHUT or message.replayed_from or not admitted:
            batch.senders.append(-1)
        else:
            batch.senders.append(admitted.place)
        if passage is Passage.SHUT:
            return
        if route is None or admitted is None:
            batch.rejects.append(stranger(message, route.gateway if route else None))
        elif refusal := whole_refusal(message, route.dialect):
            batch.rejects.append(reject(message, gateway, refusal))
        else:
            items: Iterable[Item] = route.dialect.decode(message, self._memory(gateway, batch))
            if passage is Passage.LIFE_ONLY:
                items = self._life_only(gateway, admitted, items)
            self._take(index, message, gateway, admitted, items, batch)

    def _take(
        self, index: int, message: Message, gateway: str, admitted: Admitted, items: Iterable[Item], batch: Batch
    ) -> None:
        first = len(batch.rejects)
        for item in items:
            if type(item) is Measured:
                self._measured(index, message, gateway, admitted, item, batch)
            else:
                self._other(message, gateway, admitted, item, batch)
        if len(batch.rejects) > first + 1:
            batch.rejects[first:] = bounded(message, gateway, batch.rejects[first:])

    def _life_only(self, gateway: str, admitted: Admitted, items: Iterable[Item]) -> Iterator[Item]:
        """What is heard of a gateway that floods: its life-safety devices, and itself."""
        for item in items:
            if not isinstance(item, Measured | Happened | Reach) or item.device in admitted.life:
                yield item
            else:
                self._floods.unheard(gateway, len(item.values) if isinstance(item, Measured) else 0)

    def _memory(self, gateway: str, batch: Batch) -> Any:
        """What the gateway's last message before this one left to be remembered."""
        if gateway in batch.memories:
            return batch.memories[gateway].memory
        return self._memories.get(gateway)

    def _measured(
        self, index: int, message: Message, gateway: str, admitted: Admitted, item: Measured, batch: Batch
    ) -> None:
        metrics = admitted.series.get(item.device)
        if metrics is None:
            detail = self._why_not(gateway, item.device)
            batch.rejects.append(part(message, gateway, item, item.values, *detail))
            return
        at, flag = _time(item.t, message.stands_at)
        start = len(batch.series)
        for metric, value in item.values.items():
            number = metrics.get(metric)
            if number is None:
                detail = ("unknown_metric", f"{item.device} has no metric {metric}")
                batch.rejects.append(part(message, gateway, item, {metric: value}, *detail))
                continue
            batch.series.append(number)
            batch.value.append(value)
        rows = len(batch.series) - start
        batch.at += [at] * rows
        batch.received_at += [message.received_at] * rows
        batch.quality += [flag] * rows
        batch.runs.append(Run(index, gateway, item.device, start, start + rows))

    def _why_not(self, gateway: str, device: str) -> tuple[str, str]:
        index = self._registry.device_index.get(device)
        if index is None:
            return "unknown_device", f"device {device} is not registered"
        if self._registry.state[index] == "retired":
            return "retired_device", f"device {device} is retired"
        return "foreign_device", f"device {device} belongs to another gateway than {gateway}"

    def _other(self, message: Message, gateway: str, admitted: Admitted, item: Item, batch: Batch) -> None:
        match item:
            case Status():
                now = message.received_at
                batch.events.append(Event("gateway", gateway, "status", now, now, {"online": item.online}))
            case Happened() | Reach() if item.device not in admitted.series:
                batch.rejects.append(reject(message, gateway, Refused(*self._why_not(gateway, item.device))))
            case Happened() if _deeper(item.attributes, DEEPEST):
                refused = Refused("too_deep", f"attributes nested deeper than {DEEPEST} levels")
                batch.rejects.append(reject(message, gateway, refused))
            case Happened():
                batch.events.append(self._event(admitted, item.device, item.type, item.t, item.attributes, message))
            case Reach():
                online = {"online": item.online}
                batch.events.append(self._event(admitted, item.device, "status", item.t, online, message))
            case Refused():
                batch.rejects.append(reject(message, gateway, item))
            case Answer():
                batch.answers.append(item)
            case Remember():
                durable = item.durable or (gateway in batch.memories and batch.memories[gateway].durable)
                batch.memories[gateway] = Remember(item.memory, durable)

    def _event(
        self, admitted: Admitted, device: str, kind: str, t: float | None, attributes: dict[str, Any], message: Message
    ) -> Event:
        received_at = message.received_at
        at, flag = _time(t, message.stands_at)
        times = np.array([at], np.int64), np.array([received_at], np.int64)
        if implausible(*times)[0]:
            at, flag = message.stands_at, int(Quality.TIME_REPLACED)
        clock = 0 if flag else int(self.clocks.correction[admitted.place])
        if not flag and self.clocks.off[admitted.place]:
            flag |= int(Quality.CLOCK_OFF)
        if age_of(at, received_at, self.outages, clock) > _EVENT_LATE:
            flag |= int(Quality.AGED)
        return Event("device", admitted.code(device), kind, at, received_at, attributes, flag)

    def _block(self, messages: Sequence[Message], batch: Batch) -> Block:
        block = batch.block()
        if not len(block):
            return block
        finite = np.isfinite(block.value)
        if not finite.all():
            self._refuse_infinite(messages, batch, block, finite)
            block = batch.keep(block, finite)
        strange = implausible(block.at, block.received_at)
        if strange.any():
            batch.replace_times(block, messages, strange)
        return block

    def _follow_clocks(self, traffic: Traffic, block: Block, batch: Batch) -> None:
        deltas = deltas_of(traffic, block)
        if not len(deltas.delta):
            return
        now = int(deltas.received_at[-1])
        batch.events += [clock_event(change, now) for change in self.clocks.observe(*deltas)]

    def _set_flags(self, block: Block) -> None:
        starts, ends = self.outages.spans()
        registry = self._registry
        judge(
            block.series, block.at, block.received_at, block.value, block.quality, self._newest,
            registry.low, registry.high, registry.late, starts, ends, self._clock_of_rows(block),
        )  # fmt: skip

    def _clock_of_rows(self, block: Block) -> npt.NDArray[np.int64]:
        """How far each row's clock is behind, µs; empty while all clocks are right. Flags those that are off."""
        if not self.clocks.correcting:
            return _ALL_RIGHT
        gateway = self._registry.gateway[self._registry.device[block.series]]
        own = block.quality & _TIMELESS == 0
        block.quality[own & self.clocks.off[gateway]] |= int(Quality.CLOCK_OFF)
        return np.where(own, self.clocks.correction[gateway], 0)

    def _refuse_infinite(
        self, messages: Sequence[Message], batch: Batch, block: Block, finite: npt.NDArray[np.bool_]
    ) -> None:
        """Refuse values that are no numbers, those of a message together."""
        told: dict[tuple[int, str], list[str]] = {}
        for run in batch.runs:
            for row in np.flatnonzero(~finite[run.start : run.end]) + run.start:
                metric = self._registry.metrics[self._registry.metric[int(block.series[row])]]
                told.setdefault((run.message, run.gateway), []).append(f"{run.device} {metric}")
        for (message, gateway), names in told.items():
            refused = Refused("not_finite", f"{few(names)}: not a finite number", len(names))
            batch.rejects.append(reject(messages[message], gateway, refused))

    def control(self, control: Control) -> None:
        """Follow what was journalled about the platform's own session."""
        match control:
            case Lost():
                self.outages.lost(control.at)
            case Connected():
                self._floods.away(self.outages.length(control.at))
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
        elif record.kind is RecordKind.EVENT:
            self._recall_event(decode_event(record.payload))

    def _recall_event(self, event: Event) -> None:
        """Take up what was said of a gateway, so that its end is said too."""
        if event.kind != "gateway" or event.id not in self._admitted or "active" not in event.attributes:
            return
        active, value = event.attributes["active"], event.attributes["value"]
        if event.type == CLOCK:
            self.clocks.said(event.id, active, value)
        elif event.type == FLOODING:
            self._floods.said(event.id, active, event.at)

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
            "clocks": self.clocks.state(),
            "floods": self._floods.told(),
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
        self.clocks.restore(meta.get("clocks", {}))
        for gateway, last in meta.get("floods", {}).items():
            self._floods.said(gateway, active=True, at=last)
        return Offset(*meta["offset"])


def _deeper(value: object, levels: int) -> bool:
    """Whether arrays and objects nest deeper than `levels`."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels <= 0 or any(_deeper(part, levels - 1) for part in inner)


def _time(t: float | None, received_at: int) -> tuple[int, int]:
    """The µs of a sender's milliseconds and the flag that says how they came about."""
    if t is None:
        return received_at, int(Quality.NO_TIME)
    if not -_LARGEST_TIME < t < _LARGEST_TIME:  # nanoseconds, infinity: implausible, to be replaced
        return EARLIEST - 1, 0
    return int(t * MILLISECOND), 0
