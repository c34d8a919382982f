"""Sends notices: claims one, makes one request, records what became of it; settles what is uncertain."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, or_, select, update

from alerts.channels import AskableChannel, Channel, Outcome
from alerts.claims import Claim, claim, outgoing_notice, pick, record, take_over
from alerts.notices import change_state, escalate_unproven, expire, moot, tell
from alerts.owners import Owner
from alerts.retries import Settlement, Uncertain, backoff, decide_uncertain
from alerts.tables import notice
from alerts.words import Row
from core.clock import SECOND, Clock
from core.database import reading, writing

RECOVER_EVERY = 15 * SECOND


class _Result(NamedTuple):
    claim: Claim
    outcome: Outcome
    at: int


class Sender:
    """One worker for some channels; run each in its own thread or process.

    It never has more than one request under way, so a kill leaves at most one uncertain notice. Several may share a
    database. A result that the database does not take is kept and recorded first at the next step.
    """

    def __init__(self, engine: Engine, channels: Iterable[Channel], clock: Clock, owner: Owner) -> None:
        self._engine = engine
        self._channels = {channel.name: channel for channel in channels}
        self._clock = clock
        self._owner = owner
        self._result: _Result | None = None
        self._recovered_at: int | None = None

    def step(self, now: int) -> int:
        """Do what is due at `now` and send one notice at most; how many requests were made (0 or 1).

        The first step, and one every 15 s, also recovers. Raises SQLAlchemyError while the database does not answer;
        call again.
        """
        self._record()
        if self._recovered_at is None or now - self._recovered_at >= RECOVER_EVERY:
            self.recover(now)
        self._settle(now)
        self._expire(now)
        taken = self._claim(now)
        if taken is None:
            return 0
        outcome = self._channels[taken.row["channel"]].send(taken.outgoing)
        self._result = _Result(taken, outcome, self._clock.now())
        self._record()
        return 1

    def recover(self, now: int, alive_owners: Collection[str] = ()) -> int:
        """Take over what senders that are gone had in hand, as uncertain; how many notices that were.

        `alive_owners` (as text) are known to live and keep theirs, however long ago they claimed it.
        """
        keep = self._result.claim.attempt if self._result else None
        with writing(self._engine) as connection:
            found = take_over(connection, self._channels, self._owner, now, alive=alive_owners, keep=keep)
        self._recovered_at = now
        return len(found)

    def _record(self) -> None:
        if self._result is None:
            return
        with writing(self._engine) as connection:
            record(connection, self._result.claim, self._result.outcome, self._result.at)
        self._result = None

    def _expire(self, now: int) -> None:
        with reading(self._engine) as connection:
            if not connection.scalar(select(exists().where(notice.c.state == "queued", moot(now)))):
                return
        with writing(self._engine) as connection:
            expire(connection, now)

    def _claim(self, now: int) -> Claim | None:
        with reading(self._engine) as connection:  # an idle sender takes no write lock
            if pick(connection, self._channels, now) is None:
                return None
        with writing(self._engine) as connection:
            return claim(connection, self._channels, self._owner, now)

    def _settle(self, now: int) -> None:
        state = and_(notice.c.state == "uncertain", notice.c.channel.in_(list(self._channels)))
        mine = and_(state, notice.c.claimed_by == str(self._owner))
        due = or_(notice.c.next_try_at <= now, notice.c.not_after <= now)
        with reading(self._engine) as connection:
            rows = connection.execute(select(notice).where(mine, due).order_by(notice.c.id)).all()
        for row in rows:
            self._settle_one(row._asdict(), now)

    def _settle_one(self, row: Row, now: int) -> None:
        channel = self._channels[row["channel"]]
        facts = Uncertain(row["life_safety"], row["repeated"], row["not_after"])
        decided = decide_uncertain(facts, channel, now)
        if decided.action == "ask" and isinstance(channel, AskableChannel):
            self._ask(channel, row, now)
        else:
            self._carry_out(row, decided, now, repeats=not channel.deduplicates)

    def _ask(self, channel: AskableChannel, row: Row, now: int) -> None:
        answer = channel.ask(outgoing_notice(row, now))
        if answer.state == "failed":
            self._carry_out(row, Settlement("resend", "provider_has_it_not"), now, repeats=False)
            return
        with writing(self._engine) as connection:
            if answer.state == "accepted":
                self._settled(connection, row, "accepted", "provider_has_it", now, accepted_at=now)
            else:
                later = update(notice).where(self._unsettled(row)).values(next_try_at=now + RECOVER_EVERY)
                connection.execute(later)

    def _carry_out(self, row: Row, decided: Settlement, now: int, *, repeats: bool) -> None:
        with writing(self._engine) as connection:
            if decided.action == "resend":
                wait = backoff(row["attempts"]) if row["attempts"] > 1 else 0
                again = {"next_try_at": now + wait, "repeated": row["repeated"] or repeats}
                self._settled(connection, row, "queued", decided.reason, now, **again)
                return
            closed = update(notice).where(self._unsettled(row)).values(claimed_by=None, error=decided.reason)
            if connection.execute(closed).rowcount == 0:
                return
            told = escalate_unproven(connection, row, now) if decided.action == "next_step" else 0
            tell(connection, [row["id"]], "uncertain", f"{decided.reason}, {told} told instead", now)

    def _settled(self, connection: Connection, row: Row, to: str, reason: str, now: int, **values: Any) -> None:
        moved = change_state(
            connection, self._unsettled(row), to, sources=("uncertain",), claimed_by=None, error=reason, **values
        )
        tell(connection, moved, to, reason, now)

    def _unsettled(self, row: Row) -> ColumnElement[bool]:
        owned = notice.c.claimed_by == str(self._owner)
        return and_(notice.c.id == row["id"], notice.c.state == "uncertain", owned)
