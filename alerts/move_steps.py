"""A move under way: what is known of it, and the one row change and log row that it is."""

from dataclasses import dataclass
from typing import Any

from alerts.desk_work import DeskWork
from alerts.move_decisions import Asked, MoveDecision, Standing
from alerts.refusals import MoveRefused
from alerts.tickets import update_ticket, write_log
from alerts.town_view import TownView
from alerts.words import Recipient, Row


@dataclass(frozen=True)
class Step:
    """A move that was decided: what was asked, how things stood, and the ticket's worst alert."""

    work: DeskWork
    standing: Standing
    asked: Asked
    decision: MoveDecision
    worst: Row | None

    @property
    def before(self) -> Row:
        """The ticket as it was."""
        return self.standing.ticket

    @property
    def who(self) -> str:
        """Who moves it."""
        return self.asked.actor.who


def take(step: Step, details: dict[str, Any] | None = None, **values: Any) -> Row:
    """Change the ticket to where the move leads, with its log row; the ticket afterwards."""
    work, asked = step.work, step.asked
    after = update_ticket(work.connection, step.before, work.now, status=step.decision.to, **values)
    if after is None:
        raise MoveRefused("changed_meanwhile")
    write_log(
        work.connection,
        after,
        work.now,
        asked.action,
        step.decision.reason,
        step.before["status"],
        step.who,
        asked.opinion,
        {**({"cause": asked.cause} if asked.cause else {}), **(details or {})},
    )
    work.ticket_changed(after, asked.action)
    return after


def reached(town: TownView, code: str | None) -> list[Recipient]:
    """A person on the channel that they prefer; empty for nobody, an account, or one without any."""
    contacts = town.contacts.get(("person", code), ()) if code else ()
    return [Recipient("person", code, each.channel, each.address) for each in contacts[:1] if code]
