"""What the desk's pages do with tickets, as JSON. Times are µs UTC, positions WGS84 degrees."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from alerts.manual_tickets import OTHER, Outside, Report, report
from alerts.refusals import PhotoRefused, Refusal, ReportRefused
from console import dossier
from console.access import Dispatcher, Given, NotFound
from console.acting import BUTTONS, Wish, act, cause_said, role_of
from console.api import answer
from console.entering import PROSE
from console.photo_routes import keep, ticket_id
from core.database import reading, writing

router = APIRouter(prefix="/api/v1", tags=["tickets"])


class ReportIn(BaseModel):
    """A ticket by hand. With `outside_system` and `outside_number` the same number never makes a second one."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=12)
    title: str = Field(max_length=60)
    category: str = Field(max_length=24)
    severity: int = Field(default=2, ge=1, le=4, strict=True)
    title_en: str = Field(default="", max_length=120)
    class_code: str = Field(default="", max_length=8)
    description: Annotated[str, PROSE] = Field(default="", max_length=2000)
    hazard: str = Field(default=OTHER, max_length=24)
    lng: float | None = Field(default=None, allow_inf_nan=False)
    lat: float | None = Field(default=None, allow_inf_nan=False)
    site: str | None = Field(default=None, max_length=40)
    address: str = Field(default="", max_length=200)
    reporter: str = Field(default="", max_length=40)
    phone: str = Field(default="", max_length=32)
    component_code: str = Field(default="", max_length=16)
    life_safety: bool | None = None
    outside_system: str = Field(default="", max_length=40)
    outside_number: str = Field(default="", max_length=64)

    @property
    def report(self) -> Report:
        """What is reported."""
        return Report(**self.model_dump(exclude={"source", "outside_system", "outside_number"}))

    @property
    def outside(self) -> Outside | None:
        """The other platform's number; half of one is refused later."""
        given = self.outside_system or self.outside_number
        return Outside(self.outside_system, self.outside_number) if given else None


class MoveIn(BaseModel):
    """What comes with a move: `until` in µs UTC, `into` the number of the ticket to merge into."""

    model_config = ConfigDict(extra="forbid")

    opinion: str = Field(default="", max_length=500)
    cause: str = Field(default="", max_length=200)
    team: str | None = Field(default=None, max_length=20)
    station: str | None = Field(default=None, max_length=20)
    until: int | None = Field(default=None, ge=0, lt=2**62)
    into: str | None = Field(default=None, max_length=16)


@router.post("/tickets", status_code=HTTPStatus.CREATED)
def make(services: Given, account: Dispatcher, body: ReportIn) -> Response:
    """Make a ticket by hand; the ticket."""
    source: Any = body.source
    try:
        with writing(services.engine) as connection:
            now, town = services.clock.now(), services.town()
            made = report(connection, town, body.report, now, source, account.actor, body.outside, services.desk)
    except ReportRefused as refused:
        return _refused(refused)
    return answer(dict(made), status=HTTPStatus.CREATED)


@router.post("/tickets/{number}/moves/{action}")
def move(services: Given, account: Dispatcher, number: str, action: str, body: MoveIn) -> Response:
    """Move a ticket; its number and status afterwards. Doing the same again changes nothing."""
    if action not in BUTTONS:
        raise NotFound("error.no_move")
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
        goal = dossier.ticket_by_number(connection, body.into) if body.into else None
    if found is None:
        raise NotFound("error.no_ticket")
    into = goal["id"] if goal else 0 if body.into else None
    wish = Wish(body.opinion, cause_said(body.cause), body.team, body.station, body.until, into)
    try:
        status = act(services, found["id"], action, account.actor, role_of(account), wish)
    except Refusal as refused:
        return _refused(refused)
    return answer({"number": number, "status": status})


@router.post("/tickets/{number}/photos", status_code=HTTPStatus.CREATED)
def add_photo(
    services: Given,
    account: Dispatcher,
    number: str,
    photo: Annotated[UploadFile, File()],
    note: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Keep a photo as it came; its row, the content under /photos/{id}."""
    try:
        kept = keep(services, ticket_id(services, number), account.actor, photo, note)
    except PhotoRefused as refused:
        return _refused(refused)
    return answer(kept, status=HTTPStatus.CREATED)


def _refused(refused: Refusal) -> Response:
    error = {"code": refused.reason, "zh": refused.text, "en": refused.text_en}
    return answer({"error": error}, status=HTTPStatus.CONFLICT)
