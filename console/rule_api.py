"""Rules as JSON: read by dispatchers, edited by administrators. Times are µs UTC, spans as packs write them."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from console import rule_edits, rule_view
from console.access import LARGEST_NUMBER, Admin, Dispatcher, Given, NotFound
from console.api import answer
from console.language import both
from console.rule_edits import Asked, Outcome, status_of
from console.rule_explain import explained
from console.rule_view import Wanted
from core.database import reading
from detectors.rule_changes import fields_of
from detectors.rule_history import edits_of, history
from detectors.sheets import editions, newest_sheets

router = APIRouter(prefix="/api/v1", tags=["rules"])
Scope = Literal["device_type", "attribute", "site", "device"]
_Code = Annotated[str, Query(min_length=1, max_length=200)]
_Reason = Annotated[str, Query(min_length=1, max_length=2000)]
_Span = Annotated[str | None, Field(max_length=20)]


class Said(BaseModel):
    """What comes with every edit. `seen` is what its author saw; without it nothing is compared."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000)
    confirm: bool = Field(default=False, description="A life-safety rule may announce less, or later.")
    seen: int | None = Field(default=None, ge=0)

    @property
    def asked(self) -> Asked:
        return Asked(self.reason, self.confirm, self.seen)


class OverrideIn(Said):
    """One override of a rule; `seen` is the rules' version. An attribute's code is name=value."""

    scope: Scope
    code: str = Field(min_length=1, max_length=200)
    limits: dict[Literal["notice", "warning", "alarm", "critical"], float] | None = None
    recovery: float | None = None
    dwell: _Span = None
    dwell_off: _Span = None
    window: _Span = None
    enabled: bool | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """What it changes."""
        return self.model_dump(exclude={"reason", "confirm", "seen", "scope", "code"}, exclude_none=True)


class SheetIn(Said):
    """A sheet's whole text; `seen` is the id of the edition, 0 for none. An empty text withdraws the sheet."""

    text: str = Field(max_length=1_000_000)


@router.get("/rules")
def rules(request: Request, services: Given, _: Dispatcher, wanted: Wanted) -> Response:
    """The rules in force that the filter leaves, each in short."""
    found = services.rules()
    with reading(services.engine) as connection:
        alerts = rule_view.open_alerts(connection)
    edits = rule_view.last_edits(rule_view.editions(request, services))
    listed = rule_view.wanted_rules(found.rules, wanted)
    rows = [rule_view.described(rule, alerts.get(rule.id, 0), edits.get(rule.id)) for rule in listed]
    return answer({"version": found.version, "rules": rows})


@router.get("/rules/{code}")
def rule(request: Request, services: Given, _: Dispatcher, code: str) -> Response:
    """One rule with all its fields, its overrides and its last edits."""
    found = services.rules()
    if code not in found.rules:
        raise NotFound("error.no_rule")
    its = found.rules[code]
    with reading(services.engine) as connection:
        alerts = rule_view.open_alerts(connection).get(code, 0)
    edits = edits_of(rule_view.editions(request, services), code)
    short = rule_view.described(its, alerts, edits[0] if edits else None)
    more = {
        "fields": fields_of(its),
        "overrides": rule_view.overrides_of(its),
        "edits": [rule_view.told(e) for e in edits],
    }
    return answer({"version": found.version, **short, **more})


@router.put("/rules/{code}/overrides")
def put_override(services: Given, account: Admin, code: str, wanted: OverrideIn) -> Response:
    """Set the console's override of a rule for one scope, in place of its earlier one."""
    scope = (wanted.scope, wanted.code)
    return _done(rule_edits.set_override(services, account, code, scope, wanted.fields, wanted.asked))


@router.delete("/rules/{rule}/overrides")
def delete_override(
    services: Given, account: Admin, rule: str, scope: Scope, code: _Code, reason: _Reason,
    confirm: bool = False, seen: Annotated[int | None, Query(ge=0)] = None,
) -> Response:  # fmt: skip
    """Take the console's override of a rule for one scope away."""
    asked = Asked(reason, confirm, seen)
    return _done(rule_edits.remove_override(services, account, rule, (scope, code), asked))


@router.get("/devices/{code}/rules")
def device_rules(services: Given, _: Dispatcher, code: str) -> Response:
    """The rules that apply to a device, with its own limits and where each comes from."""
    found = explained(services, code)
    rows = [
        {
            "rule": each.rule.id,
            "zh": each.rule.title_zh,
            "en": each.rule.title_en,
            "unit": each.rule.unit,
            "in_force": each.in_force,
            "why": each.why,
            "limits": {level.name.lower(): limit for level, limit in each.terms.limits.items()},
            "recovery": each.terms.recovery,
            "dwell_s": each.terms.dwell / 1e6,
            "origins": {field: {"zh": o.text("zh"), "en": o.text("en")} for field, o in each.origins.items()},
        }
        for each in found
    ]
    return answer({"version": services.rules().version, "device": code, "rules": rows})


@router.get("/rule-sheets")
def sheets(services: Given, _: Dispatcher) -> Response:
    """The newest edition of every sheet; an empty text is a withdrawn one."""
    with reading(services.engine) as connection:
        return answer({"sheets": [sheet._asdict() for sheet in newest_sheets(connection).values()]})


@router.get("/rule-sheets/{name}")
def sheet(services: Given, _: Dispatcher, name: str) -> Response:
    """A sheet's editions, the newest first."""
    with reading(services.engine) as connection:
        found = editions(connection, name)
    if not found:
        raise NotFound("error.no_sheet")
    return answer({"name": name, "editions": [each._asdict() for each in found]})


@router.put("/rule-sheets/{name}")
def put_sheet(services: Given, account: Admin, name: str, wanted: SheetIn) -> Response:
    """Put a sheet's text in force."""
    return _done(rule_edits.edit_sheet(services, account, name, wanted.text, wanted.asked))


@router.get("/rule-versions")
def versions(
    services: Given,
    _: Dispatcher,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
    rule: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The rules' versions, the newest first, with what each changed."""
    with reading(services.engine) as connection:
        found = history(connection, limit, before)
    return answer({"versions": [rule_view.told(each) for each in (edits_of(found, rule) if rule else found)]})


def _done(outcome: Outcome) -> Response:
    if not outcome.why:
        return answer({"version": outcome.version})
    error = {**both(f"rule.refused.{outcome.why}"), "why": outcome.why, "details": outcome.lines}
    body = msgspec.json.encode({"error": error})
    return Response(body, status_of(outcome), media_type="application/json")
