"""督办: somebody presses for a ticket, it goes first, and whoever has it owes an answer."""

from alerts.dispatching import desk_recipients, plan_again, tell
from alerts.lifecycle import Status
from alerts.move_steps import Step, reached, take
from alerts.words import Row

_WITH_THE_DESK = frozenset({Status.REPORTED, Status.VERIFIED, Status.REGISTERED, Status.HANDLED, Status.CHECKED})


def supervise(step: Step) -> Row:
    """Raise the ticket's priority and want an answer, by the moment that was said or the policy's."""
    work, settings = step.work, step.work.settings
    reply_by = step.asked.until or settings.deadlines.reply.after(work.now, settings.calendar)
    after = take(
        step,
        {"reply_by": reply_by},
        priority=1,
        supervised_at=work.now,
        supervised_by=step.who,
        reply_by=reply_by,
        replied_at=None,
    )
    if step.standing.status in _WITH_THE_DESK:
        work.notify(after, step.worst, desk_recipients(work), "supervised", work.now)
    else:
        tell(work, after, step.worst, plan_again(work, after), "supervised")
    return after


def reply(step: Step) -> Row:
    """Answer, and tell who pressed; the priority stays to the end."""
    after = take(step, replied_at=step.work.now)
    supervisor = reached(step.work.town, step.before["supervised_by"])
    step.work.notify(after, step.worst, supervisor, "replied", step.work.now)
    return after
