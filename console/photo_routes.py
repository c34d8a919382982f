"""Photos of tickets: taken from the desk's page or by program, shown to the desk."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Request, UploadFile
from starlette.responses import Response

from alerts import photos as kept_photos
from alerts.pictures_sent import MOST_BYTES, read_picture
from alerts.refusals import PhotoRefused
from console import dossier
from console.access import LARGEST_NUMBER, Dispatcher, Given, NotFound
from console.acting import role_of
from console.services import Services
from console.signing import go
from console.ticket_pages import ticket_answer
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
FOR_A_DAY = {"Cache-Control": "private, max-age=86400, immutable"}


@router.get("/photos/{number}")
def photo(services: Given, _: Dispatcher, number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]) -> Response:
    """A photo as it came."""
    with reading(services.engine) as connection:
        found = kept_photos.content_of(connection, number)
    if found is None:
        raise NotFound("error.no_photo")
    media_type, content = found
    return Response(content, media_type=media_type, headers=FOR_A_DAY)


@router.get("/photos/{number}/small")
def small_photo(services: Given, _: Dispatcher, number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]) -> Response:
    """A photo as small as the ticket's page shows it."""
    found = services.thumbnails.get(services.engine, number)
    if found is None:
        raise NotFound("error.no_photo")
    return Response(found[1], media_type=found[0], headers=FOR_A_DAY)


@router.post("/tickets/{number}/photos")
def add_photos(
    request: Request,
    services: Given,
    account: Dispatcher,
    number: str,
    photos: Annotated[list[UploadFile], File()],
    note: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Keep photos of a ticket; those before one that is refused stay kept."""
    ticket = ticket_id(services, number)
    try:
        for each in photos:
            keep(services, ticket, account.actor, each, note)
    except PhotoRefused as refused:
        entered = {"action": "photo"}
        return ticket_answer(request, services, role_of(account), number, 409, refused=refused, entered=entered)
    return go(f"/tickets/{number}?done=photo")


def ticket_id(services: Services, number: str) -> int:
    """The id of a ticket's number. Raises NotFound."""
    with reading(services.engine) as connection:
        found = dossier.ticket_by_number(connection, number)
    if found is None:
        raise NotFound("error.no_ticket")
    return int(found["id"])


def keep(services: Services, ticket: int, who: str, sent: UploadFile, note: str) -> dossier.Row:
    """Keep one photo; its row without the content. Raises PhotoRefused."""
    picture = read_picture(sent.file.read(MOST_BYTES + 1))
    with writing(services.engine) as connection:
        now = services.clock.now()
        return {**kept_photos.keep(connection, ticket, who, picture, None, None, None, note, now)}
