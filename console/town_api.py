"""Drills and the tables of categories and class codes, by program. Times and spans in µs."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select
from starlette.responses import Response

from alerts import drills
from alerts.categories import Category, ClassCode, put_category, put_class, retire_category, retire_class
from alerts.drill_schedule import DrillSchedule
from alerts.escalation_tables import drill_call
from alerts.refusals import Refusal
from console.access import LARGEST_NUMBER, Admin, Given
from console.api import answer
from console.dossier import rows
from console.drill_pages import run_of
from console.on_duty import Keeper
from console.services import Services
from core.database import reading, writing

router = APIRouter(prefix="/api/v1", tags=["town"])
Number = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]
Name = Annotated[str, Path(max_length=60)]
Code = Annotated[str, Path(max_length=12)]


class DrillIn(BaseModel):
    """A drill of these teams and stations (none: everybody); without `days` (1 is Monday) it is begun by hand."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200)
    teams: list[str] = Field(default=[], max_length=500)
    days: list[int] = Field(default=[], max_length=7)
    at: str = Field(default="10:00", max_length=5)
    wakes: bool = False
    window: int = Field(default=1_800_000_000, ge=0, le=2**62)


class CategoryIn(BaseModel):
    """A category; `acceptance`: the first who accepts has it, or team and station both must."""

    model_config = ConfigDict(extra="forbid")

    name_en: str = Field(max_length=60)
    acceptance: Literal["first", "both"] = "first"
    place: int = Field(default=99, ge=0, le=999)


class ClassIn(BaseModel):
    """A class code."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=60)
    name_en: str = Field(max_length=60)


@router.get("/drills")
def held_drills(services: Given, _: Keeper) -> Response:
    """The drills that are held, each with its last runs."""
    with reading(services.engine) as connection:
        found = [{**row, "runs": drills.runs_of(connection, row["id"])} for row in drills.drills(connection)]
    return answer({"drills": found})


@router.post("/drills")
def define_drill(services: Given, keeper: Keeper, wanted: DrillIn) -> Response:
    """Write down a drill; the same again is the one that is held already."""
    schedule = DrillSchedule(tuple(wanted.days), wanted.at, wanted.wakes)
    more = (services.clock.now(), wanted.teams, schedule, wanted.window)
    return _done(
        services,
        lambda connection: drills.define(connection, services.town(), wanted.name, keeper.account.actor, *more),
    )


@router.post("/drills/{number}/start")
def start_drill(services: Given, keeper: Keeper, number: Number) -> Response:
    """Begin a run now."""
    now, who = services.clock.now(), keeper.account.actor
    return _done(
        services, lambda connection: drills.start(connection, services.town(), number, now, services.desk, who)
    )


@router.delete("/drills/{number}")
def retire_drill(services: Given, _: Keeper, number: Number) -> Response:
    """Hold a drill no more; a run under way goes on to its end."""
    return _done(services, lambda connection: drills.retire(connection, number))


@router.get("/drills/runs/{number}")
def run(services: Given, _: Keeper, number: Number) -> Response:
    """A run: who was called and has answered, and its `report` once it has ended."""
    with reading(services.engine) as connection:
        found = run_of(connection, number)
        calls = rows(connection, select(drill_call).where(drill_call.c.run == number).order_by(drill_call.c.person))
    return answer({**found, "calls": calls})


@router.post("/drills/runs/{number}/end")
def end_run(services: Given, _: Keeper, number: Number) -> Response:
    """End a run before its window is over; with its report."""
    now = services.clock.now()
    return _done(services, lambda connection: drills.end(connection, services.town(), number, now, services.desk))


@router.put("/categories/{name}")
def keep_category(services: Given, account: Admin, name: Name, wanted: CategoryIn) -> Response:
    """Add a category, change it, or offer it again."""
    by = account.actor, services.clock.now()
    put = Category(name.strip(), wanted.name_en.strip(), wanted.acceptance, wanted.place)
    return _done(services, lambda connection: put_category(connection, put, *by))


@router.delete("/categories/{name}")
def drop_category(services: Given, account: Admin, name: Name) -> Response:
    """Offer a category no more; its tickets keep it."""
    by = account.actor, services.clock.now()
    return _done(services, lambda connection: retire_category(connection, name.strip(), *by))


@router.put("/classes/{code}")
def keep_class(services: Given, account: Admin, code: Code, wanted: ClassIn) -> Response:
    """Add a class code, change it, or offer it again."""
    by = account.actor, services.clock.now()
    put = ClassCode(code.strip().upper(), wanted.name.strip(), wanted.name_en.strip())
    return _done(services, lambda connection: put_class(connection, put, *by))


@router.delete("/classes/{code}")
def drop_class(services: Given, account: Admin, code: Code) -> Response:
    """Offer a class code no more; its tickets keep it."""
    by = account.actor, services.clock.now()
    return _done(services, lambda connection: retire_class(connection, code.strip().upper(), *by))


def _done(services: Services, do: Callable[[Connection], Any]) -> Response:
    """What was done, as JSON; 409 with the reason in both languages when it was refused."""
    try:
        with writing(services.engine) as connection:
            row = do(connection)
    except Refusal as refused:
        error = {"code": refused.reason, "zh": refused.text, "en": refused.text_en}
        return JSONResponse({"error": error}, 409)
    return answer({"done": True} if row is None else row)
