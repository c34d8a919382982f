"""Warnings of the models of normal: what people said of them, which moves a series' share of the budget."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, insert, select, update

from alerts.anomaly_tables import anomaly_label, anomaly_view
from alerts.labels import JUDGED, LABEL
from alerts.rows import rows
from alerts.tables import alert, ticket
from alerts.words import Row
from core.clock import DAY

Verdict = Literal["false", "real"]
RULES = "anomaly.%"
"""Rules whose alerts are warnings of the models."""
TERM = 180 * DAY
"""So long a label counts: sensors and surroundings change."""
_OURS = (alert.c.rule.like(RULES), alert.c.subject_kind == "device")


class LabelRefused(ValueError):
    """The alert is not a warning of the models, or was labelled already. `reason` is a word for the page's texts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Counted(NamedTuple):
    """False alarms and real ones of a series."""

    false: int = 0
    real: int = 0


def say(connection: Connection, alert_id: int, verdict: Verdict, who: str, now: int) -> None:
    """Note that a warning was false or real; what stood before on the same warning is withdrawn.

    Raises LabelRefused: "unknown" for another alert's number, "none" if it does not tell its metric.
    """
    found = connection.execute(
        select(alert.c.subject_id, alert.c.evidence).where(alert.c.id == alert_id, *_OURS)
    ).first()
    if found is None:
        raise LabelRefused("unknown")
    metric = found.evidence.get("metric")
    if not metric:
        raise LabelRefused("none")
    withdraw(connection, alert_id, who, now)
    row = {"alert": alert_id, "device": found.subject_id, "metric": metric, "verdict": verdict, "who": who, "at": now}
    connection.execute(insert(anomaly_label).values(**row))


def withdraw(connection: Connection, alert_id: int, who: str, now: int) -> bool:
    """Take back what stands on a warning; whether anything stood."""
    standing = (anomaly_label.c.alert == alert_id, anomaly_label.c.withdrawn_at.is_(None))
    done = connection.execute(update(anomaly_label).where(*standing).values(withdrawn_at=now, withdrawn_by=who))
    return done.rowcount > 0


def label_counts(connection: Connection, now: int) -> dict[tuple[str, str], Counted]:
    """Of each series (device, metric): what the desk said within TERM, else what its warning's ticket ended with."""
    counts: dict[tuple[str, str], Counted] = {}
    said: set[int] = set()
    standing = (anomaly_label.c.withdrawn_at.is_(None), anomaly_label.c.at >= now - TERM)
    for row in connection.execute(select(anomaly_label).where(*standing)):
        _count(counts, (row.device, row.metric), row.verdict)
        said.add(row.alert)
    for row in connection.execute(_judged_by_ticket(now)):
        if row.id not in said and row.evidence.get("metric"):
            _count(counts, (row.subject_id, row.evidence["metric"]), row.label)
    return counts


def _judged_by_ticket(now: int) -> Select[Any]:
    columns = (alert.c.id, alert.c.subject_id, alert.c.evidence, LABEL.label("label"))
    ended = (ticket.c.closed_at >= now - TERM, LABEL.in_(("real", "false")))
    return select(*columns).select_from(JUDGED).where(*_OURS, *ended)


def _count(counts: dict[tuple[str, str], Counted], series: tuple[str, str], verdict: str) -> None:
    before = counts.get(series, Counted())
    counts[series] = before._replace(**{verdict: getattr(before, verdict) + 1})


def warnings_since(connection: Connection, since: int, limit: int) -> list[Row]:
    """Warnings opened since a moment, the newest first, with the label that stands: `verdict`, `who`, `said_at`."""
    columns = ("id", "subject_id", "rule", "onset", "state", "value", "evidence", "opened_at", "closed_at", "ticket")
    label = (anomaly_label.c.verdict, anomaly_label.c.who, anomaly_label.c.at.label("said_at"))
    standing = (anomaly_label.c.alert == alert.c.id) & anomaly_label.c.withdrawn_at.is_(None)
    query = select(*(alert.c[name] for name in columns), *label).select_from(alert.outerjoin(anomaly_label, standing))
    query = query.where(*_OURS, alert.c.opened_at >= since).order_by(alert.c.id.desc()).limit(limit)
    return rows(connection, query)


def keep_view(connection: Connection, at: int, body: Mapping[str, Any]) -> None:
    """Replace what the models say of themselves."""
    done = connection.execute(update(anomaly_view).values(at=at, body=dict(body)))
    if done.rowcount == 0:
        connection.execute(insert(anomaly_view).values(one=1, at=at, body=dict(body)))


def read_view(connection: Connection) -> dict[str, Any] | None:
    """What the models said of themselves last, with `at` (µs UTC); None if they never did."""
    found = connection.execute(select(anomaly_view.c.at, anomaly_view.c.body)).first()
    return None if found is None else {**found.body, "at": found.at}
