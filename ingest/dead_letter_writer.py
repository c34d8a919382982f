"""The dead letters' consumer, and the way back: letters that were asked for go through the gate again."""

import threading
from collections import deque
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, select, update

from core.clock import SECOND, Clock
from core.database import reading, writing
from core.journal import Journal, RecordKind
from ingest.applied import read_applied
from ingest.dead_letters import CONSUMER, CUT, keep, mark_replayed
from ingest.follow import follow
from ingest.mqtt import Arrival, Inbox, Receipt
from ingest.tables import dead_letter
from ingest.words import Message, decode_reject

REPLAY = -1
"""The connection number of a receipt that stands for a dead letter; its id is the letter's."""
_PAGE = 500
_LOOK = 1.0  # s
_SETTLE = 2 * SECOND
"""What is asked for waits so long, so that the gate has followed an enrolment just before."""
_ACKNOWLEDGE_EVERY = 5 * SECOND


class DeadLetterWriter:
    """Follows the journal and keeps its rejects in the database."""

    consumer = CONSUMER

    def __init__(self, journal: Journal, engine: Engine, clock: Clock) -> None:
        self._journal, self._engine, self._clock = journal, engine, clock

    def run(self, ending: threading.Event) -> None:
        """Follow from what was acknowledged: behind the applied offset there were no rejects up to there."""
        with reading(self._engine) as connection:
            place = max(read_applied(connection, self.consumer), self._journal.acknowledged(self.consumer))
        next_acknowledge = 0
        for records in follow(self._journal, place, ending):
            rejects = [(r.offset, decode_reject(r.payload)) for r in records if r.kind is RecordKind.REJECT]
            if rejects:
                with writing(self._engine) as connection:
                    keep(connection, rejects, records[-1].offset)
            if records and (rejects or self._clock.now() >= next_acknowledge):
                self._journal.acknowledge(self.consumer, records[-1].offset)
                next_acknowledge = self._clock.now() + _ACKNOWLEDGE_EVERY


def ask_for_replay(connection: Connection, letters: Iterable[int], now: int) -> int:
    """Mark letters to be replayed by the process that ingests; how many. One that was cut can't be."""
    asked = 0
    for letter in letters:
        wanted = update(dead_letter).where(dead_letter.c.id == letter, dead_letter.c.reason.not_in(CUT))
        asked += connection.execute(wanted.values(replay_asked_at=now, replayed_at=None)).rowcount
    return asked


class Replays:
    """Puts asked-for letters into the inbox in the order of their arrival, as late as they are by now."""

    def __init__(self, engine: Engine, inbox: Inbox, clock: Clock) -> None:
        self._engine, self._inbox, self._clock = engine, inbox, clock
        self._under_way: dict[int, int] = {}  # each with when it was asked for
        self._done: deque[int] = deque()

    def run(self, ending: threading.Event) -> None:
        """Look for letters once a second; a replay that a kill cut short is done again, which changes nothing."""
        while not ending.wait(_LOOK):
            self.step()
        self._mark()

    def acknowledge(self, receipts: Iterable[Receipt]) -> None:
        """Take note of the letters among these receipts: what became of them is in the journal. Returns at once."""
        self._done.extend(receipt.mid for receipt in receipts if receipt.connection == REPLAY)

    def step(self) -> None:
        """Mark letters that were journalled, then feed others."""
        self._mark()
        if not self._under_way:
            self._feed()

    def _mark(self) -> None:
        """Mark what went round; one that was asked for again since it was fed goes again."""
        letters = list(self._done)
        if not letters:
            return
        columns = dead_letter.c
        known = select(columns.id, columns.replay_asked_at).where(columns.id.in_(letters))
        with writing(self._engine) as connection:
            rows = connection.execute(known).all()
            still = [row.id for row in rows if row.replay_asked_at == self._under_way.get(row.id)]
            mark_replayed(connection, still, self._clock.now())
        for letter in letters:
            self._done.popleft()
            self._under_way.pop(letter, None)

    def _feed(self) -> None:
        columns = dead_letter.c
        asked = select(
            columns.id, columns.topic, columns.payload, columns.received_at, columns.retained, columns.replay_asked_at
        )
        now = self._clock.now()
        settled = ~columns.replay_asked_at.between(now - _SETTLE, now)
        due = asked.where(columns.replay_asked_at.is_not(None), columns.replayed_at.is_(None), settled)
        with reading(self._engine) as connection:
            rows = connection.execute(due.order_by(columns.journal_n).limit(_PAGE)).all()
        self._under_way.update((row.id, row.replay_asked_at) for row in rows)
        for row in rows:
            message = Message(row.topic, bytes(row.payload), now, row.retained, replayed_from=row.received_at)
            self._inbox.put(Arrival(message, Receipt(REPLAY, row.id, 0)))
