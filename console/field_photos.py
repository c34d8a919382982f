"""Photos and positions that phones send, by an account or a personal link; a repeated sending changes nothing."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.responses import Response

from alerts import photos
from alerts.pictures_sent import MOST_BYTES, read_picture
from alerts.positions import forget_position
from alerts.refusals import Refusal
from alerts.tickets import read_ticket
from console.access import LARGEST_NUMBER, Given, NotFound, Patroller
from console.field import Hand, Spot, check_theirs, hand_of_account, hand_of_link, keep_spot, spot
from console.patroller import linked_answer, mine_answer
from console.photo_routes import FOR_A_DAY
from console.services import Services
from console.signing import go
from core.clock import MILLISECOND
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
Where = Annotated[Spot, Depends(spot)]
Photos = Annotated[list[UploadFile], File(alias="photo", max_length=10)]
TakenAt = Annotated[int | None, Form(ge=0, le=2**43)]
PhotoNumber = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]


@router.post("/m/tickets/{number}/photos")
def my_photos(
    request: Request,
    services: Given,
    account: Patroller,
    number: str,
    sent: Photos,
    where: Where,
    taken: TakenAt = None,
) -> Response:
    """Photos of one of my tickets."""
    hand = hand_of_account(services, account, number)
    try:
        kept = keep_photos(services, hand, sent, where, taken)
    except Refusal as refused:
        if _by_script(request):
            return _refused(refused)
        return mine_answer(request, services, account.person, status=409, refused=refused)
    return JSONResponse({"kept": kept}) if _by_script(request) else go("/m?done=photo")


@router.post("/t/{code}/photos")
def linked_photos(
    request: Request, services: Given, code: str, sent: Photos, where: Where, taken: TakenAt = None
) -> Response:
    """Photos of a personal link's ticket."""
    hand = hand_of_link(services, code)
    try:
        kept = keep_photos(services, hand, sent, where, taken)
    except Refusal as refused:
        if _by_script(request):
            return _refused(refused)
        return linked_answer(request, services, hand, status=409, refused=refused)
    return JSONResponse({"kept": kept}) if _by_script(request) else go(f"/t/{code}?done=photo")


@router.get("/m/tickets/{number}/photos/{photo}")
def my_photo(services: Given, account: Patroller, number: str, photo: PhotoNumber) -> Response:
    """A photo of one of my tickets."""
    return _photo(services, hand_of_account(services, account, number), photo)


@router.get("/t/{code}/photos/{photo}")
def linked_photo(services: Given, code: str, photo: PhotoNumber) -> Response:
    """A photo of a personal link's ticket."""
    return _photo(services, hand_of_link(services, code), photo)


@router.post("/m/position")
def my_position(services: Given, account: Patroller, where: Where) -> Response:
    """Where my phone is, which I agreed to share."""
    return _keep(services, account.person, where)


@router.post("/m/position/forget")
def forget_mine(services: Given, account: Patroller) -> Response:
    """The end of that: what is known of it is deleted."""
    _forget(services, account.person)
    return go("/m?done=forgotten")


@router.post("/t/{code}/position")
def linked_position(services: Given, code: str, where: Where) -> Response:
    """Where a link's person is, who agreed to share it."""
    return _keep(services, hand_of_link(services, code).who, where)


@router.post("/t/{code}/position/forget")
def forget_linked(services: Given, code: str) -> Response:
    """The end of that: what is known of it is deleted."""
    _forget(services, hand_of_link(services, code).who)
    return go(f"/t/{code}?done=forgotten")


def keep_photos(
    services: Services, hand: Hand, sent: Sequence[UploadFile], where: Spot, taken: int | None
) -> list[int]:
    """Keep photos of a ticket that is theirs, each by itself; their ids. `taken` in ms by the phone. Raises Refusal."""
    with reading(services.engine) as connection:
        check_theirs(connection, services, hand, read_ticket(connection, hand.ticket))
    kept = []
    for each in sent:
        content = each.file.read(MOST_BYTES + 1)
        if not content and not each.filename:
            continue  # a form that was sent without choosing any
        picture = read_picture(content)
        with writing(services.engine) as connection:
            now = services.clock.now()
            at = None if taken is None else taken * MILLISECOND
            row = photos.keep(connection, hand.ticket, hand.who, picture, at, where.lng, where.lat, "", now)
        kept.append(int(row["id"]))
    return kept


def _photo(services: Services, hand: Hand, number: int) -> Response:
    with reading(services.engine) as connection:
        own = {each["id"] for each in photos.photos_of(connection, hand.ticket)}
        try:
            check_theirs(connection, services, hand, read_ticket(connection, hand.ticket))
        except Refusal as refused:
            raise NotFound("error.no_photo") from refused
        found = photos.content_of(connection, number) if number in own else None
    if found is None:
        raise NotFound("error.no_photo")
    return Response(found[1], media_type=found[0], headers=FOR_A_DAY)


def _keep(services: Services, who: str | None, where: Spot) -> Response:
    if who is None:
        raise NotFound("error.not_found")
    with writing(services.engine) as connection:
        return JSONResponse({"position": keep_spot(connection, services, who, where)})


def _forget(services: Services, who: str | None) -> None:
    if who is not None:
        with writing(services.engine) as connection:
            forget_position(connection, who)


def _by_script(request: Request) -> bool:
    """Whether the page's own script sent it, which shows progress itself, and not a plain form."""
    return request.headers.get("accept", "").startswith("application/json")


def _refused(refused: Refusal) -> Response:
    error = {"code": refused.reason, "zh": refused.text, "en": refused.text_en}
    return JSONResponse({"error": error}, 409)
