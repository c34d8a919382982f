"""What closed tickets say of the rules: each alert's label, and each rule's precision week by week."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from alerts.rows import rows
from alerts.tables import alert, ticket
from alerts.words import Row
from core.clock import DAY
from detectors.schedule import LOCAL

Label = Literal["real", "false", "unlabelled", "excluded"]

PRACTICE = ("test", "drill")
"""Causes of a false alarm that say nothing of the rule: somebody meant it to ring."""
_WEEK = 7 * DAY
_MONDAY = 3 * DAY  # the epoch was a Thursday


class Precision(NamedTuple):
    """How often a rule was right in one week (`week`: its Monday 00:00 local, µs UTC).

    `scope` is the site's or device's code, "" over the town. `unlabelled` alerts have no ticket, one still open, or one
    that ended by itself; `excluded` ones belong to a ticket that was void, merged or a test. Neither counts in `share`.
    """

    rule: str
    scope: str
    week: int
    real: int
    false: int
    unlabelled: int
    excluded: int

    @property
    def labelled(self) -> int:
        """The denominator of `share`: how many alerts somebody has judged."""
        return self.real + self.false

    @property
    def share(self) -> float | None:
        """Real ones of the labelled; None when nobody judged any.

        >>> Precision("gas.leak", "", 0, 3, 1, 9, 0).share
        0.75
        """
        return self.real / self.labelled if self.labelled else None


def label_of(status: str | None, result: str | None, cause: str | None) -> Label:
    """What a ticket's end (None: there is no ticket) says of its alerts.

    >>> [label_of("closed", "handled", ""), label_of("false_alarm", "false_alarm", "weather")]
    ['real', 'false']
    >>> [label_of("false_alarm", "false_alarm", "test"), label_of("closed", "self_recovered", "")]
    ['excluded', 'unlabelled']
    """
    if status in ("void", "merged"):
        return "excluded"
    if result == "false_alarm":
        return "excluded" if cause in PRACTICE else "false"
    return "real" if result == "handled" else "unlabelled"


def week_of(moment: int) -> int:
    """The Monday 00:00, local time, of a moment's week, both µs UTC.

    >>> from core.clock import local
    >>> local(week_of(1_790_000_000_000_000)).isoformat()
    '2026-09-21T00:00:00+08:00'
    """
    return (moment + LOCAL + _MONDAY) // _WEEK * _WEEK - _MONDAY - LOCAL


def precision_of(labels: Iterable[tuple[str, str, int, Label]]) -> list[Precision]:
    """Count labels (rule, scope, onset, label) by rule, scope and week, in this order.

    >>> precision_of([("a", "", 0, "real"), ("a", "", 1, "false")])[0].share
    0.5
    """
    counts: dict[tuple[str, str, int], dict[str, int]] = {}
    for rule, scope, onset, label in labels:
        found = counts.setdefault(
            (rule, scope, week_of(onset)), {"real": 0, "false": 0, "unlabelled": 0, "excluded": 0}
        )
        found[label] += 1
    return [_counted(key, counts[key]) for key in sorted(counts)]


def _counted(key: tuple[str, str, int], count: dict[str, int]) -> Precision:
    return Precision(*key, count["real"], count["false"], count["unlabelled"], count["excluded"])


LABEL: ColumnElement[str] = case(
    (ticket.c.status.in_(("void", "merged")), "excluded"),
    (and_(ticket.c.result == "false_alarm", ticket.c.result_cause.in_(PRACTICE)), "excluded"),
    (ticket.c.result == "false_alarm", "false"),
    (ticket.c.result == "handled", "real"),
    else_="unlabelled",
)
"""`label_of` as SQL, over `JUDGED`."""
JUDGED = alert.outerjoin(ticket, ticket.c.id == alert.c.ticket)
"""Alerts with the ticket that each belongs to, if any."""
By = Literal["rule", "site", "device"]
_SCOPES: dict[By, ColumnElement[Any] | None] = {"rule": None, "site": alert.c.site, "device": alert.c.subject_id}


def precision(connection: Connection, since: int, until: int, by: By = "rule", rule: str = "") -> list[Precision]:
    """Each rule's precision by local week over alerts with since <= onset < until; `rule` "" means every rule.

    By site, alerts on no site are left out; by device, those about anything else than a device.
    """
    week = ((alert.c.onset + LOCAL + _MONDAY) // _WEEK).label("week")
    scope = _SCOPES[by]
    keys: list[ColumnElement[Any]] = (
        [alert.c.rule, week, LABEL] if scope is None else [alert.c.rule, scope, week, LABEL]
    )
    query = select(*(key.label(f"k{place}") for place, key in enumerate(keys)), func.count().label("n"))
    query = query.select_from(JUDGED).where(alert.c.onset >= since, alert.c.onset < until)
    query = _narrowed(query, by, rule).group_by(*(f"k{place}" for place in range(len(keys))))
    counts: dict[tuple[str, str, int], dict[str, int]] = {}
    for row in connection.execute(query):
        code, place, number, label = (row[0], "", row[1], row[2]) if scope is None else row[:4]
        start = int(number) * _WEEK - _MONDAY - LOCAL
        found = counts.setdefault((code, place, start), dict.fromkeys(("real", "false", "unlabelled", "excluded"), 0))
        found[label] += row.n
    return [_counted(key, counts[key]) for key in sorted(counts)]


def _narrowed(query: Select[Any], by: By, rule: str) -> Select[Any]:
    if by == "site":
        query = query.where(alert.c.site.is_not(None))
    if by == "device":
        query = query.where(alert.c.subject_kind == "device")
    return query.where(alert.c.rule == rule) if rule else query


def labelled_alerts(connection: Connection, rules: Sequence[str], since: int, until: int) -> list[Row]:
    """The alerts of these rules on devices whose tickets were judged within [since, until), the first judged first.

    Each row has the alert's columns that a decision needs, `number` and `judged_at` of its ticket, `label` and `cause`.
    """
    columns = [alert.c[name] for name in _EVIDENCE]
    ends = (ticket.c.number, ticket.c.closed_at.label("judged_at"), ticket.c.result_cause.label("cause"))
    query = select(*columns, *ends, LABEL.label("label")).select_from(JUDGED)
    query = query.where(alert.c.rule.in_(rules), alert.c.subject_kind == "device", *_judged(since, until))
    return rows(connection, query.order_by(ticket.c.closed_at, alert.c.id))


_EVIDENCE = (
    *("id", "rule", "subject_id", "site", "severity", "life_safety", "value", "limit", "series", "onset"),
    *("closed_at", "rules_version"),
)


def rules_judged_false(connection: Connection, since: int, until: int, least: int) -> list[str]:
    """The rules with at least so many tickets that were false alarms within [since, until)."""
    tickets = func.count(ticket.c.id.distinct())
    query = select(alert.c.rule).select_from(JUDGED).where(LABEL == "false", *_judged(since, until))
    return list(
        connection.execute(query.group_by(alert.c.rule).having(tickets >= least).order_by(alert.c.rule)).scalars()
    )


def newest_judgement(connection: Connection) -> int:
    """When a ticket was last judged real or a false alarm, 0 when none ever was."""
    judged = or_(ticket.c.status == "closed", ticket.c.status == "false_alarm")
    newest: int = connection.execute(select(func.coalesce(func.max(ticket.c.closed_at), 0)).where(judged)).scalar_one()
    return newest


def _judged(since: int, until: int) -> list[ColumnElement[bool]]:
    ended = ticket.c.status.in_(("closed", "false_alarm"))
    return [ended, ticket.c.closed_at >= since, ticket.c.closed_at < until, LABEL.in_(("real", "false"))]
