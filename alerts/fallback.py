"""What follows when a notice certainly did not arrive: the recipient's next channel, else the ticket's next step."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from alerts.escalation import CAUSES
from alerts.lifecycle import ENDED
from alerts.notices import insert_notices, next_step, notice_times, quiet_hours_of, recipients_of
from alerts.passing_on import PASSED_ON
from alerts.quiet_hours import quiet_until
from alerts.tables import contact, notice, ticket
from alerts.words import TEST, Recipient, Row
from detectors.words import Severity

_REPEATED = frozenset(CAUSES.values())
_GONE = frozenset({"failed", "expired"})
_TOLD = ("ticket", "alert", "life_safety", "severity")


def fall_back(connection: Connection, row: Row, now: int) -> int:
    """Tell the recipient on the next channel that was not tried yet, else the next step; how many notices were new.

    A channel on which the same news waits or went out already needs no other. Nobody is told instead once the ticket is
    over or was sent anew, nor that somebody else need not go; nobody else once it was accepted since. A test of a
    contact tells of that one alone.
    """
    if row["cause"] == TEST or _overtaken(connection, row):
        return 0
    about = row["key"].rsplit(":", 3)[0]
    for to in _further_channels(connection, row):
        same_news = notice.c.key == f"{about}:{to.kind}:{to.code}:{to.channel}"
        state = connection.scalar(select(notice.c.state).where(same_news))
        if state is None:
            return _queue(connection, row, [to], about, row["cause"], row["body"], now)
        if state not in _GONE:
            return 0
    if row["cause"] == PASSED_ON:
        return 0
    return _tell_next_step(connection, row, now, but=(row["recipient_kind"], row["recipient"]))


def escalate_unproven(connection: Connection, row: Row, now: int) -> int:
    """Tell the recipients of the ticket's next step what a lost notice should have said; how many were new."""
    if row["cause"] in (PASSED_ON, TEST) or _overtaken(connection, row):
        return 0
    return _tell_next_step(connection, row, now)


def _overtaken(connection: Connection, row: Row) -> bool:
    its = select(ticket.c.status, ticket.c.dispatched_at).where(ticket.c.id == row["ticket"])
    found = connection.execute(its).first()
    return found is None or found.status in ENDED or (found.dispatched_at or 0) > row["created_at"]


def _tell_next_step(connection: Connection, row: Row, now: int, but: tuple[str, str] = ("", "")) -> int:
    """`but` is a recipient whose channels have all been tried. Nobody once the ticket was accepted."""
    its = select(ticket.c.assignment, ticket.c.accepted_at).where(ticket.c.id == row["ticket"])
    found = connection.execute(its).one()
    if (found.accepted_at or 0) > row["created_at"]:
        return 0
    others = [to for to in recipients_of(connection, found.assignment or {}) if (to.kind, to.code) != but]
    following = next_step(others, row["step"])
    body = {**row["body"], "cause": "uncertain", "mobiles": []}
    return _queue(connection, row, following, stands_in(row), "uncertain", body, now)


def stands_in(row: Row) -> str:
    """What the notices are about that are told to others in place of this one: their keys without the recipient.

    One for all the recipients of a step. Of what is repeated until somebody moves it is one for all the repeats: a
    contact that is dead stays so, and who stands in was told.
    """
    about: str = row["key"].rsplit(":", 3)[0]
    if row["cause"] in _REPEATED:
        about = about.rpartition(":")[0]
    return f"uncertain:{about.removeprefix('uncertain:')}"


def _further_channels(connection: Connection, row: Row) -> list[Recipient]:
    """The recipient's contacts behind the one that failed."""
    kind, code = row["recipient_kind"], row["recipient"]
    owned = (contact.c.owner_kind == kind) & (contact.c.owner == code)
    found = connection.execute(select(contact.c.channel, contact.c.address).where(owned).order_by(contact.c.id)).all()
    names = [each.channel for each in found]
    behind = found[names.index(row["channel"]) + 1 :] if row["channel"] in names else found
    return [Recipient(kind, code, each.channel, each.address, row["step"]) for each in behind]


def _queue(connection: Connection, row: Row, to: Sequence[Recipient], key: str, cause: str, body: Any, now: int) -> int:
    """What is neither critical nor life-safety waits for the end of a person's quiet hours, as the first notice did."""
    urgent = row["life_safety"] or row["severity"] >= Severity.CRITICAL
    quiet = {} if urgent else quiet_hours_of(connection, to, row["body"].get("quiet_hours", ""))
    common = {name: row[name] for name in _TOLD} | {"cause": cause, "body": body, "instead_of": row["id"]}
    made_at = max(now, row["created_at"])

    def times(each: Recipient) -> dict[str, int]:
        hours = quiet.get(each.code, "") if each.kind == "person" else ""
        return notice_times(row["severity"], made_at, quiet_until(hours, now))

    return sum(insert_notices(connection, common | times(each), [each], key) for each in to)
