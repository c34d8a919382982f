"""Looks once a day, and after each judged ticket, whether false alarms or chattering speak for a change of a rule.

What chatters is looked at while it does: whoever hears it should have the proposal at hand.
"""

import threading
from collections.abc import Sequence

import numpy as np
import structlog
from sqlalchemy import Engine

from alerts.changes import last_change
from alerts.chatter_proposals import consider_chattering, has_chattered
from alerts.labels import newest_judgement
from alerts.proposal_evidence import Thought, consider
from alerts.proposal_rows import propose
from alerts.proposals import DEFAULT, ProposalSettings
from core.clock import DAY, MINUTE, Clock
from core.database import reading, writing
from detectors.rules import newest_version
from ingest.store import ReadingStore, StoreError

_log = structlog.get_logger()
_INTERVAL = 60.0  # s
_CHATTER_EVERY = 5 * MINUTE
_LONGEST = 7 * DAY
"""Of a longer episode only its first days are read."""


class Learning:
    """The worker of the process that owns the readings store, which knows how bad false alarms were."""

    def __init__(self, engine: Engine, store: ReadingStore, clock: Clock, settings: ProposalSettings = DEFAULT) -> None:
        self._engine, self._store, self._clock, self._settings = engine, store, clock, settings
        self._judged = self._change = -1
        self._next = self._next_chatter = 0

    def run(self, ending: threading.Event) -> None:
        """Look until `ending`."""
        while not ending.wait(_INTERVAL):
            self.step(self._clock.now())

    def step(self, now: int) -> int:
        """Look now if it is due; how many proposals were made. A store that is away is asked again a minute later."""
        judged = self._newest_judgement()
        if now < self._next and (judged == self._judged or self._judged < 0):
            return self._step_chattering(now)
        try:
            with reading(self._engine) as connection:
                thought = consider(connection, now, self._settings, self._readings)
                thought.proposals.extend(consider_chattering(connection, now))
        except StoreError as error:
            _log.warning("false alarms are looked at later", why=str(error))
            self._judged, self._change, self._next = -1, -1, now + MINUTE
            return 0
        self._judged, self._next = judged, now + DAY
        return self._propose(thought, now)

    def _step_chattering(self, now: int) -> int:
        if now < self._next_chatter:
            return 0
        self._next_chatter = now + _CHATTER_EVERY
        with reading(self._engine) as connection:
            if not has_chattered(connection, now - 2 * _CHATTER_EVERY):
                return 0
            thought = Thought(newest_version(connection) or 0, consider_chattering(connection, now))
        return self._propose(thought, now) if thought.proposals else 0

    def _propose(self, thought: Thought, now: int) -> int:
        with writing(self._engine) as connection:
            made, superseded = propose(connection, thought, now, self._settings)
        if made or superseded:
            _log.info("rules have proposals", made=made, superseded=superseded)
        return len(made)

    def _newest_judgement(self) -> int:
        """When a ticket was last judged; while nothing at all has happened since, it is not looked up again."""
        with reading(self._engine) as connection:
            change = last_change(connection)
            if change == self._change and change:
                return self._judged
            self._change = change
            return newest_judgement(connection)

    def _readings(self, series: int, since: int, until: int) -> tuple[Sequence[int], Sequence[float]]:
        found = self._store.rows(np.array([series], np.int32), since, min(until, since + _LONGEST))
        return found.at.tolist(), found.value.tolist()
