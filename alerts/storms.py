"""Storms in the database: one incident ticket for what many sites say at once, its beginning, growth and end."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, text, update

from alerts.admitting import admit
from alerts.alert_rows import any_open, put_on_ticket
from alerts.changes import Happened
from alerts.desk_work import DeskWork
from alerts.duty import DutyMoment, DutySpan
from alerts.lifecycle import LIVE, Status
from alerts.quiet_tables import storm
from alerts.rows import first_row, one_row, rows
from alerts.storm_decisions import StormPolicy, decide_storm, storm_over
from alerts.tables import alert, duty
from alerts.tickets import insert_ticket, note, read_ticket, update_ticket
from alerts.words import UNNAMED, Recipient, Row
from core.clock import DAY

_LOOKED_BACK = 2_000
"""Alerts: of a storm of many hazards at once the newest are enough to see each."""
_TOLD = ("dispatcher", "leader", "officer")
_UNDER_WAY = select(storm).where(storm.c.hazard == bindparam("of_hazard"), storm.c.ended_at.is_(None))
_FIRST_AT = "(SELECT a.id FROM alert AS a WHERE a.ticket = :ticket AND a.site = s.value AND a.state = 'open'"
# a subquery that no planner unfolds: each site is looked up in the index, however many alerts the storm has
_AT_SITES = {
    "sqlite": text(
        f"SELECT s.value FROM json_each(:sites) AS s WHERE {_FIRST_AT}"
        " AND a.id NOT IN (SELECT value FROM json_each(:but)) LIMIT 1) IS NOT NULL"
    ),
    "postgresql": text(
        f"SELECT s.value FROM jsonb_array_elements_text(CAST(:sites AS jsonb)) AS s(value) WHERE {_FIRST_AT}"
        " AND NOT CAST(:but AS jsonb) @> to_jsonb(a.id) LIMIT 1) IS NOT NULL"
    ),
}


class Growth:
    """What one transaction adds to a storm; written once, at its end."""

    def __init__(self, under_way: Row) -> None:
        self.before = under_way
        self.ticket: Row | None = None
        self.alerts = 0
        self.joined: list[int] = []
        self.sites: set[str] = set()
        self.born: set[int] = set()  # what was written with its ticket


def storm_of(work: DeskWork, about: Row) -> Row | None:
    """The storm that an alert without a ticket of its own becomes part of, declared now if it makes one; or None."""
    if about["life_safety"]:
        return None
    policy = work.settings.storm
    under_way = storm_under_way(work, about["hazard"])
    newest = {} if under_way else _newest(work.connection, about["hazard"], work.now, policy)
    decision = decide_storm(False, under_way is not None, newest, about["site"], work.now, policy)
    if decision.action == "declare":
        return _declare(work, about, decision.why)
    return under_way


def storm_under_way(work: DeskWork, hazard: str) -> Row | None:
    """The open storm of a hazard. One whose ticket somebody has ended is over."""
    if hazard not in work.storms:
        found = first_row(work.connection, _UNDER_WAY, {"of_hazard": hazard})
        if found is not None and read_ticket(work.connection, found["ticket"])["status"] not in LIVE:
            _end(work, found, "its_ticket_ended")
            found = None
        work.storms[hazard] = found
    return work.storms[hazard]


def join_storm(work: DeskWork, about: Row, under_way: Row) -> Row:
    """Put an alert on the incident's ticket: nobody is told but of a higher severity; the alert afterwards."""
    growth = _growth(work, under_way)
    if about["ticket"] == under_way["ticket"]:
        return about
    growth.joined.append(about["id"])
    if about["site"] is not None:
        growth.sites.add(about["site"])
    growth.alerts += 1
    work.done["joined"] += 1
    if about["id"] in growth.born:
        return {**about, "ticket": under_way["ticket"]}
    return put_on_ticket(work.connection, about, under_way["ticket"])


def storm_at_birth(work: DeskWork, about: Row) -> Row | None:
    """The storm under way that an alert about to be written is part of from the first: nothing else can become of it.

    It is no finding made of other alerts, nor danger to life.
    """
    if not about["paged"] or about["life_safety"] or (about["evidence"] or {}).get("members"):
        return None
    return storm_under_way(work, about["hazard"])


def born_in(work: DeskWork, about: Row, under_way: Row | None) -> Row:
    """An alert that was written with a storm's ticket, as one that is still to join: joining then writes nothing."""
    if under_way is None:
        return about
    _growth(work, under_way).born.add(about["id"])
    return {**about, "ticket": None}


def incident(work: DeskWork, under_way: Row, changed: bool = False) -> Row:
    """A storm's ticket, read once a transaction, and again after it `changed`."""
    growth = _growth(work, under_way)
    if growth.ticket is None or changed:
        growth.ticket = read_ticket(work.connection, under_way["ticket"])
    return growth.ticket


def _growth(work: DeskWork, under_way: Row) -> Growth:
    """What this transaction adds so far; the first addition sees to it that it is written."""
    number = under_way["id"]
    if number not in work.growing:
        work.growing[number] = growth = Growth(under_way)
        work.closing.append(lambda: _grow(work, growth))
    found: Growth = work.growing[number]
    return found


def _grow(work: DeskWork, growth: Growth) -> None:
    """Write what was added, and say how many sites it is now whenever they have doubled."""
    column, before = storm.c, growth.before
    sites = column.sites + len(growth.sites - _known_sites(work, growth))
    grown = update(storm).where(column.id == before["id"], column.ended_at.is_(None))
    values = {"last_at": work.now, "alerts": column.alerts + growth.alerts, "sites": sites}
    after = first_row(work.connection, grown.values(**values).returning(*storm.c))
    if after is None or after["sites"] < 2 * after["why"].get("noted", 1):
        return
    why = {**after["why"], "noted": after["sites"]}
    work.connection.execute(update(storm).where(column.id == after["id"]).values(why=why))
    ticket = read_ticket(work.connection, after["ticket"])
    note(work.connection, ticket, work.now, "storm_grew", "more_sites", sites=after["sites"], alerts=after["alerts"])
    work.happened.append(_happened(after, "grew"))


def _known_sites(work: DeskWork, growth: Growth) -> set[str]:
    """Those of its sites at which the storm had open alerts before."""
    if not growth.sites:
        return set()
    sites, joined = json.dumps(sorted(growth.sites)), json.dumps(growth.joined)
    asked = {"sites": sites, "ticket": growth.before["ticket"], "but": joined}
    return set(work.connection.scalars(_AT_SITES[work.connection.dialect.name], asked))


def storm_rises(work: DeskWork, ticket: Row, about: Row) -> None:
    """Bring an incident up to an alert's severity and say so, at most once for each severity."""
    if about["severity"] <= ticket["severity"] or ticket["status"] not in LIVE:
        return
    raised = update_ticket(work.connection, ticket, work.now, severity=about["severity"])
    if raised is None:
        raise RuntimeError(f"ticket {ticket['id']} changed while the desk was held")
    note(work.connection, raised, work.now, "alert_raised", "storm_rises", alert=about["id"])
    work.notify(raised, about, _told(work), "raised", work.now)
    work.ticket_changed(raised, "raised")


def storm_goes_on(connection: Connection, number: int) -> bool:
    """Whether a storm is not over yet."""
    ended = select(storm.c.ended_at).where(storm.c.id == number)
    return connection.execute(ended).scalar_one() is None


def end_storms(work: DeskWork) -> int:
    """End the storms that have been quiet for long enough; how many."""
    opened = rows(work.connection, select(storm).where(storm.c.ended_at.is_(None)))
    over = [each for each in opened if storm_over(each["last_at"], work.now, work.settings.storm)]
    for each in over:
        _end(work, each, "quiet_long_enough")
    return len(over)


def _newest(connection: Connection, hazard: str, now: int, policy: StormPolicy) -> dict[str, int]:
    """By site when its newest alert of a hazard opened, of those that may make a storm; {} when few opened at all."""
    order = alert.c.id.desc()
    nth = connection.execute(select(alert.c.id, alert.c.opened_at).order_by(order).offset(policy.sites - 1).limit(1))
    reached = nth.first()
    if reached is None or abs(now - reached.opened_at) > policy.window:
        return {}
    newest: ColumnElement[int] = select(func.max(alert.c.id)).scalar_subquery()
    wanted = (
        alert.c.id > newest - _LOOKED_BACK,
        alert.c.hazard == hazard,
        alert.c.opened_at.between(now - policy.window, now + policy.window),
        alert.c.paged,
        ~alert.c.life_safety,
        alert.c.held.is_(None),
        alert.c.site.is_not(None),
    )
    found = select(alert.c.site, func.max(alert.c.opened_at)).where(*wanted).group_by(alert.c.site)
    return {row[0]: row[1] for row in connection.execute(found)}


def _declare(work: DeskWork, about: Row, why: dict[str, Any]) -> Row:
    told = _told(work)
    ticket = _incident(work, about, why["sites"], told)
    values = {"hazard": about["hazard"], "began_at": work.now, "last_at": work.now, "ticket": ticket["id"]}
    began = one_row(
        work.connection,
        insert(storm).returning(*storm.c),
        {**values, "sites": 0, "alerts": 0, "why": {**why, "noted": 1}},
    )
    update_ticket(work.connection, ticket, work.now, storm=began["id"])
    work.storms[about["hazard"]] = began
    if not told:
        note(work.connection, ticket, work.now, "notify", "nobody_reachable", cause="storm")
    work.notify(ticket, about, told, "storm", work.now)
    work.ticket_changed(ticket, "report")
    work.happened.append(_happened(began, "began"))
    work.done["tickets"] += 1
    return began


def _incident(work: DeskWork, about: Row, sites: int, told: Sequence[Recipient]) -> Row:
    """The storm's ticket: admitted by the platform, for the desk, the leaders and all stations at once."""
    rule = work.rules.get(about["rule"])
    zh, en = (rule.title_zh, rule.title_en) if rule else UNNAMED
    ticket = insert_ticket(
        work.connection,
        work.now,
        source="storm",
        status=Status.REGISTERED,
        title=f"{zh}（{sites} 处同时报警）",
        title_en=f"{en} ({sites} sites at once)",
        class_code=rule.class_code if rule else "",
        life_safety=False,
        assignment=_assignment(work, told),
        **{name: about[name] for name in ("hazard", "category", "severity")},
    )
    admit(work.connection, ticket, work.now, "many_sites_at_once", {"sites": sites})
    return ticket


def _told(work: DeskWork) -> list[Recipient]:
    """Dispatchers, leaders and officers on duty, all of them rather than nobody, and the stations' own contacts."""
    contacts = work.town.contacts
    people = [each for each in work.town.people.values() if each.role in _TOLD and ("person", each.code) in contacts]
    near = (duty.c.starts_at < work.now + DAY, duty.c.ends_at > work.now - DAY)
    rosters: dict[str, list[DutySpan]] = {}
    for row in work.connection.execute(select(duty.c.person, duty.c.starts_at, duty.c.ends_at).where(*near)):
        rosters.setdefault(row.person, []).append(DutySpan(row.starts_at, row.ends_at))
    moment = DutyMoment(work.now, work.settings.dispatch.shifts)
    on_duty = [each for each in people if moment.of(each.shift, rosters.get(each.code, ())).on]
    found = [Recipient("person", each.code, *contacts["person", each.code][0], 0) for each in on_duty or people]
    groups = ((code, each) for code in work.town.stations for each in contacts.get(("station", code), ()))
    return found + [Recipient("station", code, each.channel, each.address, 0) for code, each in groups]


def _assignment(work: DeskWork, told: Sequence[Recipient]) -> dict[str, Any]:
    """The choice as other tickets keep theirs."""
    common = {"chosen": True, "reason": "storm_declared", "distance": None, "step": 0}
    town = work.town
    names = {code: each.name for code, each in town.people.items()}
    names |= {code: each.name for code, each in town.stations.items()}
    chosen = [{"kind": each.kind, "code": each.code, "name": names[each.code], **common} for each in told]
    nothing = dict.fromkeys(("team", "station", "station_distance"))
    recipients = [list(each) for each in told]
    return {"reason": "storm_declared", **nothing, "due_at": work.now, "candidates": chosen, "recipients": recipients}


def _end(work: DeskWork, under_way: Row, reason: str) -> None:
    over = update(storm).where(storm.c.id == under_way["id"]).values(ended_at=work.now)
    ended = one_row(work.connection, over.returning(*storm.c))
    work.storms.pop(ended["hazard"], None)
    ticket = read_ticket(work.connection, ended["ticket"])
    counts = {name: ended[name] for name in ("sites", "alerts", "began_at", "last_at")}
    note(work.connection, ticket, work.now, "storm_ended", reason, **counts)
    work.happened.append(_happened(ended, "ended"))
    if ticket["status"] in LIVE and not any_open(work.connection, ticket["id"]):
        recovered = update_ticket(work.connection, ticket, work.now, recovered_at=work.now)
        if recovered:
            note(work.connection, recovered, work.now, "recovered", "all_alerts_closed")
            work.ticket_changed(recovered, "recovered")


def _happened(row: Row, action: str) -> Happened:
    kept = ("hazard", "ticket", "sites", "alerts", "began_at", "ended_at")
    return Happened("storm", row["id"], {"action": action, **{name: row[name] for name in kept}})
