"""From the inbox to the journal: judge a batch, commit it, and only then acknowledge it."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from core.clock import SECOND, Clock
from core.journal import START, Entry, Journal, JournalError, Offset, RecordKind
from core.metrics import Metrics
from ingest.admission import Admission
from ingest.batch import Judged
from ingest.floods import FloodReport
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures
from ingest.mqtt import Arrival, Inbox, Receipt
from ingest.refusals import unforeseen
from ingest.registry_reader import RegistryReader
from ingest.words import (
    Block,
    Connected,
    Control,
    Lost,
    Message,
    Quality,
    RegistryChanged,
    Reject,
    decode_control,
    encode,
)

TICK = SECOND
_BATCH = 2_000
_TRIES = 2  # as a whole, before each message goes alone
_LINGER = 0.004  # s; a batch worth a commit
_DEAF_AFTER = 10 * SECOND
_REFUSED_PAUSE = 1.0  # s
_SNAPSHOT_INTERVAL = 30 * SECOND
_REJECT_NOTES_PER_TICK = 5
_TIMED_QUALITIES = int(Quality.TIME_REPLACED | Quality.NO_TIME | Quality.AGED | Quality.DISORDERED)
_UNTOLD = ("unknown_gateway", "unknown_topic", "disabled_gateway")  # nobody is there to be told
_log = structlog.get_logger()


class Outlets(NamedTuple):
    """What the pipeline sets off, once it is on disk; each returns at once.

    `acknowledge` receipts, `publish` a payload under a topic, `subscribe` to other topic filters, `disable` a gateway
    for a reason.
    """

    acknowledge: Callable[[Sequence[Receipt]], None]
    publish: Callable[[str, bytes], None]
    subscribe: Callable[[Sequence[str]], None]
    disable: Callable[[str, str], None]


class Pipeline:
    """The one thread that writes readings: inbox → gate → journal → acknowledgement, with a tick a second between.

    When the journal is full or locked nothing is acknowledged
    and the batch is tried again: the broker holds the rest. Whatever kept the platform from listening (that, a sleep of
    the machine, a clock set forward) is journalled as a loss of the session. A batch on which anything failed is kept
    and done again; when it fails for the third time each message goes alone, and the one at fault is a dead letter.
    """

    consumer = "gate"

    def __init__(
        self,
        inbox: Inbox,
        gate: Gate,
        journal: Journal,
        clock: Clock,
        metrics: Metrics,
        state: Path,
        outlets: Outlets,
        reader: RegistryReader,
        figures: GatewayFigures,
    ) -> None:
        self._inbox, self._gate, self._journal, self._clock, self._metrics = inbox, gate, journal, clock, metrics
        self._state = state
        self._outlets, self._reader, self._figures = outlets, reader, figures
        self._ending = threading.Event()
        self._held: list[Arrival] = []
        self._tries = 0
        self._saved = 0
        self._notes: Counter[str] = Counter()
        self._seen = START

    def resume(self) -> None:
        """Take up the gate's state from its snapshot and the journal behind it.

        Journals that we heard nothing since the last tick: other records may be newer, written by others meanwhile.
        """
        self._gate.prepare()
        self._seen = self._gate.restore(self._state) or self._journal.tail()
        while records := self._journal.read(self._seen, 500):
            for record in records:
                self._gate.replay(record)
            self._seen = records[-1].offset
        now = self._clock.now()
        self._commit([Lost(self._gate.ticked or now)], [], now)

    def run(self, ending: threading.Event) -> None:
        """Until `ending`: take, judge, commit, acknowledge. Run again after a failure it goes on with what it held."""
        self._ending = ending
        self._tries = self._tries + 1 if self._held else 0
        while not ending.is_set():
            self.step()
            ending.wait(_LINGER)
        while self._held or len(self._inbox):
            self.step()
        self._save()

    def step(self) -> int:
        """One batch; how many arrivals it held."""
        arrivals = self._held = self._held or self._inbox.take(_BATCH, timeout=0.1)
        now = self._clock.now()
        if self._was_deaf(now):
            self._commit([Lost(self._gate.ticked), Connected(now)], [], now)
        for part in [[arrival] for arrival in arrivals] if self._tries >= _TRIES else _parts(arrivals):
            controls = [arrival.what for arrival in part if not isinstance(arrival.what, Message)]
            messages = [arrival.what for arrival in part if isinstance(arrival.what, Message)]
            self._commit(controls, messages, now)
            self._outlets.acknowledge([arrival.receipt for arrival in part if arrival.receipt])
            self._held = self._held[len(part) :]
        self._tries = 0
        if not arrivals and self._tick_due(now):
            self._commit([], [], now)
        if not 0 <= now - self._saved < _SNAPSHOT_INTERVAL:
            self._save()
            self._saved = now
        if admission := self._reader.taken():
            self._load(admission)
        return len(arrivals)

    def _tick_due(self, now: int) -> bool:
        """A second after the last tick; at once when the clock was set back."""
        return not 0 <= now - self._gate.ticked < TICK

    def _was_deaf(self, now: int) -> bool:
        """Whether nothing can have been heard for longer than the session's own loss would have told."""
        return now - self._gate.ticked > _DEAF_AFTER and not self._gate.outages.open_since

    def _commit(self, controls: Sequence[Control], messages: Sequence[Message], now: int) -> None:
        for control in controls:
            self._gate.control(control)
            self._metrics.broker_connected.set(isinstance(control, Connected))
        judged, its_entries = self._judged(messages)
        entries = _controls(controls) + its_entries
        report = None
        if self._tick_due(now):
            report = self._gate.tick(now)
            entries += [*_reports(report), Entry(RecordKind.TICK, b"")]
            self._gate.ticked = now
            self._notes.clear()
        self._append(entries)
        self._gate.settle(judged)
        for answer in judged.answers:
            self._outlets.publish(answer.topic, answer.payload)
        self._count(messages, judged)
        self._note(judged.rejects)
        if report:
            self._tell(report)

    def _judged(self, messages: Sequence[Message]) -> tuple[Judged, list[Entry]]:
        try:
            judged = self._gate.judge(messages)
            return judged, _controls(self._gate.remembered(judged)) + _entries(judged)
        except Exception as error:  # one message that nobody foresaw must not stop the town
            if self._tries < _TRIES:
                raise
            _log.exception("a message that the gate can't judge", topic=messages[0].topic)
            judged = unforeseen(messages[0], error)
            return judged, _entries(judged)

    def _append(self, entries: list[Entry]) -> None:
        """Append until it holds, following what other processes wrote in between (a changed registry)."""
        refused_at, listened = 0, not self._gate.outages.open_since
        while True:
            try:
                head = self._journal.append(entries, self._clock.now())
                break
            except JournalError as error:
                if self._ending.is_set():
                    raise
                _log.error("the journal takes no readings: nothing is acknowledged", why=str(error))
                refused_at = refused_at or self._clock.now()
                self._hold(refused_at)
        if head.n != self._seen.n + len(entries):
            self._follow(Offset(head.partition, head.n - len(entries)))
        self._seen = head
        if refused_at and listened:
            now = self._clock.now()
            self._commit([Connected(now)], [], now)

    def _hold(self, refused_at: int) -> None:
        """Wait, and let time go on for the detectors, who must know that nothing reaches them."""
        lost = Lost(refused_at)
        self._gate.control(lost)
        with suppress(JournalError):
            entries = [Entry(RecordKind.CONTROL, encode(lost)), Entry(RecordKind.TICK, b"")]
            self._journal.append(entries, self._clock.now())
            self._gate.ticked = self._clock.now()
        self._ending.wait(_REFUSED_PAUSE)

    def _follow(self, upto: Offset) -> None:
        """Read the records that others appended up to `upto`."""
        for record in self._journal.read(self._seen, upto.n - self._seen.n):
            if record.kind is RecordKind.CONTROL and isinstance(decode_control(record.payload), RegistryChanged):
                self._reader.ask()

    def _load(self, admission: Admission) -> None:
        """Take the newer registry, and hear whom it names."""
        self._gate.load(admission)
        self._metrics.registry_version.set(admission.registry.version)
        self._outlets.subscribe(admission.routes.subscriptions)
        for gateway, problem in admission.routes.problems.items():
            _log.error("a gateway's registration can't work", gateway=gateway, problem=problem)

    def _tell(self, report: FloodReport) -> None:
        """What a second of shedding comes to, now that it is on disk."""
        for level, messages in report.shed.items():
            self._metrics.shed_messages.labels(level).inc(messages)
        self._figures.tick(report.rejects, self._gate.clocks.offsets())
        self._note(report.rejects)
        for gateway, why in report.disable:
            self._outlets.disable(gateway, why)

    def _count(self, messages: Sequence[Message], judged: Judged) -> None:
        metrics, block = self._metrics, judged.block
        metrics.messages.inc(len(messages))
        metrics.readings.inc(len(block))
        metrics.events.inc(len(judged.events))
        self._figures.add(judged)
        if not len(block):
            return
        if judged.traffic and judged.traffic.qos0.any():
            metrics.readings_qos0.inc(int(judged.traffic.rows[judged.traffic.qos0].sum()))
        metrics.readings_at_least_once.inc(int((block.quality & int(Quality.NO_TIME) != 0).sum()))
        metrics.time_hop("journal", published(block), self._clock.now())

    def _note(self, rejects: Sequence[Reject]) -> None:
        """Tell each gateway what was refused, a few a second; the rest is in the dead letters."""
        for reject in rejects:
            self._metrics.rejects.labels(reject.reason).inc(reject.messages)
            self._metrics.rejected_readings.inc(reject.readings)
            self._notes[reject.gateway] += 1
            if reject.reason in _UNTOLD or self._notes[reject.gateway] > _REJECT_NOTES_PER_TICK:
                continue
            note = {"reason": reject.reason, "detail": reject.detail, "topic": reject.topic}
            self._outlets.publish(f"sw/v1/{reject.gateway}/rejects", msgspec.json.encode(note))

    def _save(self) -> None:
        self._gate.save(self._state, self._seen)
        self._journal.acknowledge(self.consumer, self._seen)


def _parts(arrivals: list[Arrival]) -> list[list[Arrival]]:
    """Arrivals cut so that controls come first in a part: a message is judged by the session it arrived in."""
    parts: list[list[Arrival]] = []
    for arrival in arrivals:
        if not parts or (not isinstance(arrival.what, Message) and isinstance(parts[-1][-1].what, Message)):
            parts.append([])
        parts[-1].append(arrival)
    return parts


def _controls(controls: Sequence[Control]) -> list[Entry]:
    return [Entry(RecordKind.CONTROL, encode(control)) for control in controls]


def _entries(judged: Judged) -> list[Entry]:
    entries = [Entry(RecordKind.REJECT, encode(reject), reject.readings) for reject in judged.rejects]
    if len(judged.block):
        entries.append(Entry(RecordKind.BLOCK, judged.block.to_bytes(), len(judged.block)))
    return entries + [Entry(RecordKind.EVENT, encode(event)) for event in judged.events]


def _reports(report: FloodReport) -> list[Entry]:
    rejects = [Entry(RecordKind.REJECT, encode(reject), reject.readings) for reject in report.rejects]
    return rejects + [Entry(RecordKind.EVENT, encode(event)) for event in report.events]


def published(block: Block) -> npt.NDArray[np.int64]:
    """When the readings of a block were published (µs), where their own time tells it."""
    live: npt.NDArray[np.bool_] = block.quality & _TIMED_QUALITIES == 0
    return block.at[live]
