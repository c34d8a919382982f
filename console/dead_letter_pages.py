"""Dead letters: found, read whole, sent through the gate again, and the device that one is about enrolled."""

from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy import Connection, select
from starlette.responses import Response

from console import dossier
from console.access import LARGEST_NUMBER, Dispatcher, Given, NotFound
from console.pages import pages_of
from console.payloads import excerpt, shown
from console.services import Services
from console.signing import go
from core.clock import HOUR
from core.database import reading, writing
from devices.enrolment import NewDevice
from devices.tables import gateway, site
from ingest.dead_letter_writer import ask_for_replay
from ingest.dead_letters import DeadLetter, ask_for_all, list_dead_letters, refused_again, show, totals
from ingest.strangers import (
    StrangerRefused,
    enrol_stranger,
    fitting,
    letters_of,
    measured,
    stranger_of,
)
from ingest.words import RegistryChanged

router = APIRouter(include_in_schema=False)
PAGE = 50
HOURS = (1, 24, 168, 720)
STATES = ("in_service", "commissioning")
_SITES = 500
_Text = Annotated[str, Form(max_length=200)]


class Filter(NamedTuple):
    """Which letters are wanted; "" leaves nothing out."""

    gateway: str = ""
    reason: str = ""
    hours: int = 24
    contains: str = ""

    def words(self, **more: object) -> str:
        """As the query of an address."""
        return urlencode({**self._asdict(), **more})


def _asked(
    gateway: Annotated[str, Query(max_length=64)] = "",
    reason: Annotated[str, Query(max_length=32)] = "",
    hours: Annotated[int, Query(ge=1, le=8784)] = 24,
    contains: Annotated[str, Query(max_length=200)] = "",
) -> Filter:
    return Filter(gateway, reason, hours, contains)


def _sent(
    gateway: Annotated[str, Form(max_length=64)] = "",
    reason: Annotated[str, Form(max_length=32)] = "",
    hours: Annotated[int, Form(ge=1, le=8784)] = 24,
    contains: _Text = "",
) -> Filter:
    return Filter(gateway, reason, hours, contains)


Asked = Annotated[Filter, Depends(_asked)]
Sent = Annotated[Filter, Depends(_sent)]


@router.get("/rejects")
def rejects_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    wanted: Asked,
    before: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
    asked: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
) -> Response:
    """Dead letters, the newest first, under the counts of all that was refused."""
    since = services.clock.now() - wanted.hours * HOUR
    names = (wanted.gateway or None, wanted.reason or None)
    with reading(services.engine) as connection:
        every = totals(connection, since)
        counts = totals(connection, since, *names)
        letters = list_dead_letters(connection, *names, since, PAGE, wanted.contains or None, before)
        again = refused_again(connection, letters)
    context: dict[str, Any] = {
        "wanted": wanted,
        "letters": [(letter, excerpt(letter.payload)) for letter in letters],
        "counts": counts,
        "again": again,
        "gateways": sorted({total.gateway for total in every}),
        "reasons": sorted({total.reason for total in every}),
        "hours": HOURS,
        "more": wanted.words(before=letters[-1].id) if len(letters) == PAGE else "",
        "asked": asked,
    }
    return pages_of(request).render(request, "rejects.html", **context)


@router.post("/rejects/replay")
def replay_all(services: Given, _: Dispatcher, wanted: Sent) -> Response:
    """Have all letters that the filter selects, and that were not replayed yet, go through the gate again in order."""
    now = services.clock.now()
    chosen = (wanted.gateway or None, wanted.reason or None, now - wanted.hours * HOUR, wanted.contains or None)
    with writing(services.engine) as connection:
        asked = ask_for_all(connection, *chosen, now)
    return go(f"/rejects?{wanted.words(asked=asked)}")


@router.get("/rejects/{number}")
def reject_page(
    request: Request,
    services: Given,
    _: Dispatcher,
    number: int,
    enrolled: Annotated[str, Query(max_length=64)] = "",
    asked: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
) -> Response:
    """One letter with its whole payload, what its reason means, and what can be done about it."""
    with reading(services.engine) as connection:
        return _page(request, services, connection, number, enrolled=enrolled, asked=asked)


@router.post("/rejects/{number}/replay")
def replay_one(services: Given, _: Dispatcher, number: int) -> Response:
    """Have one letter go through the gate again."""
    with writing(services.engine) as connection:
        if show(connection, number) is None:
            raise NotFound("error.no_letter")
        asked = ask_for_replay(connection, [number], services.clock.now())
    return go(f"/rejects/{number}?asked={asked}")


class Entered(NamedTuple):
    """What was filled in to enrol a device."""

    code: str
    type: str
    site: str
    name: str = ""
    state: str = STATES[0]
    replay: bool = True


def _entered(
    code: _Text = "", type_: Annotated[str, Form(alias="type", max_length=40)] = "", site: _Text = "",
    name: _Text = "", state: _Text = "", replay: _Text = "",
) -> Entered:  # fmt: skip
    return Entered(code.strip(), type_, site.strip(), name.strip(), state, bool(replay))


@router.post("/rejects/{number}/enrol")
def enrol_page(
    request: Request, services: Given, _: Dispatcher, number: int, entered: Annotated[Entered, Depends(_entered)]
) -> Response:
    """Enrol the device that a letter is about; its letters are then replayed in their order."""
    now = services.clock.now()
    try:
        with writing(services.engine) as connection:
            version, asked = _enrol(connection, services, number, entered, now)
    except StrangerRefused as refused:
        with reading(services.engine) as connection:
            return _page(request, services, connection, number, 409, entered=entered, refused=refused)
    services.journal_control(RegistryChanged(version))  # after the commit: whoever reads it looks into the registry
    return go(f"/rejects/{number}?{urlencode({'enrolled': entered.code, 'asked': asked})}")


def _enrol(connection: Connection, services: Services, number: int, entered: Entered, now: int) -> tuple[int, int]:
    letter = show(connection, number)
    stranger = stranger_of(letter) if letter else None
    if stranger is None:
        raise NotFound("error.no_letter")
    if entered.state not in STATES:
        raise StrangerRefused("state", f"{entered.state!r} is no state to begin with")
    new = NewDevice(entered.code, entered.type, stranger.gateway, entered.site, entered.name, state=entered.state)
    return enrol_stranger(connection, services.types, stranger, new, now, entered.replay)


def _page(
    request: Request,
    services: Services,
    connection: Connection,
    number: int,
    status: int = 200,
    enrolled: str = "",
    asked: int | None = None,
    entered: Entered | None = None,
    refused: StrangerRefused | None = None,
) -> Response:
    letter = show(connection, number)
    if letter is None:
        raise NotFound("error.no_letter")
    context: dict[str, Any] = {
        "letter": letter,
        "payload": shown(letter.payload),
        "again": refused_again(connection, [letter]).get(letter.id),
        "enrolled": enrolled,
        "asked": asked,
        "refused": refused,
        "states": STATES,
        "types": services.types,
        **_stranger(connection, services, letter, entered),
    }
    return pages_of(request).render(request, "reject.html", status, **context)


def _stranger(
    connection: Connection, services: Services, letter: DeadLetter, entered: Entered | None
) -> dict[str, Any]:
    """What the form to enrol is filled in with; nothing where the letter is about no unknown device."""
    stranger = stranger_of(letter)
    its_gateway = dossier.by_code(connection, gateway, letter.gateway)
    if stranger is None or its_gateway is None or its_gateway["retired"]:
        return {"stranger": None}
    names = measured(connection, stranger)
    fits = fitting(services.types, names)
    best = fits[0].type if fits else ""
    return {
        "stranger": stranger,
        "measured": names,
        "fits": fits,
        "others": sorted(services.types.keys() - {fit.type for fit in fits}),
        "waiting": letters_of(connection, stranger),
        "sites": _sites_near(connection, its_gateway["site"]),
        "form": entered or Entered(stranger.name, best, its_gateway["site"] or ""),
    }


def _sites_near(connection: Connection, code: str | None) -> list[tuple[str, str, str]]:
    """Sites (code, name, name_en) to choose from, those in the grid of the gateway's own first."""
    grid = select(site.c.grid).where(site.c.code == code).scalar_subquery()
    columns = (site.c.code, site.c.name, site.c.name_en)
    query = select(*columns).where(site.c.retired == 0).order_by((site.c.grid == grid).desc(), site.c.code)
    return [(row.code, row.name, row.name_en or row.name) for row in connection.execute(query.limit(_SITES))]
