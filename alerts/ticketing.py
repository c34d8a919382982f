"""Putting alerts on tickets: a new one, one open nearby, one that goes back to work, one linked to an ended one."""

from typing import Any

from alerts.admitting import MEASURED, admit
from alerts.alert_rows import put_on_ticket, ticket_before, tickets_of_members, update_alert
from alerts.deadlines import deadlines
from alerts.desk_work import DeskWork
from alerts.dispatching import plan_again, rise, send, tell
from alerts.joining import ended_tickets, live_tickets
from alerts.lifecycle import LIVE, WORKED_OFF, Status
from alerts.storms import incident, join_storm, storm_of, storm_rises, storm_under_way
from alerts.suspension import wake, wakes
from alerts.ticket_decisions import AlertFacts, TicketDecision, decide_ticket
from alerts.tickets import insert_ticket, note, read_ticket, update_ticket, write_log
from alerts.town_view import Place
from alerts.words import UNNAMED, Row
from detectors.words import Subject


def place_alert(work: DeskWork, alert: Row, quietly: bool = False) -> Row:
    """Find or make the ticket of an alert that opened, opened again or is paged now; the alert with its ticket.

    With `quietly` nobody is told of it on a ticket that they know, unless it raises the ticket or sends it back.
    """
    if not alert["paged"]:
        return alert
    alert = _apart(work, alert)
    if (storm := _storm_at_once(work, alert)) is not None:
        return _into_storm(work, alert, storm)
    decision = _decide(work, alert)
    if decision.action in ("create", "link"):
        storm = storm_of(work, alert)
        return _into_storm(work, alert, storm) if storm else _new_ticket(work, alert, decision)
    if decision.ticket is None:
        raise RuntimeError(f"{decision.action} names no ticket")
    ticket = read_ticket(work.connection, decision.ticket)
    if (storm := _its_storm(work, ticket)) is not None:
        return _into_storm(work, alert, storm)
    placed = put_on_ticket(work.connection, alert, decision.ticket)
    again = alert["ticket"] == decision.ticket
    cause = "" if quietly else "reopened" if again else "joined" if alert["life_safety"] else ""
    press(work, ticket, placed, decision.reason, cause)
    work.done["joined"] += not again
    return placed


def raise_alert(work: DeskWork, alert: Row) -> Row:
    """Let a ticket follow a rise of one of its alerts.

    On an ended ticket only life-safety speaks again, on a new one linked to it.
    """
    if alert["ticket"] is None:
        return place_alert(work, alert)
    if (apart := _apart(work, alert)) is not alert:
        return place_alert(work, apart)
    ticket = read_ticket(work.connection, alert["ticket"])
    if (storm := _its_storm(work, ticket)) is not None:
        return _into_storm(work, alert, storm)
    if ticket["status"] in LIVE:
        press(work, ticket, alert, "severity_raised", "raised")
    elif alert["life_safety"]:
        return _new_ticket(work, alert, TicketDecision("link", ticket["id"], "raised_after_the_end"))
    else:
        note(work.connection, ticket, work.now, "alert_raised", "ended_ticket_stays_quiet", **_named(alert))
    return alert


def _apart(work: DeskWork, alert: Row) -> Row:
    """Danger to life leaves the incident of a storm that it was part of; the alert afterwards."""
    if not alert["life_safety"] or alert["ticket"] is None:
        return alert
    ticket = read_ticket(work.connection, alert["ticket"])
    if ticket["storm"] is None:
        return alert
    note(work.connection, ticket, work.now, "alert_left", "life_safety_stands_alone", **_named(alert))
    return update_alert(work.connection, alert["id"], ticket=None)


def press(work: DeskWork, ticket: Row, alert: Row, reason: str, cause: str) -> None:
    """Let news of an alert weigh on its live ticket.

    A ticket that was handled goes back to work, a graver alert brings it up, and who must hear of it is told; an empty
    `cause` with neither tells nobody.
    """
    plan = None
    if wakes(ticket, alert):
        ticket, cause = wake(work, ticket, _named(alert)), cause or "resumed"
    if ticket["status"] in WORKED_OFF:
        ticket, cause = send_back(work, ticket, reason, _named(alert)), "sent_back"
    elif ticket["recovered_at"] is not None:
        ticket = _changed(work, ticket, recovered_at=None)
    if alert["severity"] > ticket["severity"] or (alert["life_safety"] and not ticket["life_safety"]):
        graver = alert["severity"] > ticket["severity"]
        ticket, plan = rise(work, ticket, alert)
        cause = cause or ("raised" if graver else "joined")
    note(work.connection, ticket, work.now, "alert_" + (cause or "joined"), reason, **_named(alert))
    if cause:
        tell(work, ticket, alert, plan or plan_again(work, ticket), cause)
    work.ticket_changed(ticket, cause or "joined")


def _its_storm(work: DeskWork, ticket: Row) -> Row | None:
    """The storm that goes on and whose incident a ticket is."""
    if ticket["storm"] is None:
        return None
    storm = storm_under_way(work, ticket["hazard"])
    return storm if storm and storm["ticket"] == ticket["id"] else None


def _storm_at_once(work: DeskWork, alert: Row) -> Row | None:
    """The storm under way for an alert that never had a ticket and is no finding made of other alerts."""
    if alert["life_safety"] or alert["ticket"] is not None or (alert["evidence"] or {}).get("members"):
        return None
    return storm_under_way(work, alert["hazard"])


def _into_storm(work: DeskWork, alert: Row, storm: Row) -> Row:
    placed = join_storm(work, alert, storm)
    ticket = incident(work, storm)
    if ticket["status"] in WORKED_OFF or wakes(ticket, alert):
        press(work, ticket, placed, "alert_after_handling" if ticket["status"] in WORKED_OFF else "storm_rises", "")
        incident(work, storm, changed=True)
    elif alert["severity"] > ticket["severity"]:
        storm_rises(work, ticket, placed)
        incident(work, storm, changed=True)
    return placed


def _decide(work: DeskWork, alert: Row) -> TicketDecision:
    joining = work.settings.joining
    facts = AlertFacts(
        paged=alert["paged"],
        site=alert["site"],
        road=work.town.place(Subject(alert["subject_kind"], alert["subject_id"])).road,
        hazard=alert["hazard"],
        lng=alert["lng"],
        lat=alert["lat"],
        ticket=alert["ticket"],
        members=_members(work, alert),
    )
    metres = max(joining.radius, joining.road_radius)
    around = work.town.nearby.sites(facts.lng, facts.lat, metres) if facts.lng and facts.lat else ()
    live = live_tickets(work.connection, facts, around, metres)
    decision = decide_ticket(facts, live, (), work.now, joining)
    if decision.action != "create":
        return decision
    ended = ended_tickets(work.connection, facts, work.now - joining.linked_within)
    return decide_ticket(facts, live, ended, work.now, joining)


def _members(work: DeskWork, alert: Row) -> tuple[int, ...]:
    """The tickets of what an alert is made of; of what is nowhere also the one that it had the last time.

    Danger to life is part of no storm, whatever it is made of.
    """
    found = tickets_of_members(work.connection, alert["evidence"] or {})
    if alert["ticket"] is None and alert["site"] is None and alert["lng"] is None:
        found += ticket_before(work.connection, alert)
    if not alert["life_safety"]:
        return found
    return tuple(each for each in found if read_ticket(work.connection, each)["storm"] is None)


def _new_ticket(work: DeskWork, alert: Row, decision: TicketDecision) -> Row:
    """Report, verify, register and dispatch in one go, each with its log row."""
    place = work.town.place(Subject(alert["subject_kind"], alert["subject_id"]))
    ticket = insert_ticket(
        work.connection,
        work.now,
        source="iot",
        status=Status.REGISTERED,
        linked_to=decision.ticket,
        **{name: alert[name] for name in ("hazard", "category", "severity", "life_safety", "site", "lng", "lat")},
        **_titled(work, alert, place),
    )
    verified = "found_by_the_platform" if alert["subject_kind"] == "platform" else MEASURED
    admit(work.connection, ticket, work.now, decision.reason, _named(alert), verified)
    placed = put_on_ticket(work.connection, alert, ticket["id"])
    if send(work, ticket, placed, "dispatch") is None:
        raise RuntimeError(f"ticket {ticket['id']} changed while the desk was held")
    work.done["tickets"] += 1
    return placed


def _titled(work: DeskWork, alert: Row, place: Place) -> dict[str, Any]:
    """What the ticket is called and where it is; a gateway's names how many devices are silent with it."""
    rule = work.rules.get(alert["rule"])
    zh, en = (rule.title_zh, rule.title_en) if rule else UNNAMED
    if alert["subject_kind"] == "gateway" and place.devices:
        zh, en = f"{zh}（所带设备 {place.devices} 台）", f"{en} ({place.devices} devices behind it)"
    return {
        "title": zh,
        "title_en": en,
        "class_code": rule.class_code if rule else "",
        "address": place.address,
        "village": place.village,
        "grid": place.grid,
    }


def send_back(work: DeskWork, ticket: Row, reason: str, details: dict[str, Any]) -> Row:
    """To whoever had accepted it: life-safety needs arrival anew, and what happened anew has a time of its own."""
    undone = {"handled_at": None, "handled_by": None, "checked_at": None, "on_scene_at": None, "recovered_at": None}
    fresh = deadlines(ticket["severity"], work.now, work.settings.deadlines, work.settings.calendar)
    done_by = max(fresh.done_by, ticket["done_by"] or 0)
    after = _changed(
        work,
        ticket,
        status=Status.ACCEPTED,
        arrive_by=fresh.arrive_by,
        done_by=done_by,
        deadline_rule=fresh.rule,
        **undone,
    )
    write_log(work.connection, after, work.now, "send_back", reason, ticket["status"], details=details)
    work.done["sent_back"] += 1
    return after


def _changed(work: DeskWork, ticket: Row, **values: Any) -> Row:
    after = update_ticket(work.connection, ticket, work.now, **values)
    if after is None:
        raise RuntimeError(f"ticket {ticket['id']} changed while the desk was held")
    return after


def _named(alert: Row) -> dict[str, Any]:
    names = ("rule", "subject_kind", "subject_id", "severity", "value", "limit")
    return {"alert": alert["id"], **{name: alert[name] for name in names}}
