"""Sends notices: claims one, makes one request, records what became of it; settles what is uncertain."""

import secrets
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, not_, select, update

from alerts.changes import record_changes
from alerts.channels import AskableChannel, Channel, ListingChannel, LocalChannel, Outcome
from alerts.claims import Claim, claim, end_abandoned, outgoing_notice, record, take_over, write_result
from alerts.fallback import escalate_unproven
from alerts.local_sending import anything_waits, send_locally
from alerts.notices import change_state, tell
from alerts.owners import Owner
from alerts.picking import URGENT, pick
from alerts.retries import Settlement, Uncertain, backoff, decide_uncertain
from alerts.rows import rows
from alerts.tables import delivery, notice
from alerts.traffic import Traffic
from alerts.unsent import expire, give_up, moot, refuse_idle_calls
from alerts.words import Row
from core.clock import HOUR, SECOND, Clock
from core.database import reading, writing

RECOVER_EVERY = 15 * SECOND
SWEEP_EVERY = SECOND


class _Result(NamedTuple):
    claim: Claim
    outcome: Outcome
    at: int


class Sender:
    """One worker for some channels; run each in its own thread or process.

    It never has more than one request under way, so a kill leaves at most one message of which nobody knows: all the
    notices that it lists are uncertain together. Several may share a database. A result that the database does not take
    is kept and recorded first at the next step.

    A notice has the same personal link from every sender with the same `link_key`; without one a sender has its own.
    """

    def __init__(
        self, engine: Engine, channels: Iterable[Channel], clock: Clock, owner: Owner, link_key: bytes = b""
    ) -> None:
        self._engine = engine
        self._channels = {channel.name: channel for channel in channels}
        self._ringing = [name for name, channel in self._channels.items() if channel.urgent_only]
        self._clock = clock
        self._owner = owner
        self._link_key = link_key or secrets.token_bytes()
        self._local = [each for each in self._channels.values() if isinstance(each, LocalChannel)]
        self._remote = {name: each for name, each in self._channels.items() if each not in self._local}
        self._traffic = Traffic(self._remote)
        self._result: _Result | None = None
        self._unsettled_left = True
        self._recovered_at: int | None = None
        self._swept_at: int | None = None

    def step(self, now: int) -> int:
        """Do what is due at `now` and make one request at most; how many messages went.

        What goes to a channel in this database goes a few at once.

        The first step, and one every 15 s, also recovers. Raises SQLAlchemyError while the database does not answer;
        call again.
        """
        made = self.turn(now)
        self.finish()
        return made

    def finish(self) -> None:
        """Record the result of the last turn; the last thing before a sender ends."""
        if self._result is None:
            return
        with writing(self._engine) as connection:
            record(connection, *self._result)
        self._result = None

    def turn(self, now: int) -> int:
        """As `step`, but the result is recorded at the next turn, in the transaction that claims what goes then."""
        if self._recovered_at is None or not 0 <= now - self._recovered_at < RECOVER_EVERY:
            self.recover(now)
        if self._unsettled_left:
            self.finish()
            self._settle(now)
        if self._swept_at is None or not 0 <= now - self._swept_at < SWEEP_EVERY:
            self._sweep(now)
        delivered = self._deliver(now)
        taken = self._claim(now)
        if taken is None:
            return delivered
        outcome = self._request(taken)
        self._result = _Result(taken, outcome, self._clock.now())
        self._unsettled_left |= outcome.state == "uncertain"
        return delivered + 1

    def _deliver(self, now: int) -> int:
        """Some of what goes to channels that live in this database; how many notices."""
        done = 0
        for channel in self._local:
            with reading(self._engine) as connection:
                waits = anything_waits(connection, channel, now)
            if waits:
                with writing(self._engine) as connection:
                    done += send_locally(connection, channel, now, link_key=self._link_key)
        return done

    def _request(self, taken: Claim) -> Outcome:
        channel = self._channels[taken.channel]
        if len(taken.outgoing) > 1 and isinstance(channel, ListingChannel):
            return channel.send_several(taken.outgoing)
        return channel.send(taken.outgoing[0])

    def recover(self, now: int, alive_owners: Collection[str] = ()) -> int:
        """Take over what senders that are gone had in hand, as uncertain; how many notices that were.

        `alive_owners` (as text) are known to live and keep theirs, however long ago they claimed it.
        """
        keep = self._result.claim.attempt if self._result else None
        with writing(self._engine) as connection:
            found = take_over(connection, self._channels, self._owner, now, alive=alive_owners, keep=keep)
            end_abandoned(connection, self._channels, 0 if self._recovered_at is None else now - HOUR, now)
        self._recovered_at = now
        self._unsettled_left = True
        return len(found)

    def _sweep(self, now: int) -> None:
        """Take away what is not to be sent any more."""
        mine = and_(notice.c.state == "queued", notice.c.channel.in_(sorted(self._channels)))
        with reading(self._engine) as connection:
            found = connection.scalar(select(exists().where(mine, moot(now))))
            rung = connection.scalar(select(exists().where(mine, not_(URGENT)))) if self._ringing else False
        if found:
            with writing(self._engine) as connection:
                expire(connection, now, self._channels)
        if rung:
            with writing(self._engine) as connection:
                refuse_idle_calls(connection, self._ringing, now)
        self._swept_at = now

    def _claim(self, now: int) -> Claim | None:
        if self._result is None and not (self._remote and self._look(now)):
            return None
        with writing(self._engine) as connection:
            happened = write_result(connection, *self._result) if self._result else []
            taken = claim(connection, self._remote, self._owner, now, self._traffic, link_key=self._link_key)
            record_changes(connection, now, happened)
        self._result = None
        return taken

    def _look(self, now: int) -> bool:
        """Whether there is anything to send: an idle sender takes no write lock."""
        with reading(self._engine) as connection:
            picked = pick(connection, self._remote, self._traffic, now)
        if picked.hopeless:
            with writing(self._engine) as connection:
                give_up(connection, picked.hopeless, "limit_until_too_late", now)
        return bool(picked.ids)

    def _settle(self, now: int) -> None:
        state = and_(notice.c.state == "uncertain", notice.c.channel.in_(list(self._channels)))
        mine = and_(state, notice.c.claimed_by == str(self._owner))
        listed = select(notice, delivery.c.notices).join(delivery, delivery.c.id == notice.c.attempt)
        with reading(self._engine) as connection:
            left = rows(connection, listed.where(mine).order_by(notice.c.id))
        for row in left:
            if row["next_try_at"] <= now or row["not_after"] <= now:
                self._settle_one(row, now)
        self._unsettled_left = bool(left)

    def _settle_one(self, row: Row, now: int) -> None:
        channel = self._channels[row["channel"]]
        facts = Uncertain(row["life_safety"], row["repeated"], row["not_after"], row["notices"] > 1)
        decided = decide_uncertain(facts, channel, now)
        if decided.action == "ask" and isinstance(channel, AskableChannel):
            self._ask(channel, row, now)
        else:
            self._carry_out(row, decided, now, repeats=decided.reason != "provider_deduplicates")

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
