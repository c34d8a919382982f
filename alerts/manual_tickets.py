"""Tickets that people report: a patroller, 12345, a leader, a video patrol, another platform.

They wait for the dispatcher at each step, unlike those of devices. One that comes with another platform's number is
made once, however often it is sent.
"""

import re
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import Connection, select

from alerts.categories import is_category, is_class
from alerts.desk_work import DeskWork
from alerts.dispatching import desk_recipients
from alerts.lifecycle import Status
from alerts.one_writer import hold_desk
from alerts.refusals import ReportRefused
from alerts.rows import first_row
from alerts.settings import DEFAULTS, DeskSettings
from alerts.tables import ticket, ticket_log
from alerts.tickets import insert_ticket, write_log
from alerts.town_view import TownView
from alerts.wording import one_line, prose
from alerts.words import Row
from core.clock import MINUTE
from detectors.rule_checks import HAZARDS
from detectors.words import Severity
from devices.geometry import Grids, in_china
from devices.tables import grid as grid_table

Source = Literal["patrol", "12345", "leader", "video", "outside"]
SOURCES: tuple[Source, ...] = get_args(Source)
_DOUBLE_TAP = MINUTE
_COMPONENT = re.compile(r"[0-9]{16}")
OTHER = "other"
"""The hazard of what nobody has given one: no alert joins it."""
KNOWN_HAZARDS = (*HAZARDS, OTHER)
"""What a report may be of: any other would join no alert and have no name."""


class Outside(NamedTuple):
    """The platform that a ticket came from, and its number there."""

    system: str
    number: str


class Report(NamedTuple):
    """What somebody reports; a position in WGS84 degrees, or a site's code whose position it then has.

    `life_safety` None means: as 紧急 is.
    """

    title: str
    category: str
    severity: int = Severity.WARNING
    class_code: str = ""
    title_en: str = ""
    description: str = ""
    hazard: str = OTHER
    lng: float | None = None
    lat: float | None = None
    site: str | None = None
    address: str = ""
    reporter: str = ""
    phone: str = ""
    component_code: str = ""
    life_safety: bool | None = None


def report(
    connection: Connection,
    town: TownView,
    said: Report,
    now: int,
    source: Source,
    who: str,
    outside: Outside | None = None,
    settings: DeskSettings = DEFAULTS,
) -> Row:
    """Make a ticket of a report and tell the desk; the ticket, or the one that it has become already.

    The same again from the same person within a minute, a double click or a phone's second try, is the same report.
    Raises ReportRefused.
    """
    hold_desk(connection)
    said, outside = _tidied(said), outside and Outside(one_line(outside.system), one_line(outside.number))
    if outside is not None and (known := _known(connection, outside)):
        return known
    _check(connection, town, said, source, outside)
    values = _values(connection, town, said, source, outside)
    if known := _just_reported(connection, values, who, now):
        return known
    work = DeskWork(connection, town, now, settings, occasion=now)
    made = insert_ticket(connection, now, **values)
    details = {"source": source, **(outside._asdict() if outside else {})}
    write_log(connection, made, now, "report", f"reported_by_{source}", None, who, said.description, details)
    work.ticket_changed(made, "report")
    work.notify(made, None, desk_recipients(work), "reported", now)
    work.finish()
    return made


def _known(connection: Connection, outside: Outside) -> Row | None:
    its = (ticket.c.source_system == outside.system) & (ticket.c.outside_number == outside.number)
    return first_row(connection, select(ticket).where(its))


def _just_reported(connection: Connection, values: Row, who: str, now: int) -> Row | None:
    its = (ticket.c.status == Status.REPORTED, ticket.c.reported_at > now - _DOUBLE_TAP)
    theirs = select(ticket_log.c.ticket).where(ticket_log.c.action == "report", ticket_log.c.who == who)
    same = [ticket.c[name].is_not_distinct_from(value) for name, value in values.items()]
    return first_row(connection, select(ticket).where(*its, *same, ticket.c.id.in_(theirs)).limit(1))


def _tidied(said: Report) -> Report:
    """The report with every text as it can be kept and sent."""
    lines: dict[str, Any] = {name: one_line(getattr(said, name)) for name in _LINES}
    return said._replace(**lines, description=prose(said.description))


_LINES = ("title", "title_en", "category", "class_code", "hazard", "address", "reporter", "phone", "component_code")


def _check(connection: Connection, town: TownView, said: Report, source: str, outside: Outside | None) -> None:
    if source not in SOURCES:
        raise ReportRefused("unknown_source")
    if outside is not None and not (outside.system and outside.number):
        raise ReportRefused("needs_number")
    if not said.title:
        raise ReportRefused("needs_title")
    if said.severity not in list(Severity)[1:]:
        raise ReportRefused("unknown_severity")
    if not is_category(connection, said.category):
        raise ReportRefused("unknown_category", code=said.category)
    if said.hazard not in KNOWN_HAZARDS:
        raise ReportRefused("unknown_hazard", code=said.hazard, known=", ".join(KNOWN_HAZARDS))
    if said.class_code and not is_class(connection, said.class_code):
        raise ReportRefused("unknown_class", code=said.class_code)
    if said.component_code and not _COMPONENT.fullmatch(said.component_code):
        raise ReportRefused("bad_component")
    if said.site is not None and said.site not in town.sites:
        raise ReportRefused("unknown_site")
    if (said.lng is None) != (said.lat is None):
        raise ReportRefused("bad_position")
    if said.lng is not None and said.lat is not None and not in_china(said.lng, said.lat):
        raise ReportRefused("bad_position")


def _values(
    connection: Connection, town: TownView, said: Report, source: str, outside: Outside | None
) -> dict[str, Any]:
    grave = said.severity >= Severity.CRITICAL if said.life_safety is None else said.life_safety
    return {
        "source": source,
        "source_system": outside.system if outside else "",
        "outside_number": outside.number if outside else None,
        "status": Status.REPORTED,
        "reporter_phone": said.phone,
        "title": said.title,
        "life_safety": grave,
        "severity": int(said.severity),
        **{name: getattr(said, name) for name in _TAKEN},
        **_place(connection, town, said),
    }


_TAKEN = ("title_en", "description", "hazard", "category", "class_code", "component_code", "reporter")


def _place(connection: Connection, town: TownView, said: Report) -> dict[str, Any]:
    """Where it is: the position that was given, in the grid that contains it; else the site's."""
    site = town.sites.get(said.site or "")
    address = said.address or (site.address or site.name if site else "")
    if said.lng is None or said.lat is None:
        position = (site.lng, site.lat, site.grid) if site else (None, None, None)
    else:
        position = said.lng, said.lat, _grid_at(connection, said.lng, said.lat)
    lng, lat, code = position
    inside = town.grids.get(code or "")
    village = inside.village if inside else None
    return {"site": said.site, "lng": lng, "lat": lat, "grid": code, "village": village, "address": address}


def _grid_at(connection: Connection, lng: float, lat: float) -> str | None:
    kept = select(grid_table.c.code, grid_table.c.polygon).where(grid_table.c.retired == 0)
    return Grids.of((row.code, row.polygon) for row in connection.execute(kept)).containing(lng, lat)
