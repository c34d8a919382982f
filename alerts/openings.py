"""An alert's opening beside those before it: whether it chatters, and what its ticket says of that."""

from collections.abc import Sequence

from sqlalchemy import func, select

from alerts.chattering import ChatterDecision, Opening, decide_chattering
from alerts.desk_work import DeskWork
from alerts.tables import notice
from alerts.tickets import note, read_ticket
from alerts.words import Row


def judge_opening(work: DeskWork, earlier: Sequence[Row], life_safety: bool) -> ChatterDecision:
    """Judge an episode that opens now; `earlier` are those of its subject and rule before it, the newest first."""
    openings = [Opening(each["opened_at"], each["chattering"]) for each in earlier]
    policy = work.settings.chattering
    chatters = bool(openings) and openings[0].chattering is not None
    told_at = _told_at(work, earlier[0]["ticket"]) if chatters and life_safety else None
    return decide_chattering(openings, work.now, life_safety, told_at, policy)


def note_chattering(work: DeskWork, placed: Row, judged: ChatterDecision) -> None:
    """Say once on an alert's ticket that it chatters."""
    if judged.reason != "chattering_begins" or placed["ticket"] is None:
        return
    policy = work.settings.chattering
    counted = {"alert": placed["id"], "openings": policy.openings, "within": policy.within}
    ticket = read_ticket(work.connection, placed["ticket"])
    note(work.connection, ticket, work.now, "chattering", judged.reason, **counted)


def _told_at(work: DeskWork, ticket: int | None) -> int | None:
    """When people were last told of a matter of life and safety on a ticket."""
    told = select(func.max(notice.c.created_at)).where(notice.c.ticket == ticket, notice.c.life_safety)
    newest: int | None = work.connection.execute(told).scalar()
    return newest
