"""转交: whoever loses a ticket to others hears that they need not go."""

from sqlalchemy import select

from alerts.assignment import Assignment
from alerts.case_tables import ticket_acceptance
from alerts.desk_work import DeskWork
from alerts.words import Recipient, Row

PASSED_ON = "passed_on"
"""The cause of such a notice; to have been told so gives nobody a right to the ticket."""


def tell_former(work: DeskWork, before: Row, after: Row, alert: Row | None, plan: Assignment, who: str) -> None:
    """Tell those who had accepted a ticket that is now sent to others, at once, on their own first channel.

    Not whoever passed it on, nor those whom it is sent to again.
    """
    again = {to.code for to in plan.at_once if to.kind == "person"} | {who}
    lost = [code for code in _accepted_by(work, before) if code not in again and not _still_theirs(work, code, plan)]
    contacts = [(code, each) for code in lost for each in work.town.contacts.get(("person", code), ())[:1]]
    former = [Recipient("person", code, each.channel, each.address) for code, each in contacts]
    work.notify(after, alert, former, PASSED_ON, work.now)


def _accepted_by(work: DeskWork, before: Row) -> list[str]:
    holder = [before["accepted_by"]] if before["accepted_by"] else []
    if before["acceptance"] != "both":
        return holder
    its = ticket_acceptance.c.ticket == before["id"]
    present = ticket_acceptance.c.dispatched_at == before["dispatched_at"]
    both = work.connection.scalars(select(ticket_acceptance.c.person).where(its, present))
    return sorted({*holder, *both})


def _still_theirs(work: DeskWork, code: str, plan: Assignment) -> bool:
    person = work.town.people.get(code)
    if person is None:
        return False
    return (person.team is not None and person.team == plan.team) or (
        person.station is not None and person.station == plan.station
    )
