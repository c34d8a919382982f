"""延期 and 挂账: asked for by whoever works on a ticket, granted or refused by leader and desk.

An extension adds the original limit, twice at most and never after the time is over. A suspension stops the ticket's
clocks until its end; each deadline then moves by what its own clock would have run meanwhile.
"""

from alerts.deadlines import Span
from alerts.dispatching import desk_recipients, plan_again, tell
from alerts.lifecycle import Status
from alerts.move_decisions import end_of_suspension
from alerts.move_steps import Step, reached, take
from alerts.request_rows import RequestKind, answer_request, write_request
from alerts.suspension import resumed
from alerts.words import Row
from detectors.words import Severity


def ask(step: Step) -> Row:
    """Write the request and tell the desk."""
    kind: RequestKind = "extension" if step.asked.action == "ask_extension" else "suspension"
    until = step.asked.until if kind == "suspension" else None
    work = step.work
    write_request(work.connection, step.before["id"], kind, step.who, work.now, step.asked.opinion, until)
    after = take(step, {"until": until} if until is not None else None)
    work.notify(after, step.worst, desk_recipients(work), f"{kind}_asked", work.now)
    return after


def refuse(step: Step) -> Row:
    """Answer no, and tell who asked."""
    kind: RequestKind = "extension" if step.asked.action == "refuse_extension" else "suspension"
    work = step.work
    asked = step.standing.requests[kind]
    answer_request(work.connection, step.before["id"], kind, "refused", step.who, work.now, step.asked.opinion)
    after = take(step, {"request": asked["id"]})
    work.notify(after, step.worst, reached(work.town, asked["asked_by"]), f"{kind}_refused", work.now)
    return after


def extend(step: Step) -> Row:
    """Add the original limit to the time by which the ticket must be done."""
    work, before = step.work, step.before
    span = original_limit(step)
    done_by = span.after(before["done_by"], work.settings.calendar)
    answer_request(work.connection, before["id"], "extension", "granted", step.who, work.now, step.asked.opinion)
    after = take(
        step,
        {"from": before["done_by"], "to": done_by, "limit": str(span)},
        done_by=done_by,
        extensions=before["extensions"] + 1,
    )
    work.notify(after, step.worst, reached(work.town, before["accepted_by"]), "extended", work.now)
    return after


def original_limit(step: Step) -> Span:
    """How long handling may take, by the policy that the ticket keeps; by today's for one that keeps none."""
    level = Severity(step.before["severity"])
    kept = (step.before["policy"] or {}).get("spans", {}).get(level.name.lower(), {}).get("handle")
    return Span(*kept) if kept else step.work.settings.deadlines.limits[level].done


def suspend(step: Step) -> Row:
    """Stop the ticket's clocks until a moment."""
    work, before = step.work, step.before
    until = end_of_suspension(step.standing, step.asked)
    answer_request(work.connection, before["id"], "suspension", "granted", step.who, work.now, step.asked.opinion)
    after = take(step, {"until": until}, suspended_from=before["status"], resume_at=until)
    work.notify(after, step.worst, reached(work.town, before["accepted_by"]), "suspended", work.now)
    return after


def resume(step: Step) -> Row:
    """Let the ticket's clocks go on and tell those who have it."""
    after = take(step, **resumed(step.work, step.before))
    if after["status"] != Status.REGISTERED:
        tell(step.work, after, step.worst, plan_again(step.work, after), "resumed")
    else:
        step.work.notify(after, step.worst, desk_recipients(step.work), "resumed", step.work.now)
    return after
