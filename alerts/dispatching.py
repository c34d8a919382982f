"""Sending a ticket: whom the town offers, by when, and the notices that go out."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from alerts.assignment import Assignment, AssignmentFacts, StationFacts, TeamFacts, assign
from alerts.deadlines import Deadlines, deadlines
from alerts.desk_work import DeskWork
from alerts.lifecycle import WITH_THE_DESK, Status
from alerts.passing_on import tell_former
from alerts.responders import Responder, duty_state
from alerts.routes import routes_to
from alerts.tickets import note, update_ticket, write_log
from alerts.town_view import Person, Place, Station, Team, TownView
from alerts.words import PLATFORM, Recipient, Row
from detectors.words import Severity


def plan_assignment(work: DeskWork, ticket: Row, team: str | None = None, station: str | None = None) -> Assignment:
    """Choose for a ticket as it stands; `team` and `station` are the dispatcher's own choice.

    Of a storm's incident the desk, the duty leaders and every station hear, unless the dispatcher chooses.
    """
    town, settings = work.town, work.settings
    whole_town = ticket.get("source") == "storm" and not (team or station)
    place = town.sites.get(ticket["site"] or "")
    named = place.team if place and not whole_town else None
    teams = () if whole_town else _teams(work, ticket["grid"], team or named)
    stations = town.stations.values()
    work.rosters.read([*_everybody(town, teams)])
    ends = [*(("team", each.code) for each in teams), *(("station", each.code) for each in stations)]
    facts = AssignmentFacts(
        severity=Severity(ticket["severity"]),
        road=place is not None and place.kind == "road",
        grid=ticket["grid"],
        lng=ticket["lng"],
        lat=ticket["lat"],
        teams=[_team_facts(work, each) for each in teams],
        stations=[_station_facts(work, each) for each in stations],
        leaders=work.rosters.of(town.in_role.get("leader", ())),
        dispatchers=work.rosters.of(town.in_role.get("dispatcher", ())),
        policy=settings.dispatch,
        calendar=settings.calendar,
        team=team,
        station=station,
        life_safety=ticket["life_safety"],
        hazard=ticket["hazard"],
        routes=routes_to(work.connection, ticket["site"], ends, work.now),
        whole_town=whole_town,
        site_team=named,
        site_station=place.station if place else None,
    )
    return assign(facts, work.now)


def read_ahead(work: DeskWork, places: Iterable[Place]) -> None:
    """Read in one go what is known of all who come into question for tickets at these places."""
    people: dict[str, Person] = {}
    for place in places:
        site = work.town.sites.get(place.site or "")
        teams = _teams(work, place.grid, site.team if site else None)
        people |= {person.code: person for person in _everybody(work.town, teams)}
    work.rosters.read(people.values())


def _everybody(town: TownView, teams: Iterable[Team]) -> Iterator[Person]:
    """All who come into question: read in one go."""
    for team in teams:
        yield from town.patrol_of.get(team.code, ())
    for role in ("officer", "leader", "dispatcher"):
        yield from town.in_role.get(role, ())


def _teams(work: DeskWork, grid: str | None, named: str | None) -> tuple[Team, ...]:
    """The containing grid's patrols and those nearest to it, and the one that the dispatcher or the site names."""
    town = work.town
    found = town.teams_of.get(grid or "", ()) + town.near_teams(grid, work.settings.dispatch.neighbours)
    more = town.teams.get(named or "")
    return found if more is None or more in found else (*found, more)


def _team_facts(work: DeskWork, team: Team) -> TeamFacts:
    town = work.town
    people = work.rosters.of(town.patrol_of.get(team.code, ()))
    grid = town.grids.get(team.grid)
    return TeamFacts(team, people, town.contacts.get(("team", team.code), ()), grid.middle if grid else None)


def _station_facts(work: DeskWork, station: Station) -> StationFacts:
    town = work.town
    officers = work.rosters.of(town.officers_of.get(station.code, ()))
    return StationFacts(station, officers, town.contacts.get(("station", station.code), ()))


def send(
    work: DeskWork,
    ticket: Row,
    alert: Row | None,
    action: str,
    who: str = PLATFORM,
    opinion: str = "",
    team: str | None = None,
    station: str | None = None,
) -> Row | None:
    """Dispatch a registered ticket, or reassign one; the ticket afterwards, None when somebody was faster.

    Where the town offers neither team nor station the ticket stays registered and the dispatchers are told. Clocks for
    acceptance and arrival start now; the time by which it must be done stays, with what was granted or stood still.
    """
    plan = plan_assignment(work, ticket, team, station)
    placed = plan.team is not None or plan.station is not None
    values: dict[str, Any] = {**_sent_to(plan), **_clocks(work, ticket), "policy": _policy(work, ticket, alert)}
    if placed:
        values |= {"status": Status.DISPATCHED, "dispatched_at": work.now}
        values |= {"accepted_at": None, "accepted_by": None, "on_scene_at": None}
    sent = update_ticket(work.connection, ticket, work.now, **values)
    if sent is None:
        return None
    if placed:
        sent_to = {"team": plan.team, "station": plan.station}
        write_log(work.connection, sent, work.now, action, plan.reason, ticket["status"], who, opinion, sent_to)
    else:
        note(work.connection, sent, work.now, "await_dispatcher", plan.reason)
    tell(work, sent, alert, plan, "dispatched" if placed else "unassigned")
    if placed:
        tell_former(work, ticket, sent, alert, plan, who)
    work.ticket_changed(sent, action)
    return sent


def tell(work: DeskWork, ticket: Row, alert: Row | None, plan: Assignment, cause: str) -> None:
    """Notify whoever has accepted the ticket now, the others when they are due; note it when nobody can be reached.

    Of a ticket that waits for the desk its people hear too: nobody else can send anybody.
    """
    holder = _holder(work, ticket)
    others = [each for each in plan.at_once if each.code != ticket["accepted_by"]]
    if ticket["status"] in WITH_THE_DESK:
        known = {each.code for each in others}
        others += [each for each in desk_recipients(work) if each.code not in known]
    if not holder and not others:
        note(work.connection, ticket, work.now, "notify", "nobody_reachable", cause=cause)
    work.notify(ticket, alert, holder, cause, work.now)
    work.notify(ticket, alert, others, cause, plan.due_at)


def rise(work: DeskWork, ticket: Row, alert: Row) -> tuple[Row, Assignment]:
    """Bring a ticket up to an alert's severity: assigned anew, its deadlines tightened, never loosened."""
    raised = {
        "severity": max(ticket["severity"], alert["severity"]),
        "life_safety": ticket["life_safety"] or alert["life_safety"],
    }
    plan = plan_again(work, {**ticket, **raised})
    values: dict[str, Any] = {**raised, **_reaching(plan, ticket), **_tightened(work, ticket, raised["severity"])}
    changed = update_ticket(work.connection, ticket, work.now, **values)
    if changed is None:
        raise RuntimeError(f"ticket {ticket['id']} changed while the desk was held")
    return changed, plan


def plan_again(work: DeskWork, ticket: Row) -> Assignment:
    """The assignment as it would be now, keeping a dispatcher's own choice."""
    if (ticket["assignment"] or {}).get("reason") == "chosen_by_dispatcher":
        return plan_assignment(work, ticket, ticket["team"], ticket["station"])
    return plan_assignment(work, ticket)


def desk_recipients(work: DeskWork) -> list[Recipient]:
    """The dispatchers on duty, for a ticket that comes back to them; all of them, or leaders, rather than nobody."""
    known: list[Responder] = []
    for role in ("dispatcher", "leader"):
        known = known or [who for who in work.rosters.of(work.town.in_role.get(role, ())) if who.contacts]
    shifts = work.settings.dispatch.shifts
    on_duty = [who for who in known if duty_state(who, work.now, shifts).on]
    return [Recipient("person", who.person.code, *who.contacts[0], 0) for who in on_duty or known]


def _holder(work: DeskWork, ticket: Row) -> tuple[Recipient, ...]:
    """Whoever has accepted the ticket, on each of their channels in turn."""
    code = ticket["accepted_by"]
    contacts = work.town.contacts.get(("person", code), ()) if code else ()
    return tuple(Recipient("person", code, each.channel, each.address, 0) for each in contacts[:1])


def _sent_to(plan: Assignment) -> dict[str, Any]:
    return {
        "team": plan.team,
        "station": plan.station,
        "station_distance": plan.station_distance,
        "assignment": plan.as_json(),
    }


def _reaching(plan: Assignment, ticket: Row) -> dict[str, Any]:
    """What a rise adds to where a ticket was sent; nobody is taken off it."""
    sent = _sent_to(plan)
    if ticket["status"] in WITH_THE_DESK:
        return {"assignment": sent["assignment"]}
    kept = {name: ticket[name] for name in ("team",) if sent[name] is None}
    if plan.station is None:
        kept |= {name: ticket[name] for name in ("station", "station_distance")}
    return sent | kept


def _clocks(work: DeskWork, ticket: Row) -> dict[str, Any]:
    fresh = deadlines(ticket["severity"], work.now, work.settings.deadlines, work.settings.calendar)
    return _stored(fresh._replace(done_by=ticket["done_by"] or fresh.done_by))


def _tightened(work: DeskWork, ticket: Row, severity: int) -> dict[str, Any]:
    fresh = deadlines(severity, work.now, work.settings.deadlines, work.settings.calendar)
    done_by = ticket["done_by"] if ticket["done_by"] is not None else fresh.done_by
    before = Deadlines(ticket["accept_by"], ticket["arrive_by"], done_by, ticket["deadline_rule"])
    kept = {} if ticket["accepted_at"] is None else {"accept_by": ticket["accept_by"]}
    kept |= {} if ticket["on_scene_at"] is None else {"arrive_by": ticket["arrive_by"]}
    return _stored(fresh.tightened(before)) | kept


def _stored(times: Deadlines) -> dict[str, Any]:
    return {
        "accept_by": times.accept_by,
        "arrive_by": times.arrive_by,
        "done_by": times.done_by,
        "deadline_rule": times.rule,
    }


def _policy(work: DeskWork, ticket: Row, alert: Row | None) -> dict[str, Any]:
    """The policies as they are at dispatch, and the rule that made the ticket."""
    settings = work.settings
    made_by = (ticket["policy"] or {}).get("rule", {})
    if alert is not None and (rule := work.rules.get(alert["rule"])):
        made_by = {"id": rule.id, "standard": rule.standard, "edition": rule.edition, "version": alert["rules_version"]}
    return {
        "deadlines": settings.deadlines.name,
        "limits": {level.name.lower(): str(limits) for level, limits in settings.deadlines.limits.items()},
        "spans": settings.deadlines.as_json(),
        "working_hours": [settings.calendar.opens, settings.calendar.closes],
        "escalation": settings.escalation.name,
        "dispatch": asdict(settings.dispatch),
        "joining": asdict(settings.joining),
        "rule": made_by,
    }
