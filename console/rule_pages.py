"""Rules: found, looked at with their overrides and history, and edited by an administrator."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy import Connection, Select, Table, select
from starlette.responses import Response

from console import dossier, rule_edits, rule_view
from console.access import LARGEST_NUMBER, Admin, Dispatcher, Given, NotFound
from console.accounts import Account
from console.pages import pages_of
from console.rule_edits import Asked, Outcome, status_of
from console.services import Services
from console.signing import go
from core.clock import local
from core.database import reading
from detectors.rule import GRADED, SCOPES, Rule
from detectors.rule_changes import fields_of, fields_of_override
from detectors.rule_history import edits_of, history
from detectors.sheets import CONSOLE, newest_sheets
from detectors.sheets import editions as editions_of
from detectors.words import Severity
from devices.tables import device, site

router = APIRouter(include_in_schema=False)
PAGE = 20
_EDITS = 10
_CHOICE = 500
_Text = Annotated[str, Form(max_length=200)]
_Reason = Annotated[str, Form(max_length=2000)]


@router.get("/rules")
def rules_page(request: Request, services: Given, account: Dispatcher, wanted: rule_view.Wanted) -> Response:
    """All rules in force that the filter leaves."""
    rules = services.rules()
    with reading(services.engine) as connection:
        alerts = rule_view.open_alerts(connection)
    found = rule_view.wanted_rules(rules.rules, wanted)
    context: dict[str, Any] = {
        "version": rules.version,
        "wanted": wanted,
        "found": [(rule, rule_view.limits_of(rule)) for rule in found],
        "hazards": sorted({rule.hazard for rule in rules.rules.values()}),
        "standards": sorted({rule.standard for rule in rules.rules.values() if rule.standard}),
        "open_alerts": alerts,
        "today": local(services.clock.now()).date(),
        "edited": rule_view.last_edits(rule_view.editions(request, services)),
        "may_edit": account.role == "admin",
    }
    return pages_of(request).render(request, "rules.html", **context)


@router.get("/rules/{code}")
def rule_page(request: Request, services: Given, account: Dispatcher, code: str, done: int = 0) -> Response:
    """One rule with its limits, overrides, validity and edits."""
    return _rule(request, services, account, code, done=done)


class Entered(NamedTuple):
    """What was filled in to set an override."""

    kind: str = "site"
    code: str = ""
    fields: Mapping[str, str] = MappingProxyType({})
    reason: str = ""
    seen: int = 0
    confirm: bool = False


def _entered(
    kind: _Text = "site", code: _Text = "", notice: _Text = "", warning: _Text = "", alarm: _Text = "",
    critical: _Text = "", recovery: _Text = "", dwell: _Text = "", dwell_off: _Text = "", window: _Text = "",
    enabled: _Text = "", reason: _Reason = "", seen: Annotated[int, Form(ge=0)] = 0, confirm: _Text = "",
) -> Entered:  # fmt: skip
    limits = {"notice": notice, "warning": warning, "alarm": alarm, "critical": critical}
    fields = {f"limits.{level}": text for level, text in limits.items()}
    fields |= {"recovery": recovery, "dwell": dwell, "dwell_off": dwell_off, "window": window, "enabled": enabled}
    return Entered(kind, code.strip(), fields, reason, seen, confirm == "yes")


Filled = Annotated[Entered, Depends(_entered)]


@router.post("/rules/{rule}/override")
def set_override(request: Request, services: Given, account: Admin, rule: str, filled: Filled) -> Response:
    """Set an override; a refused one comes back as it was filled in."""
    asked = Asked(filled.reason, filled.confirm, filled.seen)
    fields = rule_edits.override_fields(filled.fields)
    done = rule_edits.set_override(services, account, rule, (filled.kind, filled.code), fields, asked)
    if done.why:
        return _rule(request, services, account, rule, filled=filled, refused=done)
    return go(f"/rules/{quote(rule)}?done={done.version}")


@router.post("/rules/{rule}/remove")
def remove_override(request: Request, services: Given, account: Admin, rule: str, filled: Filled) -> Response:
    """Take an override of the console's own away."""
    asked = Asked(filled.reason, filled.confirm, filled.seen)
    done = rule_edits.remove_override(services, account, rule, (filled.kind, filled.code), asked)
    if done.why:
        return _rule(request, services, account, rule, removing=filled, refused=done)
    return go(f"/rules/{quote(rule)}?done={done.version}")


def _rule(
    request: Request,
    services: Services,
    account: Account,
    code: str,
    done: int = 0,
    filled: Entered | None = None,
    removing: Entered | None = None,
    refused: Outcome | None = None,
) -> Response:
    rules = services.rules()
    if code not in rules.rules:
        raise NotFound("error.no_rule")
    rule = rules.rules[code]
    with reading(services.engine) as connection:
        alerts = rule_view.open_alerts(connection)
        places = _places(connection, rule)
    context: dict[str, Any] = {
        "version": rules.version,
        "rule": rule,
        "rules": rules.rules,
        "measured": rule_view.names_of(services.types),
        "limits": rule_view.limits_of(rule),
        "fields": _more_fields(rule),
        "overrides": [(each, fields_of_override(each), rule_view.sheet_of(each)) for each in rule.overrides],
        "sheet": rule_view.sheet_of(rule),
        "console": CONSOLE,
        "open_alerts": alerts.get(code, 0),
        "edits": edits_of(rule_view.editions(request, services), code)[:_EDITS],
        "levels": [(level.name.lower(), int(level)) for level in Severity if level in _levels(rule)],
        "scopes": SCOPES,
        "places": places,
        "types": services.types,
        "filled": filled or Entered(seen=rules.version),
        "removing": removing,
        "refused": refused,
        "done": done,
        "may_edit": account.role == "admin",
    }
    return pages_of(request).render(request, "rule.html", status_of(refused), **context)


def _levels(rule: Rule) -> set[Severity]:
    return {*rule.limits, *rule.limits_from} if rule.kind in GRADED else set()


_SHOWN_APART = (
    "title_",
    "advice_",
    "limits",
    "table",
    "overrides",
    "standard",
    "edition",
    "effective_",
    "hazard",
    "basis",
)


def _more_fields(rule: Rule) -> dict[str, str]:
    return {name: value for name, value in fields_of(rule).items() if not name.startswith(_SHOWN_APART)}


def _places(connection: Connection, rule: Rule) -> list[tuple[str, str]]:
    """Codes that an override of the rule may name: device types, then sites and devices."""
    of_type = device.c.type.in_(rule.device_types)
    devices = dossier.rows(connection, _codes(device).where(of_type, device.c.state != "retired"))
    sites = dossier.rows(connection, _codes(site).where(site.c.retired == 0))
    named = [(row["code"], row["name"]) for row in (*sites, *devices)]
    return [*((code, "") for code in rule.device_types), *named]


def _codes(table: Table) -> Select[Any]:
    return select(table.c.code, table.c.name).order_by(table.c.code).limit(_CHOICE)


@router.get("/rule-versions")
def versions_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    before: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
    rule: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The versions, each with what changed from what to what."""
    with reading(services.engine) as connection:
        found = history(connection, PAGE, before)
    more = {"before": found[-1].version, "rule": rule} if len(found) == PAGE else {}
    context: dict[str, Any] = {
        "editions": edits_of(found, rule) if rule else found,
        "rule": rule,
        "rules": services.rules().rules,
        "types": services.types,
        "measured": rule_view.names_of(services.types),
        "more": urlencode(more),
    }
    return pages_of(request).render(request, "rule_versions.html", **context)


@router.get("/rule-sheets")
def sheets_page(request: Request, services: Given, account: Dispatcher) -> Response:
    """The sheets, those in force and those withdrawn."""
    with reading(services.engine) as connection:
        found = newest_sheets(connection)
    may_edit = account.role == "admin"
    return pages_of(request).render(request, "rule_sheets.html", sheets=list(found.values()), may_edit=may_edit)


@router.get("/rule-sheets/{name}")
def sheet_page(request: Request, services: Given, account: Dispatcher, name: str, done: int = 0) -> Response:
    """One sheet to read and, for an administrator, to edit."""
    return _sheet(request, services, account, name, done=done)


@router.post("/rule-sheets")
def new_sheet(name: _Text, _: Admin) -> Response:
    """Go to the sheet of this name."""
    return go(f"/rule-sheets/{quote(name.strip(), safe='')}")


@router.post("/rule-sheets/{name}")
def edit_sheet(
    request: Request,
    services: Given,
    account: Admin,
    name: str,
    text: Annotated[str, Form(max_length=1_000_000)] = "",
    reason: _Reason = "",
    seen: Annotated[int, Form(ge=0)] = 0,
    confirm: _Text = "",
) -> Response:
    """Put a sheet's text in force; an empty text withdraws it."""
    text = text.replace("\r\n", "\n")
    asked = Asked(reason, confirm == "yes", seen)
    done = rule_edits.edit_sheet(services, account, name, text, asked)
    if done.why:
        return _sheet(request, services, account, name, text=text, asked=asked, refused=done)
    return go(f"/rule-sheets/{quote(name)}?done={done.version}")


def _sheet(
    request: Request,
    services: Services,
    account: Account,
    name: str,
    done: int = 0,
    text: str | None = None,
    asked: Asked | None = None,
    refused: Outcome | None = None,
) -> Response:
    with reading(services.engine) as connection:
        found = editions_of(connection, name)
    newest = found[0] if found else None
    if newest is None and account.role != "admin":
        raise NotFound("error.no_sheet")
    seen = newest.id if newest else 0
    if asked is None or (refused and refused.why == "changed"):
        asked = (asked or Asked())._replace(seen=seen)  # sent again it answers what is there now
    context: dict[str, Any] = {
        "name": name,
        "text": text if text is not None else (newest.text if newest else ""),
        "editions": found,
        "asked": asked,
        "refused": refused,
        "done": done,
        "may_edit": account.role == "admin",
    }
    return pages_of(request).render(request, "rule_sheet.html", status_of(refused), **context)
