"""What a ticket's page shows, gathered in one reading of the database."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from alerts.escalation import Snapshot, Step
from alerts.fallback import stands_in
from alerts.lifecycle import LIVE
from alerts.receipts import proof
from alerts.tables import delivery, person, station, team
from console import board, dossier
from console.case import Case
from console.chain import chain, present_step, steps
from console.services import Services
from console.stages import clock_shown, desk_clock
from devices.tables import grid, site, village

Row = dossier.Row


def facts_of(connection: Connection, services: Services, row: Row, case: Case) -> dict[str, Any]:
    """The ticket, what measured it, who was told, and every name on the page."""
    alerts = dossier.alerts_of(connection, row["id"])
    notices = dossier.notices_of(connection, row["id"])
    log = dossier.log_of(connection, row["id"])
    say_proofs(connection, services, notices)
    rules = services.rules()
    devices, now = services.town().devices, services.clock.now()
    row["desk"] = desk_clock(row)
    types = [devices[each["subject_id"]].type if each["subject_id"] in devices else "" for each in alerts]
    curves = [dossier.curve_of(rules, kind, each, now) for kind, each in zip(types, alerts, strict=True)]
    return {
        "ticket": row,
        "case": case,
        "alerts": alerts,
        "notices": notices,
        "unproven": board.UNPROVEN,
        "missing": sum(each["state"] in board.UNPROVEN for each in notices),
        "next_step": next_step(case.escalation),
        "live": row["status"] in LIVE,
        "log": log,
        "hops": chain(row, alerts, notices),
        "steps": steps(row),
        "stands": present_step(row),
        "curves": [curve for curve in curves if curve],
        "rules": rules.rules,
        "site": dossier.by_code(connection, site, row["site"]),
        "grid": dossier.by_code(connection, grid, row["grid"]),
        "village": dossier.by_code(connection, village, row["village"]),
        "names": _names(connection, row, case, notices, log),
        "due": clock_shown(row),
    }


def say_proofs(connection: Connection, services: Services, notices: list[Row]) -> None:
    """Add to each notice what is known of its arrival, and how many others were listed in the same message.

    `told_before`: it failed, and who stands in for it was told of an earlier one for the same cause.
    """
    attempts = {each["attempt"] for each in notices if each["attempt"] is not None}
    carried = select(delivery.c.id, delivery.c.notices).where(delivery.c.id.in_(attempts))
    together: dict[int, int] = {row.id: row.notices for row in connection.execute(carried)}
    stood_in = {each["key"].rsplit(":", 3)[0] for each in notices if each["instead_of"] is not None}
    replaced = {each["instead_of"] for each in notices}
    for each in notices:
        gone = each["state"] in ("failed", "expired") and each["id"] not in replaced
        each["told_before"] = gone and stands_in(each) in stood_in
        each["proof"] = proof(each, each["channel"] in services.doors.receipts, services.clock.now())
        each["listed"] = together.get(each["attempt"], 1) - 1


def next_step(known: Mapping[str, Any] | None) -> Step | None:
    """The step of the ticket's own policy that is scheduled."""
    if known is None or known["state"] != "scheduled":
        return None
    steps_of_stage = Snapshot.from_json(known["policy"]).steps(known["stage"])
    return steps_of_stage[known["step"]] if known["step"] < len(steps_of_stage) else None


def _names(
    connection: Connection, row: Row, case: Case, notices: list[Row], log: list[Row]
) -> dict[str, tuple[str, str]]:
    """Names of everybody who appears on the page, by code."""
    who = {each["recipient"] for each in notices} | {each["who"] for each in log}
    who |= {(each["details"] or {}).get("by") for each in log}
    who |= {each["person"] for each in case.acceptances} | {each["who"] for each in case.photos}
    who |= {code for each in case.requests for code in (each["asked_by"], each["decided_by"])}
    who |= {row["accepted_by"], row["handled_by"], row["supervised_by"]}
    names = board.names_of(connection, person, [*who])
    names.update(board.names_of(connection, station, [*who, row["station"]]))
    names.update(board.names_of(connection, team, [*who, row["team"]]))
    return names
