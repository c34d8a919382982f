"""What becomes of a ticket that nobody moves on: who hears of it next and when. Policy and decisions, without effects.

Each stage of a ticket (what is missing: 派遣, 接单, 到场, 处置, 核查, 结案, 督办回复) has its steps. A step is due on a
clock that starts with the stage or at the stage's deadline. The last one may come again until somebody moves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from alerts.deadlines import Span
from alerts.lifecycle import ENDED, Status
from alerts.words import Row
from alerts.working_time import WorkCalendar
from core.clock import HOUR, MINUTE
from detectors.words import Severity

Stage = Literal["assign", "accept", "arrive", "handle", "check", "close", "reply"]
Whom = Literal["next_recipients", "station", "leader", "dispatchers", "all_on_duty", "holder"]
STAGES: tuple[Stage, ...] = get_args(Stage)
CAUSES: dict[Stage, str] = {
    "assign": "not_assigned",
    "accept": "not_accepted",
    "arrive": "not_arrived",
    "handle": "not_handled",
    "check": "not_checked",
    "close": "not_closed",
    "reply": "not_replied",
}
"""The cause of a notice by what the ticket lacks."""
SUSPENDED = "suspended"
DRILL = "drill"


class Step(NamedTuple):
    """Tell `tell` when `after` has passed since the stage's start or deadline, then again after each `repeat`.

    `next_recipients` are the next rank of the ticket's assignment, and `widen` further ranks with it.
    """

    after: Span
    tell: tuple[Whom, ...]
    since: Literal["start", "deadline"] = "start"
    widen: int = 0
    repeat: Span | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; what is as by default is left out."""
        said: dict[str, Any] = {"after": list(self.after), "tell": list(self.tell)}
        if self.since != "start":
            said["since"] = self.since
        if self.widen:
            said["widen"] = self.widen
        if self.repeat:
            said["repeat"] = list(self.repeat)
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Step":
        """The inverse of `as_json`."""
        repeat = Span(*said["repeat"]) if "repeat" in said else None
        return cls(Span(*said["after"]), tuple(said["tell"]), said.get("since", "start"), said.get("widen", 0), repeat)


Steps = Mapping[Stage, tuple[Step, ...]]


def _running(amount: int) -> Span:
    return Span("running", amount)


def _hours(amount: int) -> Span:
    return Span("hours", amount * HOUR)


_LINE: tuple[Whom, ...] = ("leader", "dispatchers")

_CRITICAL: Steps = {
    "assign": (Step(_running(2 * MINUTE), _LINE, repeat=_running(5 * MINUTE)),),
    "accept": (
        Step(_running(2 * MINUTE), ("next_recipients",), widen=1),
        Step(_running(4 * MINUTE), ("station",)),
        Step(_running(5 * MINUTE), ("leader",)),
        Step(_running(7 * MINUTE), ("dispatchers",), repeat=_running(5 * MINUTE)),
    ),
    "arrive": (
        Step(_running(0), ("holder", "leader"), "deadline"),
        Step(_running(5 * MINUTE), ("dispatchers", "station"), "deadline", repeat=_running(10 * MINUTE)),
    ),
    "handle": (
        Step(_running(0), ("holder", "leader"), "deadline"),
        Step(_running(15 * MINUTE), _LINE, "deadline", repeat=_running(HOUR)),
    ),
    "check": (Step(_running(2 * HOUR), _LINE, repeat=_running(4 * HOUR)),),
    "close": (Step(_running(4 * HOUR), ("dispatchers",), repeat=_hours(4)),),
    "reply": (Step(_running(0), ("holder", *_LINE), "deadline", repeat=_running(HOUR)),),
}
_ALARM: Steps = {
    "assign": (
        Step(_running(5 * MINUTE), ("dispatchers",)),
        Step(_running(10 * MINUTE), _LINE, repeat=_running(30 * MINUTE)),
    ),
    "accept": (
        Step(_running(5 * MINUTE), ("next_recipients",), widen=1),
        Step(_running(15 * MINUTE), ("station",)),
        Step(_running(20 * MINUTE), ("leader",)),
        Step(_running(25 * MINUTE), ("dispatchers",), repeat=_running(30 * MINUTE)),
    ),
    "arrive": (
        Step(_running(HOUR), ("holder",)),
        Step(_running(90 * MINUTE), _LINE, repeat=_running(HOUR)),
    ),
    "handle": (
        Step(_running(0), ("holder", "leader"), "deadline"),
        Step(_hours(1), _LINE, "deadline", repeat=_hours(4)),
    ),
    "check": (Step(_hours(4), _LINE, repeat=_hours(10)),),
    "close": (Step(_hours(10), ("dispatchers",), repeat=_hours(10)),),
    "reply": (Step(_running(0), ("holder", *_LINE), "deadline", repeat=_hours(4)),),
}
_WARNING: Steps = {
    "assign": (Step(_hours(1), ("dispatchers",)), Step(_hours(2), _LINE, repeat=_hours(4))),
    "accept": (
        Step(_hours(2), ("next_recipients",)),
        Step(_hours(4), ("next_recipients", "station")),
        Step(_hours(6), _LINE, repeat=_hours(4)),
    ),
    "arrive": (Step(_running(2 * HOUR), ("holder",)), Step(_running(3 * HOUR), _LINE, repeat=_hours(4))),
    "handle": (Step(_running(0), ("holder", "leader"), "deadline", repeat=_hours(10)),),
    "check": (Step(_hours(10), _LINE, repeat=_hours(10)),),
    "close": (Step(_hours(20), ("dispatchers",), repeat=_hours(20)),),
    "reply": (Step(_running(0), ("holder", *_LINE), "deadline", repeat=_hours(10)),),
}
_NOTICE: Steps = {
    **_WARNING,
    "accept": (
        Step(_hours(10), ("next_recipients",)),
        Step(_hours(20), ("dispatchers",), repeat=_hours(20)),
    ),
    "handle": (Step(_running(0), ("holder", "dispatchers"), "deadline", repeat=_hours(20)),),
}
DEFAULT_STEPS: Mapping[Severity, Steps] = {
    Severity.CRITICAL: _CRITICAL,
    Severity.ALARM: _ALARM,
    Severity.WARNING: _WARNING,
    Severity.NOTICE: _NOTICE,
}


@dataclass(frozen=True)
class EscalationPolicy:
    """The steps by severity and stage under a name; what a ticket got at its dispatch stays with it."""

    name: str = "default-1"
    steps: Mapping[Severity, Steps] = field(default_factory=lambda: DEFAULT_STEPS)


@dataclass(frozen=True)
class Snapshot:
    """The policy as a ticket has it, for the severity it had then, and the ticket's present stage with its start.

    `written` are its steps by stage as plain JSON values, read when they are needed.
    """

    name: str
    severity: int
    stage: str
    began: int
    written: Mapping[str, Sequence[Mapping[str, Any]]]

    def steps(self, stage: str) -> tuple[Step, ...]:
        """A stage's steps."""
        return tuple(Step.from_json(each) for each in self.written.get(stage, ()))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, as stored."""
        return {name: getattr(self, name) for name in ("name", "severity", "stage", "began", "written")}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Snapshot":
        """The inverse of `as_json`."""
        return cls(**said)


def write_steps(steps: Steps) -> dict[str, list[dict[str, Any]]]:
    """Steps by stage as plain JSON values."""
    return {stage: [each.as_json() for each in those] for stage, those in steps.items()}


class Progress(NamedTuple):
    """The last of a stage's steps that ran or was skipped, and when it was due."""

    step: int
    due_at: int


class DueStep(NamedTuple):
    """A step of a stage that began at `began_at`, due at `due_at`; `repeated` when it was due before."""

    stage: Stage
    began_at: int
    step: int
    due_at: int
    repeated: bool


class Next(NamedTuple):
    """What the ticket's row says: `next_at` is None unless something is scheduled; `why` names the reason."""

    state: Literal["scheduled", "waiting", "over"]
    stage: str
    began_at: int
    step: int
    next_at: int | None
    why: str


Done = Mapping[tuple[str, int], Progress]
"""How far each stage, by name and start, has come."""


def present_stage(ticket: Row) -> tuple[str, int]:
    """What a live ticket lacks, and since when at the earliest; "suspended" while its clocks stand still.

    Then only the answer to a supervision is still waited for. A ticket without a time for arrival waits for its
    handling, unless it is a matter of life and safety. One whose people are told in the morning lacks nothing before.
    """
    match ticket["status"]:
        case Status.DISPATCHED:
            return "accept", max(ticket["dispatched_at"] or 0, ticket["told_at"] or 0)
        case Status.ACCEPTED if ticket["on_scene_at"] is None and (ticket["arrive_by"] or ticket["life_safety"]):
            return "arrive", ticket["accepted_at"] or 0
        case Status.ACCEPTED | Status.ON_SCENE:
            return "handle", max(ticket["accepted_at"] or 0, ticket["on_scene_at"] or 0)
        case Status.HANDLED:
            return "check", ticket["handled_at"] or 0
        case Status.CHECKED:
            return "close", ticket["checked_at"] or 0
        case "suspended":
            return SUSPENDED, 0
    return "assign", ticket["reported_at"]


def snapshot(
    ticket: Row,
    before: Snapshot | None,
    now: int,
    policy: EscalationPolicy,
    done: Mapping[tuple[str, int], "Progress"] | None = None,
) -> Snapshot:
    """The policy that a ticket goes on with; `done` is what ran of it.

    It is taken when the ticket is first seen, dispatched anew, or graver than it was; the stage's clock starts with the
    stage, and anew when the ticket became graver, as its people are told anew, and when a step ran at a moment that
    lies ahead: the machine's clock was set back, and nobody is to wait until it is there again.
    """
    if before is not None and ticket["status"] in ENDED:
        return before
    stage, since = present_stage(ticket)
    graver = before is not None and ticket["severity"] > before.severity
    same = before is not None and before.stage == stage and not graver
    known = before.began if before and same else now
    ran = (done or {}).get((stage, known))
    set_back = ran is not None and ran.due_at > now + MINUTE
    began = _began(since, now if set_back else known, now, stage == "accept" and _waits(ticket))
    if before is None or graver or (stage == "accept" and began > before.began and not set_back):
        severity = Severity(ticket["severity"])
        return Snapshot(policy.name, int(severity), stage, began, write_steps(policy.steps.get(severity, {})))
    return Snapshot(before.name, before.severity, stage, began, before.written)


def _began(since: int, known: int, now: int, waits: bool) -> int:
    """When a stage's clock began; unless its people wait for the morning, what lies ahead is of a clock set back."""
    if not waits:
        since = since if since <= now + MINUTE else 0
        known = known if known <= now + MINUTE else now
    return max(since, known)


def decide_next(ticket: Row, own: Snapshot, done: Done, calendar: WorkCalendar) -> Next:
    """What is due next for a ticket, or the named reason why nothing is."""
    if ticket["status"] in ENDED:
        return Next("over", own.stage, own.began, 0, None, ticket["status"])
    if ticket["source"] == DRILL:
        return Next("waiting", own.stage, own.began, 0, None, "drill_has_its_own_window")
    coming = [_following(stage, own, done, calendar) for stage in _lacking(ticket, own)]
    found = min((each for each in coming if each), key=lambda each: each.due_at, default=None)
    if found is None:
        return _nothing_due(own, done.get((own.stage, own.began)))
    first = (found.stage, found.began_at) not in done
    why = (
        "waits_for_morning"
        if found.stage == "accept" and first and _told_in_the_morning(ticket)
        else f"no_{found.stage}"
    )
    return Next("scheduled", found.stage, found.began_at, found.step, found.due_at, why)


def _nothing_due(own: Snapshot, said: Progress | None) -> Next:
    """Why a live ticket has no next step."""
    step = said.step if said else 0
    why = SUSPENDED if own.stage == SUSPENDED else "all_steps_done" if said else "no_steps"
    return Next("waiting", own.stage, own.began, step, None, why)


def decide_due(
    ticket: Row, own: Snapshot, done: Done, now: int, calendar: WorkCalendar
) -> tuple[list[DueStep], list[DueStep]]:
    """The steps to run at `now` and those to skip: of each stage only the latest that is due runs."""
    if decide_next(ticket, own, done, calendar).state != "scheduled":
        return [], []
    run: list[DueStep] = []
    skip: list[DueStep] = []
    for stage in _lacking(ticket, own):
        due = list(_due(stage, own, done, now, calendar))
        latest = max((each.due_at for each in due), default=0)
        run += [each for each in due if each.due_at == latest]
        skip += [each for each in due if each.due_at < latest]
    return run, skip


class _Lacking(NamedTuple):
    stage: Stage
    began: int
    deadline: int | None


def _lacking(ticket: Row, own: Snapshot) -> Iterator[_Lacking]:
    """The present stage, and the answer to a supervision that is owed beside it."""
    deadlines = {"accept": ticket["accept_by"], "arrive": ticket["arrive_by"], "handle": ticket["done_by"]}
    for stage in STAGES:
        if stage == own.stage:
            yield _Lacking(stage, own.began, deadlines.get(stage))
    asked, answered = ticket["supervised_at"], ticket["replied_at"]
    if asked is not None and (answered is None or answered < asked):
        yield _Lacking("reply", asked, ticket["reply_by"])


def _waits(ticket: Row) -> bool:
    return (ticket["told_at"] or 0) > (ticket["dispatched_at"] or 0)


def _told_in_the_morning(ticket: Row) -> bool:
    """Mornings begin on the hour; a rise in severity, at which people are told anew, comes at any moment."""
    return _waits(ticket) and ticket["told_at"] % HOUR == 0


def _moments(lack: _Lacking, steps: Sequence[Step], calendar: WorkCalendar) -> Iterator[tuple[int, int]]:
    """Each step's number and first moment; none for what hangs on a deadline that there is not."""
    for number, step in enumerate(steps):
        base = lack.began if step.since == "start" else lack.deadline
        if base is not None:
            yield number, step.after.after(base, calendar)


def _coming(lack: _Lacking, own: Snapshot, done: Done, calendar: WorkCalendar) -> Iterator[DueStep]:
    """What a stage has still to do, in the order of its steps; an endless last one once."""
    steps = own.steps(lack.stage)
    said = done.get((lack.stage, lack.began))
    for number, due_at in _moments(lack, steps, calendar):
        if said is None or number > said.step:
            yield DueStep(lack.stage, lack.began, number, due_at, repeated=False)
    last = len(steps) - 1
    if said and said.step == last and (repeat := steps[last].repeat):
        yield DueStep(lack.stage, lack.began, last, repeat.after(said.due_at, calendar), repeated=True)


def _following(lack: _Lacking, own: Snapshot, done: Done, calendar: WorkCalendar) -> DueStep | None:
    return min(_coming(lack, own, done, calendar), key=lambda each: each.due_at, default=None)


def _due(lack: _Lacking, own: Snapshot, done: Done, now: int, calendar: WorkCalendar) -> Iterable[DueStep]:
    """What is due at `now`; of a step that comes again and again only the last time."""
    for each in _coming(lack, own, done, calendar):
        if each.due_at > now:
            continue
        repeat = own.steps(each.stage)[each.step].repeat
        yield _latest(each, repeat, now, calendar) if repeat else each


def _latest(each: DueStep, repeat: Span, now: int, calendar: WorkCalendar) -> DueStep:
    """The last time before or at `now` that a step is due."""
    if repeat.clock == "running":
        again = (now - each.due_at) // repeat.amount
        return each._replace(due_at=each.due_at + again * repeat.amount, repeated=each.repeated or again > 0)
    while (following := repeat.after(each.due_at, calendar)) <= now:
        each = each._replace(due_at=following, repeated=True)
    return each
