"""What stands around a ticket: timers, escalation, requests, acceptances, photos, and the tickets it belongs with."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select

from alerts.case_tables import ticket_acceptance
from alerts.escalation_rows import standing
from alerts.escalation_tables import escalation_run
from alerts.lifecycle import LIVE
from alerts.photos import photos_of
from alerts.quiet_tables import storm
from alerts.request_rows import requests_of
from alerts.tables import ticket, ticket_log
from alerts.timers import timers_of
from alerts.words import Row
from console.dossier import rows

NEAR = 12
"""How many tickets are offered to merge into; any other by its number."""


class Case(NamedTuple):
    """The rows around one ticket, each kind in the order in which it happened."""

    timers: list[Row]
    escalation: Row | None
    runs: list[dict[str, Any]]
    requests: list[Row]
    acceptances: list[dict[str, Any]]
    photos: list[Row]
    related: list[dict[str, Any]]
    mergeable: list[dict[str, Any]]
    storm: dict[str, Any] | None

    @property
    def waiting(self) -> dict[str, Row]:
        """The requests that wait for an answer, by kind."""
        return {each["kind"]: each for each in self.requests if each["state"] == "waiting"}


def case_of(connection: Connection, about: Row) -> Case:
    """All that stands around a ticket."""
    number = about["id"]
    return Case(
        timers=timers_of(connection, number),
        escalation=standing(connection, [number]).get(number),
        runs=_runs(connection, number),
        requests=requests_of(connection, number),
        acceptances=_acceptances(connection, about),
        photos=photos_of(connection, number),
        related=_related(connection, about),
        mergeable=_mergeable(connection, about),
        storm=_storm(connection, about),
    )


def _runs(connection: Connection, number: int) -> list[dict[str, Any]]:
    its = select(escalation_run).where(escalation_run.c.ticket == number)
    return rows(connection, its.order_by(escalation_run.c.id))


def _acceptances(connection: Connection, about: Row) -> list[dict[str, Any]]:
    """Those of the present dispatch, as far as both must accept."""
    its = ticket_acceptance.c.ticket == about["id"]
    present = ticket_acceptance.c.dispatched_at == about["dispatched_at"]
    return rows(connection, select(ticket_acceptance).where(its, present).order_by(ticket_acceptance.c.id))


_SHORT = tuple(
    ticket.c[name]
    for name in (
        *("id", "number", "title", "title_en", "status", "severity", "hazard", "reported_at"),
        *("linked_to", "merged_into"),
    )
)


def _related(connection: Connection, about: Row) -> list[dict[str, Any]]:
    """The tickets that it follows, went on in or took in, and those that follow it; `as_what` says which.

    What it took in stands in its log; what follows a ticket is of its site and hazard.
    """
    number = about["id"]
    took_in = select(ticket_log.c.details).where(ticket_log.c.ticket == number, ticket_log.c.action == "merged_in")
    named = [about["linked_to"], about["merged_into"], *(each["ticket"] for each in connection.scalars(took_in))]
    others: list[ColumnElement[bool]] = [ticket.c.id.in_([each for each in named if each is not None])]
    if about["site"]:
        same = (ticket.c.site == about["site"]) & (ticket.c.hazard == about["hazard"])
        others.append(same & (ticket.c.linked_to == number))
    found = rows(connection, select(*_SHORT).where(or_(*others)).order_by(ticket.c.id))
    for each in found:
        each["as_what"] = _as_what(about, each)
    return found


def _as_what(about: Row, other: Row) -> str:
    if other["id"] == about["merged_into"]:
        return "merged_into"
    if other["merged_into"] == about["id"]:
        return "merged_in"
    return "follows" if other["id"] == about["linked_to"] else "followed_by"


def _mergeable(connection: Connection, about: Row) -> list[dict[str, Any]]:
    """Open tickets of the same site or the same kind in the same grid, the newest first: likely the same matter.

    Each kind is asked for by itself, so that each has an index.
    """
    if about["status"] not in LIVE:
        return []
    alike: list[ColumnElement[bool]] = []
    if about["site"]:
        alike.append(ticket.c.site == about["site"])
    if about["grid"]:
        alike.append((ticket.c.grid == about["grid"]) & (ticket.c.hazard == about["hazard"]))
    others = select(ticket.c.id).where(ticket.c.status.in_(sorted(LIVE)), ticket.c.id != about["id"])
    found = {
        number
        for same in alike
        for number in connection.scalars(others.where(same).order_by(ticket.c.id.desc()).limit(NEAR))
    }
    return rows(connection, select(*_SHORT).where(ticket.c.id.in_(found)).order_by(ticket.c.id.desc()).limit(NEAR))


def _storm(connection: Connection, about: Row) -> dict[str, Any] | None:
    """The storm that a ticket is the incident of."""
    if about["storm"] is None:
        return None
    return next(iter(rows(connection, select(storm).where(storm.c.id == about["storm"]))), None)
