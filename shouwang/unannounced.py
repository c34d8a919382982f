"""Edits of rules that were committed but never announced: whoever made them died between the two."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from core.database import reading
from detectors.rules import newest_version
from detectors.sheets import announce
from ingest.words import RulesChanged

INTERVAL_S = 15.0
"""Seconds between two looks; what two looks in a row find is announced."""
_log = structlog.get_logger()


class Unannounced:
    """Journals the newest rules when detection goes on under older ones; `followed` tells which those are."""

    def __init__(self, engine: Engine, journal: Callable[[RulesChanged], object], followed: Callable[[], int]) -> None:
        self._engine, self._journal, self._followed = engine, journal, followed
        self._late = self._told = 0

    def run(self, ending: threading.Event) -> None:
        """Look until `ending`."""
        while not ending.wait(INTERVAL_S):
            self.step()

    def step(self) -> bool:
        """Look once; whether a version was announced. None is announced twice: detection may only be behind."""
        with reading(self._engine) as connection:
            newest = newest_version(connection) or 0
        late = newest if newest > self._followed() else 0
        due = late == self._late and late > self._told
        self._late = late
        if due:
            self._told = announce(self._engine, self._journal)
            _log.warning("an edit of the rules was never announced: announced now", version=self._told)
        return due
