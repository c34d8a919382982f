"""What closing an alert does to its ticket."""

from alerts.alert_rows import any_open, close_row
from alerts.desk_work import DeskWork
from alerts.lifecycle import LIVE, TRANSITIONS, Status
from alerts.storms import storm_goes_on
from alerts.ticket_decisions import decide_recovery
from alerts.tickets import note, read_ticket, update_ticket, was_noted, write_log
from alerts.words import PLATFORM, Row


def close_alert(work: DeskWork, alert: Row, how: str, who: str = PLATFORM) -> Row:
    """Close an open alert and let its ticket recover; the alert afterwards."""
    closed = close_row(work.connection, alert["id"], how, work.now)
    work.holding.closed(closed, who)
    work.alert_changed(closed, "closed")
    if closed["ticket"] is not None:
        _settle(work, read_ticket(work.connection, closed["ticket"]), closed, who)
    return closed


def _settle(work: DeskWork, ticket: Row, alert: Row, who: str) -> None:
    """已恢复 when its last alert is over; an unaccepted one that is nobody's danger ends as 自行恢复."""
    if ticket["storm"] is not None and storm_goes_on(work.connection, ticket["storm"]):
        return  # its end says so once; of thousands of alerts that end nobody wants a line each
    details = {"alert": alert["id"], "rule": alert["rule"], "how": alert["closed_how"]}
    write_log(
        work.connection, ticket, work.now, "alert_closed", alert["closed_how"], ticket["status"], who, details=details
    )
    if ticket["status"] not in LIVE:
        return
    left = any_open(work.connection, ticket["id"])
    chatters = alert["chattering"] is not None
    grave, wanted = ticket["life_safety"], "" if left else _wanted(work, ticket)
    action, reason = decide_recovery(ticket["status"], ticket["severity"], grave, left, chatters, wanted)
    if action == "none":
        return
    recovered = {"recovered_at": work.now}
    if action == "self_recover" and alert["closed_how"] != "by_hand":
        _end(work, ticket, reason)
        return
    if changed := update_ticket(work.connection, ticket, work.now, **recovered):
        note(work.connection, changed, work.now, "recovered", reason)
        work.ticket_changed(changed, "recovered")


def _wanted(work: DeskWork, ticket: Row) -> str:
    """Why a person wants a ticket looked at, whatever its alerts do; empty when nobody does."""
    if ticket["source"] not in _MEASURED:
        return "reported_by_a_person"
    if ticket["supervised_at"] is not None and ticket["replied_at"] is None:
        return "supervised"
    return "others_merged_into_it" if was_noted(work.connection, ticket["id"], "merged_in") else ""


_MEASURED = ("iot", "storm")


def _end(work: DeskWork, ticket: Row, reason: str) -> None:
    to = TRANSITIONS[Status(ticket["status"]), "self_recover"].to
    ended = {"status": to, "recovered_at": work.now, "closed_at": work.now, "result": "self_recovered"}
    if changed := update_ticket(work.connection, ticket, work.now, **ended):
        write_log(work.connection, changed, work.now, "self_recover", reason, ticket["status"])
        work.ticket_changed(changed, "self_recover")
        work.done["self_recovered"] += 1
