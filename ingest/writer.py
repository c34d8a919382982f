"""The store's consumer: blocks from the journal into the readings store, at its own pace.

What the store will never take becomes a dead letter: a reject in the journal, as a version 1 message of its gateway, so
that it can be sent again once the reason is gone.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import structlog

from core.clock import MILLISECOND, SECOND, Clock
from core.journal import Entry, Journal, JournalError, Offset, RecordKind
from core.metrics import Metrics
from ingest.follow import follow
from ingest.pipeline import published
from ingest.store import Appended, ReadingStore, Refused, StoreUnavailable
from ingest.words import Block, Reject, encode

REFUSED = "store_refused"
"""The reason of a reject that the readings store gave."""

_log = structlog.get_logger()
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # s


class StoreWriter:
    """Writes batches of `rows` readings or of what came in `linger` µs, and tries as long as the journal holds them."""

    consumer = "store"

    def __init__(
        self,
        journal: Journal,
        store: ReadingStore,
        clock: Clock,
        metrics: Metrics,
        rows: int = 10_000,
        linger: int = SECOND,
    ) -> None:
        self._journal, self._store, self._clock, self._metrics = journal, store, clock, metrics
        self._rows, self._linger = rows, linger
        self._batch: list[tuple[Offset, Block]] = []
        self._size = 0
        self._oldest = 0

    def run(self, ending: threading.Event) -> None:
        """Follow the journal from what the store has."""
        self._batch, self._size = [], 0
        for records in follow(self._journal, self._store.applied(), ending):
            for record in records:
                if record.kind is RecordKind.BLOCK:
                    self._take(record.offset, Block.from_bytes(record.payload))
                    if self._size >= self._rows and not self._write(ending):
                        return
            if self._batch and self._clock.now() - self._oldest >= self._linger:
                self._write(ending)
            elif not self._batch and records:
                self._journal.acknowledge(self.consumer, records[-1].offset)
        if self._batch:
            self._write(ending)

    def _take(self, offset: Offset, block: Block) -> None:
        if not self._batch:
            self._oldest = self._clock.now()
        self._batch.append((offset, block))
        self._size += len(block)

    def _write(self, ending: threading.Event) -> bool:
        """Write the batch, again and again while the store is away; False when we must end first.

        What was not written stays in the journal.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                appended = self._store.append(self._batch)
                break
            except StoreUnavailable as error:
                _log.warning("readings store unavailable", why=str(error), again_in_s=pause)
                if ending.wait(pause):
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE)
        if appended.refused and not self._tell(appended.refused, ending):
            return False
        self._count(appended)
        self._journal.acknowledge(self.consumer, self._batch[-1][0])
        self._batch, self._size = [], 0
        return True

    def _count(self, appended: Appended) -> None:
        self._metrics.stored.inc(appended.stored)
        self._metrics.duplicates.inc(appended.duplicate)
        now = self._clock.now()
        for _, block in self._batch:
            self._metrics.time_hop("store", published(block), now)

    def _tell(self, refused: Sequence[Refused], ending: threading.Event) -> bool:
        """Journal the dead letters as soon as the journal has room; False when we must end first."""
        rejects = list(rejects_of(refused))
        entries = [Entry(RecordKind.REJECT, encode(reject), reject.readings) for reject in rejects]
        while True:
            try:
                self._journal.append(entries, self._clock.now())
                break
            except JournalError as error:
                _log.warning("dead letters of the readings store can't be journalled", why=str(error))
                if ending.wait(_FIRST_PAUSE):
                    return False
        self._metrics.rejects.labels(REFUSED).inc(len(rejects))
        self._metrics.rejected_readings.inc(len(refused))
        return True


def rejects_of(refused: Iterable[Refused]) -> Iterator[Reject]:
    """What a device measured at one moment and was refused for one reason, as one message of its gateway."""
    for (gateway, device, at, reason), alike in groupby(sorted(refused, key=_message), _message):
        readings = list(alike)
        time = at / MILLISECOND if at % MILLISECOND else at // MILLISECOND
        payload = {"t": time, "values": {reading.metric: reading.value for reading in readings}}
        yield Reject(
            topic=f"sw/v1/{gateway}/{device}/telemetry",
            payload=json.dumps(payload).encode(),
            received_at=readings[0].received_at,
            gateway=gateway,
            reason=REFUSED,
            detail=reason,
            readings=len(readings),
        )


def _message(refused: Refused) -> tuple[str, str, int, str]:
    return refused.gateway, refused.device, refused.at, refused.reason
