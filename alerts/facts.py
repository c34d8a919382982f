"""The facts that a notice's text is made of, kept with the notice so that the text is made at sending."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, bindparam, literal, select

from alerts.measurements import Kind, figure, measurement_of
from alerts.quiet_tables import storm
from alerts.rows import one_row
from alerts.words import Row
from devices.tables import grid, site, village

_DEVICES = 5


# built once: building a statement costs as much as executing it
_ONE = select(literal(1).label("one")).subquery()
_HERE = select(
    *(site.c[name].label(f"site_{name}") for name in ("code", "name", "name_en", "address", "contact", "phone")),
    *(each.c[name].label(f"{each.name}_{name}") for each in (grid, village) for name in ("name", "name_en")),
).select_from(
    _ONE.outerjoin(site, site.c.code == bindparam("its_site"))
    .outerjoin(grid, grid.c.code == bindparam("its_grid"))
    .outerjoin(village, village.c.code == grid.c.village)
)
"""What the registry calls a place, as one row, whether its site and grid are known or not."""


_STORM = select(storm.c.sites, storm.c.began_at, storm.c.why).where(storm.c.ticket == bindparam("its_ticket"))


class RuleText(Protocol):
    """What a rule says to people."""

    @property
    def title_zh(self) -> str: ...
    @property
    def title_en(self) -> str: ...
    @property
    def advice_zh(self) -> str: ...
    @property
    def advice_en(self) -> str: ...
    @property
    def unit(self) -> str: ...


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that any template may say; stored as JSON.

    `onset` is µs UTC, `age` µs (0: fresh), `lng` and `lat` WGS84 degrees. `value`, `limit`, `unit`, `within` and
    `times` are those of a Measurement of the kind `measured`. `devices` are the first of the `members` devices that a
    finding about a site is made of, each with what it measured; `said` is what an event brought, such as a plate.
    `mobiles` are the numbers to mention in a group. `drill`: nothing has happened, people are asked to answer.
    `sites` (0: no storm) is how many alarm at once; a storm has no place, device, value or position of its own.
    """

    number: str
    cause: str
    hazard: str
    severity: int
    life_safety: bool = False
    title_zh: str = ""
    title_en: str = ""
    place_zh: str = ""
    place_en: str = ""
    area_zh: str = ""
    area_en: str = ""
    address: str = ""
    device: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    within: int = 0
    times: int = 0
    measured: Kind = "change"
    devices: list[str] = []
    members: int = 0
    said: dict[str, str | float | None] = {}
    onset: int | None = None
    age: int = 0
    advice_zh: str = ""
    advice_en: str = ""
    contact: str = ""
    phone: str = ""
    lng: float | None = None
    lat: float | None = None
    mobiles: list[str] = []
    drill: bool = False
    sites: int = 0


def gather_facts(connection: Connection, ticket: Row, alert: Row | None, cause: str, rule: RuleText | None) -> Facts:
    """The facts of a ticket and, where one caused the notice, of its alert and the alert's rule.

    The place is the alert's own: it may have joined the ticket of a neighbour. What is said of a storm's ticket is said
    of the storm, whichever site's alert was the occasion.
    """
    if ticket["source"] == "storm" and not (alert and alert["life_safety"]):
        return _storm_facts(connection, ticket, cause, rule)
    at = {**ticket, "address": "", **_standing(alert)} if alert and alert["site"] != ticket["site"] else ticket
    here = one_row(connection, _HERE, {"its_site": at["site"], "its_grid": at["grid"]})
    return msgspec.convert(
        {
            "number": ticket["number"],
            "cause": cause,
            "hazard": ticket["hazard"],
            "severity": ticket["severity"],
            "life_safety": ticket["life_safety"],
            "title_zh": ticket["title"],
            "title_en": ticket["title_en"],
            "address": at["address"],
            "lng": at["lng"],
            "lat": at["lat"],
            "drill": ticket["source"] == "drill",
            "contact": ticket["reporter"],
            "phone": ticket["reporter_phone"],
            **_place(here, at),
            **_area(here),
            **(_measurement(alert, rule.unit if rule else "") if alert else {}),
            **(_rule_text(rule, ticket) if rule else {}),
        },
        Facts,
    )


def _storm_facts(connection: Connection, ticket: Row, cause: str, rule: RuleText | None) -> Facts:
    found = one_row(connection, _STORM, {"its_ticket": ticket["id"]})
    sites = max(found["sites"], found["why"]["sites"])  # those by which it was declared have tickets of their own
    return Facts(
        cause=cause,
        sites=sites,
        title_zh=ticket["title"],
        title_en=ticket["title_en"],
        place_zh=f"{sites} 处点位",
        place_en=f"{sites} sites",
        onset=found["began_at"],
        advice_zh=rule.advice_zh if rule else "",
        advice_en=rule.advice_en if rule else "",
        **{name: ticket[name] for name in ("number", "hazard", "severity", "life_safety")},
    )


def _standing(alert: Row) -> dict[str, Any]:
    return {name: alert[name] for name in ("site", "grid", "lng", "lat")}


def _place(here: Row, at: Row) -> dict[str, Any]:
    if here["site_code"] is None:
        return {"place_zh": at["address"], "place_en": at["address"]}
    spoken_to = {name: here[f"site_{name}"] for name in ("contact", "phone")}
    return {
        "place_zh": here["site_name"],
        "place_en": here["site_name_en"] or here["site_name"],
        "address": at["address"] or here["site_address"],
        **(spoken_to if any(spoken_to.values()) else {}),
    }


def _area(here: Row) -> dict[str, Any]:
    if here["grid_name"] is None:
        return {}
    village, grid = here["village_name"], here["grid_name"]
    names_en = here["village_name_en"] or village, here["grid_name_en"] or grid
    return {"area_zh": _named_once(village, grid), "area_en": _named_once(*names_en)}


def _named_once(village: str, grid: str) -> str:
    """Village and grid; many a grid's name begins with its village's, and a text message has no room to say it twice.

    >>> _named_once("新埂村", "新埂村第1网格"), _named_once("何家角村", "03网格")
    ('新埂村第1网格', '何家角村 03网格')
    """
    return grid if grid.startswith(village) else f"{village} {grid}"


def _measurement(alert: Row, unit: str) -> dict[str, Any]:
    evidence = alert["evidence"] or {}
    found, devices = measurement_of(alert, unit), _devices(evidence)
    return {
        "hazard": alert["hazard"],
        "severity": alert["severity"],
        "life_safety": alert["life_safety"],
        "device": "" if alert["subject_kind"] in ("platform", "site") else alert["subject_id"],
        "value": found.value,
        "limit": found.limit,
        "unit": found.unit,
        "within": found.within,
        "times": found.times,
        "measured": found.kind,
        "devices": devices[:_DEVICES],
        "members": max(len(devices), evidence.get("count", 0) if devices else 0),
        "said": evidence.get("said", {}),
        "onset": alert["onset"],
        "age": alert["age"],
        "lng": alert["lng"],
        "lat": alert["lat"],
    }


def _devices(evidence: Mapping[str, Any]) -> list[str]:
    """A compound's devices, each with its first member's value where that has a unit."""
    found: dict[str, str] = {}
    for each in evidence.get("members", ()):
        measured = each["value"] is not None and each["unit"]
        found.setdefault(each["device"], f" {figure(each['value'])} {each['unit']}" if measured else "")
    return [device + value for device, value in found.items()]


def _rule_text(rule: RuleText, ticket: Row) -> dict[str, Any]:
    """What the rule says; a ticket's title that begins with the rule's says more: a gateway's devices."""
    told = ticket["title"].startswith(rule.title_zh)
    return {
        "title_zh": ticket["title"] if told else rule.title_zh,
        "title_en": ticket["title_en"] if told and ticket["title_en"] else rule.title_en,
        "advice_zh": rule.advice_zh,
        "advice_en": rule.advice_en,
    }
