"""The facts that a notice's text is made of, kept with the notice so that the text is made at sending."""

from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, select

from alerts.words import Row
from devices.tables import grid, site, village


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

    `onset` is µs UTC, `age` µs (0: fresh), `lng` and `lat` WGS84 degrees. `value` and `limit` are in `unit`. `mobiles`
    are the numbers to mention in a group.
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
    onset: int | None = None
    age: int = 0
    advice_zh: str = ""
    advice_en: str = ""
    contact: str = ""
    phone: str = ""
    lng: float | None = None
    lat: float | None = None
    mobiles: list[str] = []


def gather_facts(connection: Connection, ticket: Row, alert: Row | None, cause: str, rule: RuleText | None) -> Facts:
    """The facts of a ticket and, where one caused the notice, of its alert and the alert's rule."""
    return msgspec.convert(
        {
            "number": ticket["number"],
            "cause": cause,
            "hazard": ticket["hazard"],
            "severity": ticket["severity"],
            "life_safety": ticket["life_safety"],
            "title_zh": ticket["title"],
            "address": ticket["address"],
            "lng": ticket["lng"],
            "lat": ticket["lat"],
            **_place(connection, ticket),
            **_area(connection, ticket),
            **(_measurement(alert) if alert else {}),
            **(_rule_text(rule) if rule else {}),
        },
        Facts,
    )


def _place(connection: Connection, ticket: Row) -> dict[str, Any]:
    found = connection.execute(select(site).where(site.c.code == ticket["site"])).mappings().first()
    if found is None:
        return {"place_zh": ticket["address"], "place_en": ticket["address"]}
    return {
        "place_zh": found["name"],
        "place_en": found["name_en"] or found["name"],
        "address": ticket["address"] or found["address"],
        "contact": found["contact"],
        "phone": found["phone"],
    }


def _area(connection: Connection, ticket: Row) -> dict[str, Any]:
    names = (village.c.name, village.c.name_en, grid.c.name.label("grid"), grid.c.name_en.label("grid_en"))
    area = select(*names).select_from(grid.join(village)).where(grid.c.code == ticket["grid"])
    found = connection.execute(area).mappings().first()
    if found is None:
        return {}
    names_en = (found["name_en"] or found["name"], found["grid_en"] or found["grid"])
    return {"area_zh": f"{found['name']} {found['grid']}", "area_en": " ".join(names_en)}


def _measurement(alert: Row) -> dict[str, Any]:
    return {
        "hazard": alert["hazard"],
        "severity": alert["severity"],
        "life_safety": alert["life_safety"],
        "device": alert["subject_id"],
        "value": alert["value"],
        "limit": alert["limit"],
        "unit": str((alert["evidence"] or {}).get("unit", "")),
        "onset": alert["onset"],
        "age": alert["age"],
        "lng": alert["lng"],
        "lat": alert["lat"],
    }


def _rule_text(rule: RuleText) -> dict[str, Any]:
    return {
        "title_zh": rule.title_zh,
        "title_en": rule.title_en,
        "advice_zh": rule.advice_zh,
        "advice_en": rule.advice_en,
        "unit": rule.unit,
    }
