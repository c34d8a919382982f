"""All that is known of one ticket, read once: what its evidence pack is made of. Times µs UTC, positions WGS84."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, select

from alerts.case_tables import ticket_acceptance
from alerts.escalation_tables import escalation_run
from alerts.photos import photos_of
from alerts.request_rows import requests_of
from alerts.rows import first_row, rows
from alerts.tables import alert, delivery, notice, person, station, team, ticket, ticket_log
from alerts.timers import timers_of
from alerts.words import Row
from core.clock import HOUR
from detectors.rule import Rule
from detectors.rules import UnknownRules, load_version
from devices.tables import device, grid, series, site, village

MARGIN = HOUR
"""How long before its alert began and after it ended a series' readings are taken."""
MOST_SERIES = 50
"""An incident of a storm has thousands of alerts: readings are taken of the gravest."""
MOST_ALERTS = 20_000
_AT_ONCE = 500
_GRAVEST = (alert.c.life_safety.desc(), alert.c.severity.desc(), alert.c.opened_at, alert.c.id)


class SeriesSpan(NamedTuple):
    """The readings that belong to a case: those of a series from `since` on until before `until`."""

    number: int
    device: str
    metric: str
    since: int
    until: int


@dataclass(frozen=True)
class CaseFile:
    """A ticket as it stands at `at`, with what belongs to it.

    `rules` are the rules of its alerts, by alert, as they were; `alert_count` is how many alerts it has, of which
    `alerts` are the gravest. `tries` are the attempts by notice. `names` gives people's, teams', stations' and devices'
    names by (kind, code).
    """

    at: int
    ticket: Row
    site: Row | None
    grid: Row | None
    village: Row | None
    alerts: list[Row]
    alert_count: int
    rules: Mapping[int, Rule]
    spans: list[SeriesSpan]
    timers: list[Row]
    requests: list[Row]
    acceptances: list[Row]
    escalations: list[Row]
    notices: list[Row]
    tries: Mapping[int, list[Row]]
    photos: list[Row]
    log: list[Row]
    names: Mapping[tuple[str, str], str]
    related: Mapping[str, str]

    def name(self, kind: str, code: str | None) -> str:
        """A person's, team's, station's or device's name beside its code; the code alone when it has no other."""
        known = self.names.get((kind, code or ""), "")
        return f"{known}（{code}）" if known and known != code else code or ""


def gather(connection: Connection, number: str, now: int) -> CaseFile | None:
    """The case of a ticket's public number as it stands at `now`; None when there is no such ticket."""
    about = first_row(connection, select(ticket).where(ticket.c.number == number))
    if about is None:
        return None
    of: int = about["id"]
    alerts = _alerts(connection, of)
    notices = _by_ticket(connection, notice, of)
    log = _by_ticket(connection, ticket_log, of)
    return CaseFile(
        at=now,
        ticket=about,
        site=_by_code(connection, site, about["site"]),
        grid=_by_code(connection, grid, about["grid"]),
        village=_by_code(connection, village, about["village"]),
        alerts=alerts,
        alert_count=_count(connection, of),
        rules=_rules(connection, alerts),
        spans=_spans(connection, alerts, now),
        timers=timers_of(connection, of),
        requests=requests_of(connection, of),
        acceptances=_by_ticket(connection, ticket_acceptance, of),
        escalations=_by_ticket(connection, escalation_run, of),
        notices=notices,
        tries=_tries(connection, notices),
        photos=photos_of(connection, of),
        log=log,
        names=_names(connection, alerts),
        related=_related(connection, about),
    )


def spans_of(connection: Connection, number: str, now: int) -> list[SeriesSpan] | None:
    """Which readings belong to a ticket, without reading all of it; None when there is no such ticket."""
    of = connection.scalar(select(ticket.c.id).where(ticket.c.number == number))
    if of is None:
        return None
    columns = (alert.c.series, alert.c.onset, alert.c.closed_at)
    its = select(*columns).where(alert.c.ticket == of, alert.c.series >= 0).order_by(*_GRAVEST).limit(MOST_ALERTS)
    return _spans(connection, rows(connection, its), now)


def _by_ticket(connection: Connection, table: Table, number: int) -> list[Row]:
    return rows(connection, select(table).where(table.c.ticket == number).order_by(table.c.id))


def _by_code(connection: Connection, table: Table, code: str | None) -> Row | None:
    return first_row(connection, select(table).where(table.c.code == code)) if code else None


def _alerts(connection: Connection, number: int) -> list[Row]:
    """The gravest first, of equals the first."""
    its = select(alert).where(alert.c.ticket == number)
    return rows(connection, its.order_by(*_GRAVEST).limit(MOST_ALERTS))


def _count(connection: Connection, number: int) -> int:
    count: int = connection.execute(select(func.count()).where(alert.c.ticket == number)).scalar_one()
    return count


def _rules(connection: Connection, alerts: Iterable[Row]) -> dict[int, Rule]:
    """The rule of each alert in the version that it was judged by; those that can't be read any more are left out."""
    found: dict[int, Rule] = {}
    versions: dict[int, Mapping[str, Rule]] = {}
    for each in alerts:
        version = each["rules_version"]
        if version not in versions:
            try:
                versions[version] = load_version(connection, version).rules
            except UnknownRules:
                versions[version] = {}
        if rule := versions[version].get(each["rule"]):
            found[each["id"]] = rule
    return found


def _spans(connection: Connection, alerts: Iterable[Row], now: int) -> list[SeriesSpan]:
    """One span a series: from the first of its alerts to the end of its last, with a margin on both sides."""
    spans: dict[int, tuple[int, int]] = {}
    for each in alerts:
        number = each["series"]
        if number < 0 or (number not in spans and len(spans) >= MOST_SERIES):
            continue
        since, until = each["onset"] - MARGIN, (each["closed_at"] or now) + MARGIN
        first, last = spans.get(number, (since, until))
        spans[number] = min(first, since), min(max(last, until), now + 1)
    known = rows(connection, select(series).where(series.c.number.in_(spans)).order_by(series.c.number))
    return [SeriesSpan(row["number"], row["device"], row["metric"], *spans[row["number"]]) for row in known]


def _tries(connection: Connection, notices: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    numbers = [row["id"] for row in notices]
    for start in range(0, len(numbers), _AT_ONCE):
        some = delivery.c.notice.in_(numbers[start : start + _AT_ONCE])
        for each in rows(connection, select(delivery).where(some).order_by(delivery.c.id)):
            found.setdefault(each["notice"], []).append(each)
    return found


def _names(connection: Connection, alerts: Iterable[Row]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for kind, table in (("person", person), ("team", team), ("station", station)):
        for code, name in connection.execute(select(table.c.code, table.c.name)):
            found[kind, code] = name
    codes = sorted({each["subject_id"] for each in alerts if each["subject_kind"] == "device"})
    for start in range(0, len(codes), _AT_ONCE):
        some = device.c.code.in_(codes[start : start + _AT_ONCE])
        for code, name in connection.execute(select(device.c.code, device.c.name).where(some)):
            found["device", code] = name
    return found


def _related(connection: Connection, about: Row) -> dict[str, str]:
    """The numbers of the tickets that it follows, was merged into, or that were merged into it."""
    found: dict[str, Any] = {}
    for column in ("linked_to", "merged_into"):
        if about[column] is not None:
            found[column] = connection.scalar(select(ticket.c.number).where(ticket.c.id == about[column]))
    merged = connection.scalars(
        select(ticket.c.number).where(ticket.c.merged_into == about["id"]).order_by(ticket.c.id)
    ).all()
    if merged:
        found["merged_here"] = ", ".join(merged)
    return {name: number for name, number in found.items() if number}
