"""What becomes of an alert that is to be paged: it is held, or it finds its ticket; what was held is released."""

from typing import Any

from alerts.alert_rows import update_alert
from alerts.desk_work import DeskWork
from alerts.quiet_decisions import Hold
from alerts.ticketing import place_alert, raise_alert
from alerts.tickets import note, read_ticket
from alerts.words import Row


def place_or_hold(work: DeskWork, alert: Row, quietly: bool = False) -> Row:
    """Hold an alert that opened, opened again or is paged now, or find its ticket; the alert afterwards.

    `quietly`: who knows of its ticket is not told again.
    """
    held = work.holding.decide(alert)
    after = _hold(work, alert, held) if held else _free(work, alert, quietly)
    work.holding.opened(after)
    return after


def raise_or_hold(work: DeskWork, alert: Row) -> Row:
    """Let an alert that rose be heard on its ticket; a held one that its hold does not cover any more is released."""
    if alert["held"] is None:
        after = raise_alert(work, alert) if alert["ticket"] is not None else place_or_hold(work, alert)
    else:
        after = hold_again(work, alert)
    work.holding.opened(after)
    return after


def hold_again(work: DeskWork, alert: Row) -> Row:
    """Judge a held alert anew: the hold stays, another one takes over, or it is released; the alert afterwards."""
    hold = work.holding.decide(alert) or work.holding.lingering(alert)
    if hold is None:
        return release(work, alert)
    if (hold.kind, hold.by) == (alert["held"], alert["held_by"]):
        return alert
    return _hold(work, alert, hold)


def release(work: DeskWork, alert: Row) -> Row:
    """Find the ticket of an alert whose hold is over; the alert afterwards."""
    freed = update_alert(work.connection, alert["id"], held=None, held_by=None, updated_at=work.now)
    placed = place_alert(work, freed)
    work.holding.opened(placed)
    if placed["ticket"] is not None:
        ticket = read_ticket(work.connection, placed["ticket"])
        was = {"alert": alert["id"], "held": alert["held"], "by": alert["held_by"]}
        note(work.connection, ticket, work.now, "released", "hold_over", **was)
    work.done["released"] += 1
    return placed


def _free(work: DeskWork, alert: Row, quietly: bool) -> Row:
    if alert["held"] is not None:
        alert = update_alert(work.connection, alert["id"], held=None, held_by=None)
    return place_alert(work, alert, quietly)


def _hold(work: DeskWork, alert: Row, hold: Hold) -> Row:
    trail: dict[str, Any] = {**hold._asdict(), "since": work.now}
    evidence = {**(alert["evidence"] or {}), "held": trail}
    work.done["held"] += 1
    return update_alert(work.connection, alert["id"], held=hold.kind, held_by=hold.by, evidence=evidence)
