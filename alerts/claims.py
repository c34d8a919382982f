"""Which sender answers for which notice: the claim before a request, the record after it, the taking over."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, not_, null, select, text, update

from alerts.changes import Happened, record_changes
from alerts.channels import Channel, Outcome, OutgoingNotice
from alerts.fallback import fall_back
from alerts.links import LIFETIME, Link, keep_links, link_code
from alerts.notices import change_state, changed, facts_of, tell
from alerts.owners import LEASE, Owner, why_gone
from alerts.picking import pick
from alerts.retries import Next, decide_retry
from alerts.rows import rows
from alerts.tables import delivery, notice
from alerts.traffic import Traffic
from alerts.unsent import moot
from alerts.words import Row

_CLAIMS = 0x5357_4E54  # any number that no other advisory lock of this database uses


class Claim(NamedTuple):
    """The notices that one attempt of one sender has in hand, in one message: most urgent first."""

    rows: list[Row]
    attempt: int
    outgoing: list[OutgoingNotice]

    @property
    def channel(self) -> str:
        """The channel's name."""
        return str(self.rows[0]["channel"])


def claim(
    connection: Connection,
    channels: Mapping[str, Channel],
    owner: Owner,
    now: int,
    traffic: Traffic | None = None,
    *,
    link_key: bytes,
) -> Claim | None:
    """Take what goes next: `sending`, the attempt and its delivery row; commit it before the request goes out.

    `traffic` is what is known already of what went to each address; personal links are made with `link_key`.
    """
    hold_claims(connection)
    picked = pick(connection, channels, traffic or Traffic(channels), now)
    taken = _take(connection, picked.ids, now)
    if not taken:
        return None
    attempt = start_attempt(connection, taken[0], len(taken), now)
    change_state(
        connection,
        notice.c.id.in_([row["id"] for row in taken]),
        "sending",
        attempt=attempt,
        attempts=notice.c.attempts + 1,
        claimed_by=str(owner),
        requested_at=func.coalesce(notice.c.requested_at, now),
    )
    links = personal_links(connection, taken, link_key, now) if channels[picked.channel].one_to_one else {}
    outgoing = [outgoing_notice(row, now, links.get(row["id"], "")) for row in taken]
    return Claim([{**row, "attempts": row["attempts"] + 1} for row in taken], attempt, outgoing)


def hold_claims(connection: Connection) -> None:
    """Let attempts begin one after the other: two neither take one row nor together pass an address's limit."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:claims)"), {"claims": _CLAIMS})


def start_attempt(connection: Connection, first: Row, notices: int, now: int) -> int:
    """Record an attempt for so many notices, of which this is the first; its number."""
    values = {"channel": first["channel"], "address": first["address"], "started_at": now, "outcome": "sending"}
    started = insert(delivery).values(notice=first["id"], notices=notices, **values)
    attempt: int = connection.execute(started.returning(delivery.c.id)).scalar_one()
    return attempt


def _take(connection: Connection, ids: Sequence[int], now: int) -> list[Row]:
    """Those that still wait and are not moot, in the order given; whoever is changing one now keeps it."""
    if not ids:
        return []
    waiting = select(notice).where(notice.c.id.in_(ids), notice.c.state == "queued", not_(moot(now)))
    found = {row["id"]: row for row in rows(connection, waiting.with_for_update(skip_locked=True, of=notice))}
    return [found[number] for number in ids if number in found]


def personal_links(connection: Connection, taken: Iterable[Row], key: bytes, now: int) -> dict[int, str]:
    """The codes of personal links by notice, for those that go to a person: good for a day from when they are due."""
    links = {
        row["id"]: Link(
            link_code(key, row["id"], row["created_at"]), row["recipient"], row["ticket"], row["due_at"] + LIFETIME
        )
        for row in taken
        if row["recipient_kind"] == "person"
    }
    keep_links(connection, list(links.values()), now)
    return {number: each.code for number, each in links.items()}


def outgoing_notice(row: Row, now: int, link: str = "") -> OutgoingNotice:
    """What a channel needs of a notice row, with the code of a personal link where there is one."""
    return OutgoingNotice(
        id=row["id"],
        ticket=row["ticket"],
        recipient_kind=row["recipient_kind"],
        recipient=row["recipient"],
        address=row["address"],
        facts=facts_of(row),
        at=now,
        link=link,
        repeated=row["repeated"],
    )


def record(connection: Connection, claim: Claim, outcome: Outcome, now: int) -> list[str]:
    """Write what an attempt came to, and let pages know; the reasons, one a notice."""
    happened = write_result(connection, claim, outcome, now)
    record_changes(connection, now, happened)
    return [each.what["reason"] for each in happened]


def write_result(connection: Connection, claim: Claim, outcome: Outcome, now: int) -> list[Happened]:
    """What an attempt came to, in its delivery and, unless somebody was faster, its notices; what pages are to hear."""
    follow: dict[Next, list[Row]] = {}
    for row in claim.rows:
        follow.setdefault(decide_retry(outcome, row["attempts"], now, row["not_after"]), []).append(row)
    happened: list[Happened] = []
    for then, rows_of in follow.items():
        moved = _move(connection, claim, [row["id"] for row in rows_of], then, outcome, now)
        happened += changed(moved, then.state, then.reason)
        for row in rows_of:
            if row["id"] in moved and then.state in ("failed", "expired"):
                fall_back(connection, row, now)
    _finish(connection, claim.attempt, outcome, now)
    return happened


def _move(
    connection: Connection, claim: Claim, ids: Sequence[int], then: Next, outcome: Outcome, now: int
) -> list[int]:
    values: dict[str, Any] = {"error": " ".join(part for part in (then.reason, outcome.code, outcome.detail) if part)}
    if then.state == "accepted":
        values = {"accepted_at": now, "provider_id": outcome.provider_id[:80], "error": ""}
    elif then.state == "queued":
        values["next_try_at"] = then.next_try_at
    return change_state(
        connection,
        and_(notice.c.id.in_(ids), notice.c.attempt == claim.attempt),
        then.state,
        sources=("sending", "uncertain") if then.state == "accepted" else ("sending",),
        claimed_by=notice.c.claimed_by if then.state == "uncertain" else null(),
        **values,
    )


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


def end_abandoned(connection: Connection, channels: Collection[str], since: int, now: int) -> int:
    """Attempts begun from `since` on that no result came for within a lease, and no notice waits for; how many.

    Somebody acted on the notice meanwhile, or it was hushed, and then the sender was gone: whether the message arrived
    nobody knows. A result that comes all the same is recorded over it.
    """
    begun = delivery.c.channel.in_(sorted(channels)), delivery.c.started_at.between(since, now - LEASE)
    open_ones = set(connection.scalars(select(delivery.c.id).where(*begun, delivery.c.outcome == "sending")))
    if not open_ones:
        return 0
    waiting = select(notice.c.attempt).where(notice.c.state == "sending", notice.c.channel.in_(sorted(channels)))
    left = sorted(open_ones - set(connection.scalars(waiting)))
    still = and_(delivery.c.id.in_(left), delivery.c.outcome == "sending")
    return connection.execute(update(delivery).where(still).values(**_lost("lease_over", now))).rowcount


def _lost(code: str, now: int) -> dict[str, Any]:
    return {
        "finished_at": now,
        "outcome": "uncertain",
        "code": code,
        "detail": "the sender ended before the result",
    }


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
        connection.execute(update(delivery).where(delivery.c.id == attempt).values(**_lost(reason, now)))
    return moved
