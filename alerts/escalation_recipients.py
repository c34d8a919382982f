"""Whom a step of an escalation tells, out of the assignment as it would be made now; pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from alerts.escalation import Step, Whom
from alerts.words import Recipient

Told = Collection[tuple[str, str, str]]
"""Who was told of the ticket since it was sent: kind, code and channel."""
_UP_THE_LINE = ("leader", "dispatcher")


class Circle(NamedTuple):
    """Everybody who comes into question for a ticket now.

    `plan` are the recipients of the assignment in the order of its steps, `desk` the dispatchers on duty (all of them
    where nobody is), `leaders` likewise, `holder` whoever accepted the ticket; `roles` are people's roles by code.
    """

    plan: Sequence[Recipient]
    leaders: Sequence[Recipient]
    desk: Sequence[Recipient]
    holder: Sequence[Recipient]
    roles: Mapping[str, str]


class Choice(NamedTuple):
    """Who is told, each on one channel, and why these."""

    recipients: tuple[Recipient, ...]
    reason: str


def choose(step: Step, circle: Circle, told: Told) -> Choice:
    """Whom a step tells; where it names nobody the leaders, then the dispatchers, then all who were told before."""
    found: list[Recipient] = []
    for whom in step.tell:
        found += _WAYS[whom](circle, told, step.widen)
    if found:
        return Choice(_once(found), "as_the_policy_says")
    for reason, instead in (
        ("nobody_left_leader", circle.leaders),
        ("nobody_left_dispatcher", circle.desk),
        ("nobody_left_all_again", circle.plan),
    ):
        if instead:
            return Choice(_once(_one_channel_each(instead, told)), reason)
    return Choice((), "nobody_reachable")


def _next(circle: Circle, told: Told, widen: int) -> list[Recipient]:
    """The first ranks of the assignment in which somebody has not been told yet, on a channel not yet used."""
    fresh = [each for each in circle.plan if _place(each) not in told and not _is_up_the_line(each, circle)]
    ranks = sorted({each.step for each in fresh})[: 1 + widen]
    return [each for each in fresh if each.step in ranks]


def _station(circle: Circle, told: Told, _widen: int) -> list[Recipient]:
    """The nearest station of the assignment that was not told yet, else the ticket's own once more."""
    officers = [each for each in circle.plan if each.kind == "station" or circle.roles.get(each.code) == "officer"]
    fresh = [each for each in officers if _place(each) not in told]
    if fresh:
        first = min(each.step for each in fresh)
        return [each for each in fresh if each.step == first]
    again = min((each.step for each in officers), default=0)
    return [each for each in officers if each.step == again]


def _leader(circle: Circle, told: Told, _widen: int) -> list[Recipient]:
    return _one_channel_each(circle.leaders, told)


def _dispatchers(circle: Circle, told: Told, _widen: int) -> list[Recipient]:
    return _one_channel_each(circle.desk, told)


def _holder(circle: Circle, told: Told, _widen: int) -> list[Recipient]:
    return _one_channel_each(circle.holder, told)


def _all_on_duty(circle: Circle, told: Told, _widen: int) -> list[Recipient]:
    return _one_channel_each((*circle.holder, *circle.plan, *circle.leaders, *circle.desk), told)


_WAYS: dict[Whom, Callable[[Circle, Told, int], list[Recipient]]] = {
    "next_recipients": _next,
    "station": _station,
    "leader": _leader,
    "dispatchers": _dispatchers,
    "all_on_duty": _all_on_duty,
    "holder": _holder,
}


def _one_channel_each(recipients: Iterable[Recipient], told: Told) -> list[Recipient]:
    """Each on the first channel on which they were not told yet, else on their first."""
    by_person: dict[tuple[str, str], list[Recipient]] = {}
    for each in recipients:
        by_person.setdefault((each.kind, each.code), []).append(each)
    return [next((each for each in theirs if _place(each) not in told), theirs[0]) for theirs in by_person.values()]


def _once(recipients: Iterable[Recipient]) -> tuple[Recipient, ...]:
    """Each address once, told at once."""
    return tuple(dict.fromkeys(each._replace(step=0) for each in recipients))


def _place(each: Recipient) -> tuple[str, str, str]:
    return each.kind, each.code, each.channel


def _is_up_the_line(each: Recipient, circle: Circle) -> bool:
    return each.kind == "person" and circle.roles.get(each.code) in _UP_THE_LINE
