"""A ticket's life as one table: from which status which action leads where, who may, and what it takes.

上报 reported → 受理 verified → 立案 registered → 派遣 dispatched → 接单 accepted → 到场 on_scene → 处置 handled →
核查 checked → 结案 closed; side exits 作废 void, 误报 false_alarm and 合并 merged; 挂账 suspended stops its clocks.
"""

from collections.abc import Collection, Iterable, Iterator
from enum import Enum, StrEnum
from typing import Literal, NamedTuple

from alerts.words import Words


class Status(StrEnum):
    """Where a ticket stands."""

    REPORTED = "reported"
    VERIFIED = "verified"
    REGISTERED = "registered"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    ON_SCENE = "on_scene"
    HANDLED = "handled"
    CHECKED = "checked"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    VOID = "void"
    FALSE_ALARM = "false_alarm"
    MERGED = "merged"


UNREGISTERED = frozenset({Status.REPORTED, Status.VERIFIED})
WITH_THE_DESK = UNREGISTERED | {Status.REGISTERED}
UNACCEPTED = WITH_THE_DESK | {Status.DISPATCHED}
WORKED_OFF = frozenset({Status.HANDLED, Status.CHECKED})
ENDED = frozenset({Status.CLOSED, Status.VOID, Status.FALSE_ALARM, Status.MERGED})
LIVE = frozenset(Status) - ENDED

STATUS_WORDS = {
    Status.REPORTED: Words("已上报", "Reported"),
    Status.VERIFIED: Words("已受理", "Verified"),
    Status.REGISTERED: Words("已立案", "Registered"),
    Status.DISPATCHED: Words("已派遣", "Dispatched"),
    Status.ACCEPTED: Words("已接单", "Accepted"),
    Status.ON_SCENE: Words("已到场", "On scene"),
    Status.HANDLED: Words("已处置", "Handled"),
    Status.CHECKED: Words("已核查", "Checked"),
    Status.SUSPENDED: Words("已挂账", "Suspended"),
    Status.CLOSED: Words("已结案", "Closed"),
    Status.VOID: Words("已作废", "Void"),
    Status.FALSE_ALARM: Words("误报", "False alarm"),
    Status.MERGED: Words("已合并", "Merged"),
}

Role = Literal["patroller", "officer", "leader", "dispatcher", "admin", "platform"]

_DESK: frozenset[Role] = frozenset({"dispatcher", "admin"})
_JUDGES: frozenset[Role] = frozenset({"leader", *_DESK})
_FIELD: frozenset[Role] = frozenset({"patroller", "officer", *_JUDGES})
_MACHINE: frozenset[Role] = frozenset({"platform"})
DESK_ROLES = _DESK
"""Who may do everything that a dispatcher may."""


class Place(Enum):
    """Where an action leads that names no status of its own: it stays, or goes back to where it was suspended from."""

    HERE = "here"
    BACK = "back"


Need = Literal["opinion", "cause", "until", "into"]
"""What must come with a move: why, a false alarm's cause, until when, or the ticket that another is merged into."""
Mark = Literal["extension", "suspension", "supervised"]
"""What some moves are an answer to: a request that waits, or a supervision that nobody has answered."""


class Transition(NamedTuple):
    """Where an action leads, who may, and what it takes.

    `arrival` holds life-safety tickets to somebody having been on the scene; `answers` names what must wait for it.
    """

    to: Status | Place
    roles: frozenset[Role]
    needs: tuple[Need, ...] = ()
    arrival: bool = False
    answers: Mark | None = None

    def target(self, status: Status, suspended_from: str | None) -> Status:
        """The status that follows on `status`."""
        if isinstance(self.to, Status):
            return self.to
        return status if self.to == Place.HERE or suspended_from is None else Status(suspended_from)


class Row(NamedTuple):
    """One action of the table, for all statuses that it starts from."""

    action: str
    words: Words
    sources: frozenset[Status]
    transition: Transition


def _from(*sources: Status) -> frozenset[Status]:
    return frozenset(sources)


_UNDER_WAY = _from(Status.DISPATCHED, Status.ACCEPTED, Status.ON_SCENE)
_IN_WORK = _from(Status.ACCEPTED, Status.ON_SCENE)
_PAUSABLE = _UNDER_WAY | {Status.REGISTERED}

ROWS: tuple[Row, ...] = (
    Row("verify", Words("受理", "Verify"), _from(Status.REPORTED), Transition(Status.VERIFIED, _DESK | _MACHINE)),
    Row("register", Words("立案", "Register"), _from(Status.VERIFIED), Transition(Status.REGISTERED, _DESK | _MACHINE)),
    Row(
        "dispatch",
        Words("派遣", "Dispatch"),
        _from(Status.REGISTERED),
        Transition(Status.DISPATCHED, _DESK | _MACHINE),
    ),
    Row("reassign", Words("改派", "Reassign"), _UNDER_WAY, Transition(Status.DISPATCHED, _DESK)),
    Row("accept", Words("接单", "Accept"), _from(Status.DISPATCHED), Transition(Status.ACCEPTED, _FIELD)),
    Row("arrive", Words("到场", "On scene"), _from(Status.ACCEPTED), Transition(Status.ON_SCENE, _FIELD)),
    Row("handle", Words("处置完成", "Handled"), _IN_WORK, Transition(Status.HANDLED, _FIELD, arrival=True)),
    Row("check", Words("核查通过", "Check"), _from(Status.HANDLED), Transition(Status.CHECKED, _JUDGES, arrival=True)),
    Row("rework", Words("返工", "Rework"), _from(Status.HANDLED), Transition(Status.ACCEPTED, _JUDGES, ("opinion",))),
    Row("close", Words("结案", "Close"), _from(Status.CHECKED), Transition(Status.CLOSED, _JUDGES, arrival=True)),
    Row("return", Words("回退", "Return"), _UNDER_WAY, Transition(Status.REGISTERED, _FIELD, ("opinion",))),
    Row(
        "ask_extension",
        Words("申请延期", "Ask for an extension"),
        _IN_WORK,
        Transition(Place.HERE, _FIELD, ("opinion",)),
    ),
    Row("extend", Words("批准延期", "Extend"), _IN_WORK, Transition(Place.HERE, _JUDGES)),
    Row(
        "refuse_extension",
        Words("不予延期", "Refuse the extension"),
        _IN_WORK,
        Transition(Place.HERE, _JUDGES, ("opinion",), answers="extension"),
    ),
    Row(
        "ask_suspension",
        Words("申请挂账", "Ask for a suspension"),
        _PAUSABLE,
        Transition(Place.HERE, _FIELD, ("opinion", "until")),
    ),
    Row("suspend", Words("挂账", "Suspend"), _PAUSABLE, Transition(Status.SUSPENDED, _JUDGES, ("opinion", "until"))),
    Row(
        "refuse_suspension",
        Words("不予挂账", "Refuse the suspension"),
        _PAUSABLE,
        Transition(Place.HERE, _JUDGES, ("opinion",), answers="suspension"),
    ),
    Row("resume", Words("恢复办理", "Resume"), _from(Status.SUSPENDED), Transition(Place.BACK, _JUDGES | _MACHINE)),
    Row("supervise", Words("督办", "Supervise"), LIVE, Transition(Place.HERE, _JUDGES, ("opinion",))),
    Row(
        "reply",
        Words("督办回复", "Reply"),
        LIVE,
        Transition(Place.HERE, _FIELD, ("opinion",), answers="supervised"),
    ),
    Row(
        "false_alarm",
        Words("误报", "False alarm"),
        _from(Status.ON_SCENE, Status.HANDLED),
        Transition(Status.FALSE_ALARM, _FIELD, ("cause",)),
    ),
    Row(
        "false_alarm",
        Words("误报", "False alarm"),
        LIVE - {Status.ON_SCENE, Status.HANDLED},
        Transition(Status.FALSE_ALARM, _JUDGES, ("cause",)),
    ),
    Row("merge", Words("合并", "Merge"), LIVE - WORKED_OFF, Transition(Status.MERGED, _DESK, ("into",))),
    Row("void", Words("作废", "Void"), UNACCEPTED | {Status.SUSPENDED}, Transition(Status.VOID, _DESK, ("opinion",))),
    Row("send_back", Words("退回处置", "Sent back"), WORKED_OFF, Transition(Status.ACCEPTED, _MACHINE)),
    Row("self_recover", Words("自行恢复", "Recovered by itself"), UNACCEPTED, Transition(Status.CLOSED, _MACHINE)),
    Row("end_drill", Words("演练结束", "Drill over"), _from(Status.DISPATCHED), Transition(Status.CLOSED, _MACHINE)),
)

TRANSITIONS: dict[tuple[Status, str], Transition] = {
    (source, row.action): row.transition for row in ROWS for source in row.sources
}
ARROWS: frozenset[tuple[str, str]] = frozenset(
    (source, target)
    for (source, _), way in TRANSITIONS.items()
    for target in (_PAUSABLE if way.to == Place.BACK else (way.target(source, None),))
)
"""From which status to which any move leads; a ticket's row changes its status by nothing else."""
ACTION_WORDS: dict[str, Words] = {row.action: row.words for row in ROWS}


def statuses_for(action: str) -> Iterator[Status]:
    """From where an action is possible, in the order of a ticket's life."""
    return (status for status in Status if (status, action) in TRANSITIONS)


def actions_for(status: str, role: Role, life_safety: bool, arrived: bool, marks: Collection[Mark] = ()) -> list[str]:
    """What somebody of a role may do now, for the buttons of a page.

    `marks` are the requests that wait for an answer, and "supervised" while a supervision does.

    >>> actions_for("on_scene", "patroller", life_safety=True, arrived=True)
    ['handle', 'return', 'ask_extension', 'ask_suspension', 'false_alarm']
    """
    return [action for action, way in _ways(Status(status)) if _open(way, role, life_safety, arrived, marks)]


def _ways(status: Status) -> Iterable[tuple[str, Transition]]:
    return ((action, way) for (source, action), way in TRANSITIONS.items() if source == status)


def _open(way: Transition, role: Role, life_safety: bool, arrived: bool, marks: Collection[Mark]) -> bool:
    answered = way.answers is None or way.answers in marks
    return role in way.roles and answered and (arrived or not (life_safety and way.arrival))
