"""Shelves, silences, windows and storms as JSON. Times are µs UTC."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from alerts.quiet_limits import Asked, QuietRefused, check_quiet, read_matchers
from alerts.quiet_preview import check_confirmed, preview
from alerts.quieting import end_quiet, set_quiet, shelve
from alerts.words import Row
from console.access import Given
from console.api import answer
from console.on_duty import Keeper
from console.quiet_pages import Number
from console.quiet_view import quiets_now
from console.services import Services
from core.database import reading, writing

router = APIRouter(prefix="/api/v1", tags=["quiets"])


class ShelfIn(BaseModel):
    """A shelf for an open alert, until `ends_at`; with `one_shot` at most until the alert clears."""

    model_config = ConfigDict(extra="forbid")

    ends_at: int = Field(ge=0, le=2**62)
    reason: str = Field(max_length=500)
    one_shot: bool = False
    life_safety: bool = False


class ConditionIn(BaseModel):
    """One condition on a label; "in" takes a list."""

    label: str = Field(max_length=20)
    op: Literal["=", "!=", "in"]
    value: str | list[str]


class ConditionsIn(BaseModel):
    """Conditions whose matches are asked for, and whether life-safety alerts would be held too."""

    model_config = ConfigDict(extra="forbid")

    matchers: list[ConditionIn] = Field(max_length=20)
    life_safety: bool = False


class HoursIn(BaseModel):
    """The hours of a window: days of the week (1 is Monday) on which they begin, local times such as "22:00"."""

    model_config = ConfigDict(extra="forbid")

    days: list[int] = Field(max_length=7)
    from_: str = Field(alias="from", max_length=5)
    to: str = Field(max_length=5)


class QuietIn(BaseModel):
    """A silence or a window; without `starts_at` from now. A window has a `schedule`.

    What covers more than half of the devices, or what lives depend on, needs `confirm`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["silence", "window"]
    matchers: list[ConditionIn] = Field(max_length=20)
    ends_at: int = Field(ge=0, le=2**62)
    reason: str = Field(max_length=500)
    starts_at: int | None = Field(default=None, ge=0, le=2**62)
    life_safety: bool = False
    schedule: HoursIn | None = None
    confirm: bool = False


@router.get("/quiets")
def quiets(services: Given, _: Keeper) -> Response:
    """What holds, how many alerts each holds, the open alerts that are held, and storms."""
    with reading(services.engine) as connection:
        now = services.clock.now()
        found = quiets_now(connection, now)
    live = [{**each.row, "held": each.held, "holds_until": each.until} for each in found.live]
    return answer(
        {"now": now, "quiets": live, "held": found.held, "held_count": found.held_count, "storms": found.storms}
    )


@router.post("/quiets")
def put_quiet(services: Given, keeper: Keeper, wanted: QuietIn) -> Response:
    """Make a silence or a window."""
    now = services.clock.now()

    def do(connection: Connection) -> Row:
        matchers = read_matchers([each.model_dump() for each in wanted.matchers])
        starts = now if wanted.starts_at is None else wanted.starts_at
        hours = wanted.schedule.model_dump(by_alias=True) if wanted.schedule else {}
        asked = Asked(wanted.kind, matchers, starts, wanted.ends_at, wanted.reason, wanted.life_safety, schedule=hours)
        check_quiet(asked, keeper.role, now)
        check_confirmed(services.town(), services.rules().rules, asked, wanted.confirm)
        return set_quiet(connection, asked, keeper.account.actor, keeper.role, now)

    return _done(services, do)


@router.post("/quiets/preview")
def preview_quiet(services: Given, _: Keeper, wanted: ConditionsIn) -> Response:
    """What conditions match now: the worst open alerts and how many, how many stay heard, how many devices of all.

    `wide`: to make it takes `confirm`.
    """
    try:
        with reading(services.engine) as connection:
            matchers = read_matchers([each.model_dump() for each in wanted.matchers])
            now = services.clock.now()
            asked = Asked("silence", matchers, now, now, "", wanted.life_safety)
            found = preview(connection, services.town(), services.rules().rules, asked)
    except QuietRefused as refused:
        return _refusal(refused)
    return answer(found._asdict())


@router.post("/quiets/{number}/end")
def end(services: Given, keeper: Keeper, number: Number) -> Response:
    """End one before its time."""
    now = services.clock.now()
    return _done(services, lambda connection: end_quiet(connection, number, keeper.account.actor, keeper.role, now))


@router.post("/alerts/{number}/shelf")
def put_shelf(services: Given, keeper: Keeper, number: Number, wanted: ShelfIn) -> Response:
    """Shelve an open alert's rule on its subject."""
    now = services.clock.now()
    by = (keeper.account.actor, keeper.role, wanted.ends_at, wanted.reason, now)

    def do(connection: Connection) -> Row:
        return shelve(connection, number, *by, one_shot=wanted.one_shot, life_safety=wanted.life_safety)

    return _done(services, do)


def _done(services: Services, do: Callable[[Connection], Row]) -> Response:
    try:
        with writing(services.engine) as connection:
            row = do(connection)
    except QuietRefused as refused:
        return _refusal(refused)
    return answer(row)


def _refusal(refused: QuietRefused) -> Response:
    error = {"code": refused.reason, "zh": refused.text, "en": refused.text_en}
    return JSONResponse({"error": error}, 409)
