"""Shelves, silences and maintenance windows: listed with what they hold, made and ended; and storms."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from sqlalchemy import select
from starlette.responses import Response

from alerts.matching import LABELS, OPERATORS
from alerts.quiet_limits import LIFE_SAFETY_ROLES, LIMITS, QuietRefused, check_quiet
from alerts.quiet_preview import Preview, check_confirmed, preview
from alerts.quieting import end_quiet, set_quiet, shelve
from alerts.tables import alert
from console import dossier
from console.access import LARGEST_NUMBER, Given, NotFound
from console.on_duty import Keeper, OnDuty
from console.pages import pages_of
from console.quiet_forms import (
    CONDITIONS,
    SHELF_MINUTES,
    SILENCE_MINUTES,
    Entered,
    asked_for,
    conditions_asked,
    entered,
)
from console.quiet_view import MOST_HELD, quiets_now
from console.services import Services
from console.signing import go
from core.clock import MINUTE
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
Number = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]
_Alert = Annotated[int, Query(alias="alert", ge=0, le=LARGEST_NUMBER)]


@router.get("/quiets")
def quiets_page(
    request: Request, services: Given, keeper: Keeper, done: Annotated[str, Query(max_length=12)] = ""
) -> Response:
    """What holds now and what it holds, what ended of late, storms, and the forms for more."""
    return _page(request, services, keeper, done=done)


@router.post("/quiets")
def set_page(request: Request, services: Given, keeper: Keeper, form: Annotated[Entered, Depends(entered)]) -> Response:
    """Make a silence or a window; a refusal is shown above the form as it was filled in."""
    now = services.clock.now()
    try:
        with writing(services.engine) as connection:
            asked = asked_for(form, now)
            check_quiet(asked, keeper.role, now)
            check_confirmed(services.town(), services.rules().rules, asked, form.confirm)
            set_quiet(connection, asked, keeper.account.actor, keeper.role, now)
    except QuietRefused as refused:
        return _page(request, services, keeper, 409, refused=refused, form=form)
    return go("/quiets?done=set")


@router.post("/quiets/preview")
def preview_page(
    request: Request, services: Given, keeper: Keeper, form: Annotated[Entered, Depends(entered)]
) -> Response:
    """What the conditions match now, above the form as it was filled in; nothing is written."""
    try:
        with reading(services.engine) as connection:
            asked = conditions_asked(form, services.clock.now())
            found = preview(connection, services.town(), services.rules().rules, asked)
    except QuietRefused as refused:
        return _page(request, services, keeper, 409, refused=refused, form=form)
    return _page(request, services, keeper, form=form, found=found)


@router.post("/quiets/{number}/end")
def end_page(request: Request, services: Given, keeper: Keeper, number: Number) -> Response:
    """End one before its time."""
    try:
        with writing(services.engine) as connection:
            end_quiet(connection, number, keeper.account.actor, keeper.role, services.clock.now())
    except QuietRefused as refused:
        return _page(request, services, keeper, 409, refused=refused)
    return go("/quiets?done=ended")


@router.get("/quiets/shelve")
def shelve_page(request: Request, services: Given, keeper: Keeper, number: _Alert) -> Response:
    """The form to shelve an alert."""
    return _shelve_page(request, services, keeper, number, {"minutes": 60, "one_shot": True})


@router.post("/quiets/shelve")
def shelve_alert(
    request: Request,
    services: Given,
    keeper: Keeper,
    number: Annotated[int, Form(alias="alert", ge=0, le=LARGEST_NUMBER)],
    minutes: Annotated[int, Form(ge=1, le=600_000)],
    reason: Annotated[str, Form(max_length=500)] = "",
    one_shot: Annotated[str, Form(max_length=4)] = "",
    life_safety: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Shelve an open alert's rule on its subject."""
    now = services.clock.now()
    by = (keeper.account.actor, keeper.role, now + minutes * MINUTE, reason, now)
    try:
        with writing(services.engine) as connection:
            shelve(connection, number, *by, one_shot=bool(one_shot), life_safety=bool(life_safety))
    except QuietRefused as refused:
        form = {"minutes": minutes, "reason": reason, "one_shot": one_shot, "life_safety": life_safety}
        return _shelve_page(request, services, keeper, number, form, 409, refused)
    return go("/quiets?done=set")


def _page(
    request: Request,
    services: Services,
    keeper: OnDuty,
    status: int = 200,
    refused: QuietRefused | None = None,
    form: Entered | None = None,
    done: str = "",
    found: Preview | None = None,
) -> Response:
    with reading(services.engine) as connection:
        standing = quiets_now(connection, services.clock.now())
        shown = [*standing.held, *(found.alerts if found else ())]
        sites = dossier.sites_named(connection, [row["site"] for row in shown if row["site"]])
    context: dict[str, Any] = {
        "standing": standing,
        "sites": sites,
        "rules": services.rules().rules,
        "labels": LABELS,
        "operators": OPERATORS,
        "conditions": range(CONDITIONS),
        "minutes": SILENCE_MINUTES,
        "may_life": keeper.role in LIFE_SAFETY_ROLES,
        "limits": LIMITS,
        "most_held": MOST_HELD,
        "form": form or Entered(),
        "to_confirm": (found and found.wide) or (refused and refused.reason in ("confirm_wide", "confirm_life_safety")),
        "found": found,
        "refused": refused,
        "done": done,
    }
    return pages_of(request).render(request, "quiets.html", status, **context)


def _shelve_page(
    request: Request,
    services: Services,
    keeper: OnDuty,
    number: int,
    form: dict[str, Any],
    status: int = 200,
    refused: QuietRefused | None = None,
) -> Response:
    with reading(services.engine) as connection:
        found = dossier.rows(connection, select(alert).where(alert.c.id == number))
        sites = dossier.sites_named(connection, [row["site"] for row in found if row["site"]])
    if not found:
        raise NotFound("error.no_alert")
    context: dict[str, Any] = {
        "row": found[0],
        "sites": sites,
        "rules": services.rules().rules,
        "minutes": SHELF_MINUTES,
        "may_life": keeper.role in LIFE_SAFETY_ROLES,
        "limits": LIMITS,
        "form": {"reason": "", "life_safety": False, **form},
        "refused": refused,
    }
    return pages_of(request).render(request, "shelve.html", status, **context)
