"""Writes what happened to the readings store, behind the desk's back: a store that is down delays charts and no alert.

The position is moved after the points were kept. After a kill in between they are written again, which changes nothing.
"""

import threading

import structlog
from sqlalchemy import Engine, select

from alerts.changes import Change, changes_after
from alerts.event_points import points_of
from alerts.event_tables import change_reader
from alerts.one_writer import insert_or
from core.clock import SECOND, Clock
from core.database import reading, writing
from ingest.points import PointSink
from ingest.store import StoreUnavailable

_AT_ONCE = 1_000  # changes
_IDLE = 1.0  # s
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

_log = structlog.get_logger()


class EventWriter:
    """Follows the event table; one for a database."""

    name = "points"

    def __init__(self, engine: Engine, sink: PointSink, clock: Clock) -> None:
        self._engine, self._sink, self._clock = engine, sink, clock
        self._away_since = 0

    def run(self, ending: threading.Event) -> None:
        """Until `ending`: at once while changes wait, else once a second; a store that is away is tried ever less."""
        pause = _FIRST_PAUSE
        while not ending.is_set():
            try:
                wait = 0.0 if self.step() == _AT_ONCE else _IDLE
                self._back()
                pause = _FIRST_PAUSE
            except StoreUnavailable as error:
                self._away(error)
                wait, pause = pause, min(2 * pause, _LONGEST_PAUSE)
            ending.wait(wait)

    def step(self) -> int:
        """Write the next changes; how many there were. Raises StoreUnavailable, then nothing has moved.

        No transaction is open while the store is waited for.
        """
        with reading(self._engine) as connection:
            reached = connection.scalar(select(change_reader.c.last).where(change_reader.c.name == self.name)) or 0
            changes = changes_after(connection, reached, _AT_ONCE)
            points = points_of(connection, changes)
        if points:
            self._sink.put(points)
        if changes:
            self._reach(changes[-1])
        return len(changes)

    def _reach(self, last: Change) -> None:
        with writing(self._engine) as connection:
            row = insert_or(connection, change_reader).values(name=self.name, last=last.id)
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"last": last.id}))

    def _away(self, error: StoreUnavailable) -> None:
        if not self._away_since:
            self._away_since = self._clock.now()
            _log.warning("events wait for the readings store", why=str(error))

    def _back(self) -> None:
        if self._away_since:
            _log.info("events go on", after_s=(self._clock.now() - self._away_since) // SECOND)
            self._away_since = 0
