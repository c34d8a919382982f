"""The safety consumer: records through the detector, detections into the alerts database, in one transaction."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerts.desk import applied_offset, apply_detections
from alerts.hushing import notices_off
from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import TownView, load_town_view
from core import snapshot
from core.clock import SECOND, Clock
from core.database import reading, writing
from core.journal import Journal, Offset, Record
from core.metrics import Metrics
from detectors.rules import RuleSet, UnknownRules, load_version, newest_version
from detectors.safety import SafetyDetector, SnapshotRefused
from detectors.words import Change, Detection, Found
from devices.registry import Registry, RegistryError
from ingest.applied import write_applied
from ingest.follow import follow

_SNAPSHOT_INTERVAL = 30 * SECOND
_TRIES = 3
_AT_ONCE = 64
"""Detections a transaction: in a storm the senders of what is committed wait no longer than these take."""
_log = structlog.get_logger()


class SafetyWatch:
    """Owns the detector and the alert transaction of the consumer "safety".

    After a restart the detector goes on from its snapshot and the journal behind it; detections that the database
    already knows are dropped by their offset, so that none is lost and none counts twice. `reached` is the time (µs)
    of the last record that went through. Nobody is told of what records up to the offset `quiet_upto` bring: they are
    from before the platform was restored.
    """

    consumer = "safety"

    def __init__(
        self,
        journal: Journal,
        engine: Engine,
        clock: Clock,
        metrics: Metrics,
        state: Path,
        load_registry: Callable[[], Registry],
        desk: DeskSettings = DEFAULTS,
        quiet_upto: int = 0,
    ) -> None:
        self._journal, self._engine, self._clock, self._metrics = journal, engine, clock, metrics
        self._state = state
        self._read_registry = load_registry
        self._desk = desk
        self._quiet_upto = Offset(0, quiet_upto)
        self._town: TownView | None = None
        self._registry: Registry | None = None
        self._failures: Counter[Offset] = Counter()
        self.rules = RuleSet(0)
        self.reached = 0

    def run(self, ending: threading.Event) -> None:
        """Follow the journal from the snapshot."""
        detector, place = self._resume()
        saved = self._clock.now()
        for records in follow(self._journal, place, ending, limit=200):
            if records:
                self._take(detector, records)
                place, self.reached = records[-1].offset, records[-1].time
            if not 0 <= self._clock.now() - saved < _SNAPSHOT_INTERVAL:
                self._save(detector, place)
                saved = self._clock.now()
        self._save(detector, place)

    def town(self) -> TownView:
        """The town as it stands; read again when the registry changed."""
        if self._town is None:
            with reading(self._engine) as connection:
                self._town = load_town_view(connection)
        return self._town

    def _resume(self) -> tuple[SafetyDetector, Offset]:
        head = self._journal.head()
        with reading(self._engine) as connection:
            self.rules = load_version(connection, newest_version(connection) or 0)
            applied = applied_offset(connection, self.consumer)
        detector = self._restored(min(applied, head))
        if max(applied, detector.offset) > head:
            return detector, self._begin_journal(applied, head)
        return detector, max(detector.offset, self._journal.tail())

    def _restored(self, applied: Offset) -> SafetyDetector:
        """A detector that goes on from the snapshot, or one that knows nothing where there is none to be trusted."""
        detector = SafetyDetector(self._load_registry(), self.rules, self._load_rules, self._load_registry)
        try:
            if kept := snapshot.load(self._state):
                detector.restore(*kept, owed_after=applied)
        except (snapshot.SnapshotDamaged, SnapshotRefused) as refusal:
            _log.warning("detector snapshot not used: starting from the oldest kept record", why=str(refusal))
            return SafetyDetector(self._load_registry(), self.rules, self._load_rules, self._load_registry)
        return detector

    def _begin_journal(self, applied: Offset, head: Offset) -> Offset:
        """Begin with a journal that ends before what was applied: it is another one, whose offsets are new."""
        tail = self._journal.tail()
        _log.warning("another journal: reading it from its oldest record", applied=applied.n, head=head.n)
        with writing(self._engine) as connection:
            write_applied(connection, self.consumer, tail)
        return tail

    def _load_rules(self, version: int) -> RuleSet:
        """The rules of a version; the present ones where a restored database does not know it."""
        try:
            with reading(self._engine) as connection:
                self.rules = load_version(connection, version)
        except UnknownRules as unknown:
            _log.error("going on with the present rules", why=str(unknown), present=self.rules.version)
        return self.rules

    def _load_registry(self) -> Registry:
        """The registry now; the last one that could be read where this one has devices of an unknown type."""
        self._town = None
        try:
            self._registry = self._read_registry()
        except RegistryError as error:
            if self._registry is None:
                raise
            _log.error("going on with the registry as it was", why=str(error))
        return self._registry

    def _take(self, detector: SafetyDetector, records: list[Record]) -> None:
        found = [
            Found(record.offset, record.time, detection)
            for record in records
            for detection in self._judged(detector, record)
        ]
        if records[0].offset <= self._quiet_upto < records[-1].offset:  # the batch is half and half
            early = [each for each in found if each.offset <= self._quiet_upto]
            for part, upto in _parts(early, self._quiet_upto):
                self._apply(part, upto)
            found = found[len(early) :]
        for part, upto in _parts(found, records[-1].offset):
            self._apply(part, upto)

    def _apply(self, found: Sequence[Found], upto: Offset) -> None:
        town = self.town()
        with writing(self._engine) as connection:
            now = self._clock.now()
            with notices_off(connection, now) if upto <= self._quiet_upto else nullcontext():
                apply_detections(connection, town, self.rules, self.consumer, found, upto, now, self._desk)
        committed = self._clock.now()
        for item in found:
            self._metrics.detections.labels(item.detection.change.name.lower()).inc()
        fresh = [f.detection.at for f in found if f.detection.change is Change.OPENED and not f.detection.age]
        for hop in ("alert", "ticket"):
            self._metrics.time_hop(hop, fresh, committed)

    def _judged(self, detector: SafetyDetector, record: Record) -> list[Detection]:
        """What the detector says of a record; nothing, when it fails on the same one for the third time.

        One record that nobody foresaw must not silence the town; what fails because of the database is not its fault.
        """
        try:
            return detector.apply(record)
        except (SQLAlchemyError, RegistryError):
            raise
        except Exception:
            self._failures[record.offset] += 1
            if self._failures[record.offset] < _TRIES:
                raise
            self._metrics.records_skipped.inc()
            _log.exception("a record that the detector can't judge is left out", offset=record.offset.n)
            return []

    def _save(self, detector: SafetyDetector, place: Offset) -> None:
        if detector.owes:
            return
        self._note(place)
        snapshot.save(self._state, *detector.snapshot())
        self._journal.acknowledge(self.consumer, place)

    def _note(self, place: Offset) -> None:
        """Let the database say how far it is also while nothing is found: other processes see by it that it goes on."""
        try:
            with writing(self._engine) as connection:
                if applied_offset(connection, self.consumer) < place:
                    write_applied(connection, self.consumer, place)
        except SQLAlchemyError as error:
            _log.warning("not noted how far detection is", why=type(error).__name__)


def _parts(found: Sequence[Found], upto: Offset) -> Iterator[tuple[Sequence[Found], Offset]]:
    """What was found in parts that end with a record, each with the offset that it reaches; the last reaches `upto`."""
    start = 0
    for place in range(_AT_ONCE, len(found)):
        if place - start >= _AT_ONCE and found[place].offset != found[place - 1].offset:
            yield found[start:place], found[place - 1].offset
            start = place
    if found:
        yield found[start:], upto
