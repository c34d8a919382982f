"""Categories of cases and class codes: the tables that a town edits, and who changed what in them."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from alerts.categories import (
    Category,
    ClassCode,
    categories,
    class_codes,
    put_category,
    put_class,
    retire_category,
    retire_class,
)
from alerts.edits import Edit, edits
from alerts.refusals import EditRefused
from alerts.tables import person
from console.access import LARGEST_NUMBER, Admin, Dispatcher, Given
from console.api import answer
from console.board import names_of
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.database import reading, writing

router = APIRouter()
PAGE = 30
_Name = Annotated[str, Form(max_length=60)]
_Before = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)]


@router.get("/categories", include_in_schema=False)
def categories_page(
    request: Request,
    services: Given,
    account: Dispatcher,
    done: Annotated[str, Query(max_length=12)] = "",
    before: _Before = None,
) -> Response:
    """Both tables and their edits, the newest first; administrators edit them."""
    return _page(request, services, account.role == "admin", done=done, before=before)


@router.get("/api/v1/categories", tags=["console"])
def both_tables(services: Given, _: Dispatcher) -> Response:
    """The categories and class codes that are offered."""
    with reading(services.engine) as connection:
        found = (
            [each._asdict() for each in categories(connection)],
            [each._asdict() for each in class_codes(connection)],
        )
    return answer({"categories": found[0], "classes": found[1]})


@router.get("/api/v1/categories/edits", tags=["console"])
def edits_of_both(services: Given, _: Dispatcher, before: _Before = None) -> Response:
    """Who changed which category or class code from what to what, the newest first, 30 at once; times in µs.

    `before` is the id behind which to go on.
    """
    with reading(services.engine) as connection:
        found = edits(connection, PAGE, before)
    return answer({"edits": [each._asdict() for each in found]})


@router.post("/categories", include_in_schema=False)
def edit_category(
    request: Request,
    services: Given,
    account: Admin,
    name: _Name = "",
    name_en: _Name = "",
    acceptance: Annotated[str, Form(max_length=8)] = "first",
    place: Annotated[int, Form(ge=0, le=999)] = 99,
    retire: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Add a category, change it, or offer it no more."""
    by = account.actor, services.clock.now()

    def edit(connection: Connection) -> None:
        if retire:
            retire_category(connection, name.strip(), *by)
        else:
            kind: Any = acceptance
            put_category(connection, Category(name.strip(), name_en.strip(), kind, place), *by)

    return _edited(request, services, edit, {"name": name, "name_en": name_en, "table": "category"})


@router.post("/categories/classes", include_in_schema=False)
def edit_class(
    request: Request,
    services: Given,
    account: Admin,
    code: Annotated[str, Form(max_length=12)] = "",
    name: _Name = "",
    name_en: _Name = "",
    retire: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Add a class code, change it, or offer it no more."""
    by = account.actor, services.clock.now()

    def edit(connection: Connection) -> None:
        if retire:
            retire_class(connection, code.strip(), *by)
        else:
            put_class(connection, ClassCode(code.strip().upper(), name.strip(), name_en.strip()), *by)

    return _edited(request, services, edit, {"code": code, "name": name, "name_en": name_en, "table": "class"})


def _edited(request: Request, services: Services, edit: Any, form: dict[str, str]) -> Response:
    try:
        with writing(services.engine) as connection:
            edit(connection)
    except EditRefused as refused:
        return _page(request, services, True, 409, refused=refused, form=form)
    return go("/categories?done=kept")


def _page(
    request: Request,
    services: Services,
    may_edit: bool,
    status: int = 200,
    refused: EditRefused | None = None,
    form: dict[str, str] | None = None,
    done: str = "",
    before: int | None = None,
) -> Response:
    with reading(services.engine) as connection:
        context: dict[str, Any] = {
            "categories": categories(connection, with_retired=True),
            "classes": class_codes(connection, with_retired=True),
            **_edits(connection, before),
        }
    context.update(may_edit=may_edit, refused=refused, done=done, form=form or {"table": ""})
    return pages_of(request).render(request, "categories.html", status, **context)


def _edits(connection: Connection, before: int | None) -> dict[str, Any]:
    found: list[Edit] = edits(connection, PAGE, before)
    return {
        "edits": found,
        "editors": names_of(connection, person, [each.who for each in found]),
        "older": found[-1].id if len(found) == PAGE else None,
    }
