"""Everything about one ticket, one site or one device, as the pages show it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from alerts.tables import alert, delivery, notice, ticket, ticket_log
from console.board import IS_OPEN
from console.stages import OPEN
from detectors.rules import Rule, RuleSet
from devices.tables import device, gateway, series, site

Row = dict[str, Any]
RECENT = 20


def rows(connection: Connection, query: Any) -> list[Row]:
    """The rows of a query as plain dicts."""
    return [dict(row) for row in connection.execute(query).mappings()]


def ticket_by_number(connection: Connection, number: str) -> Row | None:
    """A ticket by its public number."""
    return next(iter(rows(connection, select(ticket).where(ticket.c.number == number))), None)


def ticket_numbers(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """The public numbers of tickets by id."""
    query = select(ticket.c.id, ticket.c.number).where(ticket.c.id.in_(set(ids)))
    return {row.id: row.number for row in connection.execute(query)}


def alerts_of(connection: Connection, ticket_id: int) -> list[Row]:
    """The ticket's alerts, the first opened first."""
    return rows(connection, select(alert).where(alert.c.ticket == ticket_id).order_by(alert.c.opened_at, alert.c.id))


def log_of(connection: Connection, ticket_id: int) -> list[Row]:
    """The ticket's append-only log, in order."""
    return rows(connection, select(ticket_log).where(ticket_log.c.ticket == ticket_id).order_by(ticket_log.c.id))


def notices_of(connection: Connection, ticket_id: int) -> list[Row]:
    """The ticket's notices, each with its deliveries under `tries`."""
    found = rows(connection, select(notice).where(notice.c.ticket == ticket_id).order_by(notice.c.id))
    by_notice: dict[int, list[Row]] = {row["id"]: [] for row in found}
    for each in rows(connection, select(delivery).where(delivery.c.notice.in_(by_notice)).order_by(delivery.c.id)):
        by_notice[each["notice"]].append(each)
    for row in found:
        row["tries"] = by_notice[row["id"]]
    return found


def by_code(connection: Connection, table: Table, code: str | None) -> Row | None:
    """One row of a table that has a `code`."""
    return next(iter(rows(connection, select(table).where(table.c.code == code))), None) if code else None


def series_facts(connection: Connection, number: int) -> Row | None:
    """A series with its device's type and name."""
    query = select(series.c.number, series.c.metric, series.c.device, device.c.type, device.c.name, device.c.site)
    query = query.join(device, series.c.device == device.c.code).where(series.c.number == number)
    return next(iter(rows(connection, query)), None)


def devices_at(connection: Connection, site_code: str) -> list[Row]:
    """The devices of a site, retired ones left out."""
    query = select(device).where(device.c.site == site_code, device.c.state != "retired").order_by(device.c.code)
    return rows(connection, query)


def series_at(connection: Connection, device_codes: Sequence[str]) -> dict[str, list[Row]]:
    """The series of devices, by device."""
    found: dict[str, list[Row]] = {code: [] for code in device_codes}
    query = select(series).where(series.c.device.in_(device_codes)).order_by(series.c.number)
    for row in rows(connection, query):
        found[row["device"]].append(row)
    return found


def open_alerts_at(connection: Connection, site_code: str) -> list[Row]:
    """The open alerts of a site, the most severe first."""
    query = select(alert).where(IS_OPEN, alert.c.site == site_code).order_by(alert.c.severity.desc(), alert.c.id)
    return rows(connection, query)


def recent_tickets_at(connection: Connection, site_code: str) -> list[Row]:
    """The last tickets of a site, the newest first."""
    columns = [
        ticket.c[name] for name in ("number", "title", "title_en", "status", "severity", "hazard", "reported_at")
    ]
    return rows(
        connection, select(*columns).where(ticket.c.site == site_code).order_by(ticket.c.id.desc()).limit(RECENT)
    )


def gateway_of(connection: Connection, device_code: str) -> Row | None:
    """The gateway through which a device speaks."""
    query = select(gateway).join(device, device.c.gateway == gateway.c.code).where(device.c.code == device_code)
    return next(iter(rows(connection, query)), None)


def sites_named(connection: Connection, codes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Names (zh, en) of sites."""
    query = select(site.c.code, site.c.name, site.c.name_en).where(site.c.code.in_(set(codes)))
    return {row.code: (row.name, row.name_en or row.name) for row in connection.execute(query)}


def rule_of(rules: RuleSet, row: Mapping[str, Any]) -> Rule | None:
    """The rule behind an alert, None when the rules in force no longer have it."""
    return rules.rules.get(row["rule"])


def curve_of(rules: RuleSet, device_type: str, row: Mapping[str, Any], now: int) -> Row | None:
    """What a chart of an alert needs beside its readings: the limits as they hold for its device, the alert's span.

    None when the alert looks at no series.
    """
    if row["series"] < 0:
        return None
    rule = rule_of(rules, row)
    until = row["closed_at"] or now
    lead = max(600_000_000, (until - row["onset"]) // 3)
    measured = (
        rule.terms(device_type, row["site"] or "", row["subject_id"]) if rule and rule.kind == "threshold" else None
    )
    limits = {int(level): limit for level, limit in measured.limits.items()} if measured else {}
    return {
        "series": row["series"],
        "since": row["onset"] - lead,
        "until": min(now, until + lead) + 1,
        "limits": limits,
        "recovery": measured.recovery if measured else None,
        "unit": rule.unit if rule else "",
        "from": row["onset"],
        "to": row["closed_at"],
    }


def is_open(row: Mapping[str, Any]) -> bool:
    """Whether a ticket still wants work."""
    return row["status"] in OPEN
