"""Which sender answers for which notice: the claim before a request, the record after it, the taking over."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, insert, not_, null, or_, select, text, tuple_, update

from alerts.channels import Channel, Outcome, OutgoingNotice
from alerts.links import make_link
from alerts.notices import change_state, escalate_failed, facts_of, moot, tell
from alerts.owners import LEASE, Owner, why_gone
from alerts.retries import decide_retry
from alerts.tables import delivery, notice
from alerts.words import Row

_CLAIMS = 0x5357_4E54  # any number that no other advisory lock of this database uses


class Claim(NamedTuple):
    """A notice that one attempt of one sender has in hand."""

    row: Row
    attempt: int
    outgoing: OutgoingNotice


def pick(connection: Connection, channels: Mapping[str, Channel], now: int) -> Row | None:
    """The notice to send next on these channels: life-safety and severity first, then the longest due.

    One whose address is held or at its limit waits, and holds up no other address.
    """
    column = notice.c
    due = [
        column.state == "queued",
        column.channel.in_(list(channels)),
        column.next_try_at <= now,
        not_(moot(now)),
    ]
    held = _held_addresses(connection, channels, now)
    free = [tuple_(column.channel, column.address).not_in(held)] if held else []
    order = (column.life_safety.desc(), column.severity.desc(), column.due_at, column.id)
    found = connection.execute(select(notice).where(*due, *free).order_by(*order).limit(1)).first()
    return found._asdict() if found else None


def _held_addresses(connection: Connection, channels: Mapping[str, Channel], now: int) -> list[tuple[str, str]]:
    """Addresses at their limit, counted over the recorded attempts, or that the provider wants left alone."""
    column = delivery.c
    limits = {name: channel.limit for name, channel in channels.items() if channel.limit}
    recent = [
        and_(column.channel == name, column.started_at > now - limit.window - LEASE) for name, limit in limits.items()
    ]
    waiting = and_(column.channel.in_(list(channels)), column.hold_until > now)
    sent: dict[tuple[str, str], list[int]] = {}
    held: set[tuple[str, str]] = set()
    for row in connection.execute(select(delivery).where(or_(waiting, *recent))):
        address = (row.channel, row.address)
        # a provider counts a request when it arrives, at the latest when its answer does
        sent.setdefault(address, []).append(row.finished_at or now)
        if row.hold_until > now:
            held.add(address)
    full = (
        address for address, at in sent.items() if (limit := limits.get(address[0])) and limit.free_at(at, now) > now
    )
    return sorted(held.union(full))


def claim(connection: Connection, channels: Mapping[str, Channel], owner: Owner, now: int) -> Claim | None:
    """Take the next notice: `sending`, its attempt and its delivery row; commit it before the request goes out."""
    if connection.dialect.name == "postgresql":
        # claims one after the other, so that two senders neither take one row nor together pass an address's limit
        connection.execute(text("SELECT pg_advisory_xact_lock(:claims)"), {"claims": _CLAIMS})
    row = pick(connection, channels, now)
    if row is None:
        return None
    taken = change_state(
        connection,
        notice.c.id == row["id"],
        "sending",
        attempts=row["attempts"] + 1,
        claimed_by=str(owner),
        requested_at=row["requested_at"] or now,
    )
    if not taken:
        return None
    started = insert(delivery).values(
        notice=row["id"], channel=row["channel"], address=row["address"], started_at=now, outcome="sending"
    )
    attempt: int = connection.execute(started.returning(delivery.c.id)).scalar_one()
    connection.execute(update(notice).where(notice.c.id == row["id"]).values(attempt=attempt))
    outgoing = outgoing_notice(row, now)
    if channels[row["channel"]].one_to_one and row["recipient_kind"] == "person":
        code = make_link(connection, row["recipient"], row["ticket"], now)
        outgoing = msgspec.structs.replace(outgoing, link=code)
    return Claim({**row, "attempts": row["attempts"] + 1}, attempt, outgoing)


def outgoing_notice(row: Row, now: int) -> OutgoingNotice:
    """What a channel needs of a notice row, without a personal link."""
    return OutgoingNotice(
        id=row["id"],
        ticket=row["ticket"],
        recipient_kind=row["recipient_kind"],
        recipient=row["recipient"],
        address=row["address"],
        facts=facts_of(row),
        at=now,
        repeated=row["repeated"],
    )


def record(connection: Connection, claim: Claim, outcome: Outcome, now: int) -> str:
    """Write what an attempt came to, in its delivery and, unless somebody was faster, its notice; the reason."""
    then = decide_retry(outcome, claim.row["attempts"], now, claim.row["not_after"])
    values: dict[str, Any] = {}
    if then.state == "accepted":
        values = {"accepted_at": now, "provider_id": outcome.provider_id[:80], "error": ""}
    elif then.state == "queued":
        values = {"next_try_at": then.next_try_at}
    said = " ".join(part for part in (then.reason, outcome.code, outcome.detail) if part)
    moved = change_state(
        connection,
        and_(notice.c.id == claim.row["id"], notice.c.attempt == claim.attempt),
        then.state,
        sources=("sending", "uncertain") if then.state == "accepted" else ("sending",),
        **{"error": said, **values},
        claimed_by=notice.c.claimed_by if then.state == "uncertain" else null(),
    )
    _finish(connection, claim.attempt, outcome, now)
    if moved and then.state == "failed":
        escalate_failed(connection, claim.row, now)
    tell(connection, moved, then.state, then.reason, now)
    return then.reason


def _finish(connection: Connection, attempt: int, outcome: Outcome, now: int) -> None:
    """The delivery comes after its notice, as in a taking over: in two orders they would wait for each other."""
    finished = {"finished_at": now, "outcome": outcome.state, "code": outcome.code[:40], "detail": outcome.detail}
    if outcome.holds_address:
        finished["hold_until"] = now + outcome.retry_after
    connection.execute(update(delivery).where(delivery.c.id == attempt).values(**finished))


def take_over(
    connection: Connection, channels: Collection[str], me: Owner, now: int, *, alive: Collection[str], keep: int | None
) -> list[int]:
    """Rows of owners that are gone become mine: what was `sending` is now `uncertain`, never queued; their ids.

    `alive` names owners known to live; `keep` is an attempt of mine whose result is still to be recorded.
    """
    alone = connection.dialect.name == "sqlite"
    uncertain: list[int] = []
    for row in connection.execute(_in_hand(channels)).all():
        if row.claimed_by in alive or row.attempt == keep:
            continue
        reason = why_gone(Owner.parse(row.claimed_by), me, row.started_at, now, alone=alone)
        if reason is None:
            continue
        still = and_(notice.c.id == row.id, notice.c.attempt == row.attempt, notice.c.claimed_by == row.claimed_by)
        if row.state == "sending":
            uncertain += _mark_uncertain(connection, still, row.attempt, me, reason, now)
        else:
            connection.execute(update(notice).where(still, notice.c.state == "uncertain").values(claimed_by=str(me)))
    tell(connection, uncertain, "uncertain", "sender_gone", now)
    return uncertain


def _in_hand(channels: Collection[str]) -> Select[Any]:
    columns = (notice.c.id, notice.c.attempt, notice.c.state, notice.c.claimed_by, delivery.c.started_at)
    return (
        select(*columns)
        .join(delivery, delivery.c.id == notice.c.attempt)
        .where(notice.c.channel.in_(list(channels)), notice.c.state.in_(("sending", "uncertain")))
        .where(notice.c.claimed_by.is_not(None))
        .order_by(notice.c.id)
    )


def _mark_uncertain(
    connection: Connection, still: ColumnElement[bool], attempt: int, me: Owner, reason: str, now: int
) -> list[int]:
    moved = change_state(
        connection, still, "uncertain", sources=("sending",), claimed_by=str(me), error=f"sender_gone {reason}"
    )
    if moved:
        lost = {
            "finished_at": now,
            "outcome": "uncertain",
            "code": reason,
            "detail": "the sender ended before the result",
        }
        connection.execute(update(delivery).where(delivery.c.id == attempt).values(**lost))
    return moved
