"""Doing a move on a ticket for whoever asked, and which moves they may do now."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from alerts.lifecycle import Mark, Role, actions_for
from alerts.move_decisions import marks_of
from alerts.moves import move
from alerts.request_rows import waiting_requests
from alerts.tables import person
from console.accounts import Account
from console.language import LANGUAGES, text
from console.services import Services
from core.clock import SHANGHAI, moment_of
from core.database import writing

BUTTONS = (
    *("check", "close", "accept", "arrive", "handle", "verify", "register", "dispatch", "resume"),
    *("reply", "extend", "refuse_extension", "suspend", "refuse_suspension", "supervise"),
    *("reassign", "rework", "return", "ask_extension", "ask_suspension", "merge", "false_alarm", "void"),
)
"""The actions that pages offer, in the order of their buttons: all that people may do."""
FIELD_BUTTONS = (
    *("accept", "arrive", "handle", "reply", "return"),
    *("ask_extension", "ask_suspension", "false_alarm"),
)
"""What a phone offers."""
RETURN_REASONS = ("not_ours", "off_shift", "no_way", "specialist")
FALSE_CAUSES = ("device_fault", "test", "works", "weather", "other")
_CAUSES = {text(language, f"cause_of.{cause}"): cause for language in LANGUAGES for cause in FALSE_CAUSES}


def role_of(account: Account) -> Role:
    """The role under which a dispatcher or admin acts on tickets."""
    return "admin" if account.role == "admin" else "dispatcher"


def role_of_person(connection: Connection, code: str) -> Role:
    """A person's own role; the least of all for one that is not in the town any more."""
    role: Role | None = connection.scalar(select(person.c.role).where(person.c.code == code, person.c.retired == 0))
    return role or "patroller"


def moves_now(
    row: Mapping[str, Any], role: Role, offered: tuple[str, ...] = BUTTONS, marks: Collection[Mark] = ()
) -> list[str]:
    """The actions of `offered` that a ticket allows the role now; `marks` are what of it waits for an answer."""
    possible = actions_for(row["status"], role, row["life_safety"], row["on_scene_at"] is not None, marks)
    return [action for action in offered if action in possible]


def marks_on(connection: Connection, row: Mapping[str, Any]) -> set[Mark]:
    """What of a ticket waits for an answer: requests, and a supervision."""
    marks: Any = marks_of(row, waiting_requests(connection, row["id"]))
    return set(marks)


def cause_said(cause: str) -> str:
    """The code of a cause that pages name, whatever its language; anything else as it is.

    >>> cause_said("测试或演练"), cause_said("weather"), cause_said("鸟")
    ('test', 'weather', '鸟')
    """
    return _CAUSES.get(cause.strip(), cause)


class Wish(NamedTuple):
    """What comes with a move: why, a false alarm's cause, the dispatcher's own choice, until when (µs UTC), into what.

    `into` is the id of the ticket that another is merged into.
    """

    opinion: str = ""
    cause: str = ""
    team: str | None = None
    station: str | None = None
    until: int | None = None
    into: int | None = None


NO_WISH = Wish()


def moment_entered(entered: str) -> int | None:
    """What a person entered as a local time, `2026-09-21T22:13`, in µs UTC; None for nothing or what is no local time.

    >>> moment_entered("2026-09-21T22:13"), moment_entered("soon")
    (1789999980000000, None)
    """
    try:
        wall = datetime.fromisoformat(entered)
    except ValueError:
        return None
    return None if wall.tzinfo else moment_of(wall.replace(tzinfo=SHANGHAI))


def act(services: Services, ticket_id: int, action: str, who: str, role: Role, wish: Wish = NO_WISH) -> str:
    """Do the move in a transaction of its own, re-arming the rules of alerts closed with it; the new status.

    The rules are re-armed before the commit: a kill in between repeats an opening that is known, instead of leaving a
    danger that goes on without an alert. Raises MoveRefused.
    """
    with writing(services.engine) as connection:
        now, more = services.clock.now(), {**wish._asdict(), "settings": services.desk}
        moved = move(connection, services.town(), ticket_id, action, who, now, role=role, **more)
        for rearm in moved.rearm:
            services.journal_control(rearm)
    return moved.status
