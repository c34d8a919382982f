"""The safety consumer: records through the detector, detections into the alerts database, in one transaction."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import Engine

from alerts.desk import apply_detections
from alerts.town_view import TownView, load_town_view
from core import snapshot
from core.clock import SECOND, Clock
from core.database import reading, writing
from core.journal import Journal, Offset, Record
from core.metrics import Metrics
from detectors.rules import RuleSet, load_version, newest_version
from detectors.safety import SafetyDetector, SnapshotRefused
from detectors.words import Change, Found
from devices.registry import Registry
from ingest.follow import follow

_SNAPSHOT_INTERVAL = 30 * SECOND
_log = structlog.get_logger()


class SafetyWatch:
    """Owns the detector and the alert transaction of the consumer "safety".

    After a restart the detector goes on from its snapshot and the journal behind it; detections that the database
    already knows are dropped by their offset, so that none is lost and none counts twice. `reached` is the time (µs)
    of the last record that went through.
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
    ) -> None:
        self._journal, self._engine, self._clock, self._metrics = journal, engine, clock, metrics
        self._state = state
        self._read_registry = load_registry
        self._town: TownView | None = None
        self.rules = RuleSet(0)
        self.reached = 0

    def run(self, ending: threading.Event) -> None:
        """Follow the journal from the snapshot."""
        detector, place = self._resume()
        next_save = self._clock.now() + _SNAPSHOT_INTERVAL
        for records in follow(self._journal, place, ending, limit=200):
            if records:
                self._take(detector, records)
                place, self.reached = records[-1].offset, records[-1].time
            if self._clock.now() >= next_save:
                self._save(detector, place)
                next_save = self._clock.now() + _SNAPSHOT_INTERVAL
        self._save(detector, place)

    def town(self) -> TownView:
        """The town as it stands; read again when the registry changed."""
        if self._town is None:
            with reading(self._engine) as connection:
                self._town = load_town_view(connection)
        return self._town

    def _resume(self) -> tuple[SafetyDetector, Offset]:
        with reading(self._engine) as connection:
            self.rules = load_version(connection, newest_version(connection) or 0)
        detector = SafetyDetector(self._read_registry(), self.rules, self._load_rules, self._load_registry)
        place = self._journal.tail()
        kept = snapshot.load(self._state)
        if kept is None:
            return detector, place
        try:
            detector.restore(*kept)
        except SnapshotRefused as refusal:
            _log.warning("detector snapshot not used: starting from the oldest kept record", why=str(refusal))
            return SafetyDetector(self._read_registry(), self.rules, self._load_rules, self._load_registry), place
        return detector, detector.offset

    def _load_rules(self, version: int) -> RuleSet:
        with reading(self._engine) as connection:
            self.rules = load_version(connection, version)
        return self.rules

    def _load_registry(self) -> Registry:
        self._town = None
        return self._read_registry()

    def _take(self, detector: SafetyDetector, records: list[Record]) -> None:
        found = [
            Found(record.offset, record.time, detection) for record in records for detection in detector.apply(record)
        ]
        if not found:
            return
        upto, town = records[-1].offset, self.town()
        with writing(self._engine) as connection:
            apply_detections(connection, town, self.rules, self.consumer, found, upto, self._clock.now())
        committed = self._clock.now()
        for item in found:
            self._metrics.detections.labels(item.detection.change.name.lower()).inc()
        fresh = [f.detection.at for f in found if f.detection.change is Change.OPENED and not f.detection.age]
        for hop in ("alert", "ticket"):
            self._metrics.time_hop(hop, fresh, committed)

    def _save(self, detector: SafetyDetector, place: Offset) -> None:
        snapshot.save(self._state, *detector.snapshot())
        self._journal.acknowledge(self.consumer, place)
