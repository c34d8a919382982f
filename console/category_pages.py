"""Categories of cases and class codes: the tables that a town edits."""

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
from alerts.refusals import EditRefused
from console.access import Admin, Dispatcher, Given
from console.api import answer
from console.pages import pages_of
from console.services import Services
from console.signing import go
from core.database import reading, writing

router = APIRouter()
_Name = Annotated[str, Form(max_length=60)]


@router.get("/categories", include_in_schema=False)
def categories_page(
    request: Request, services: Given, account: Dispatcher, done: Annotated[str, Query(max_length=12)] = ""
) -> Response:
    """Both tables; administrators edit them."""
    return _page(request, services, account.role == "admin", done=done)


@router.get("/api/v1/categories", tags=["console"])
def both_tables(services: Given, _: Dispatcher) -> Response:
    """The categories and class codes that are offered."""
    with reading(services.engine) as connection:
        found = (
            [each._asdict() for each in categories(connection)],
            [each._asdict() for each in class_codes(connection)],
        )
    return answer({"categories": found[0], "classes": found[1]})


@router.post("/categories", include_in_schema=False)
def edit_category(
    request: Request,
    services: Given,
    _: Admin,
    name: _Name = "",
    name_en: _Name = "",
    acceptance: Annotated[str, Form(max_length=8)] = "first",
    place: Annotated[int, Form(ge=0, le=999)] = 99,
    retire: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Add a category, change it, or offer it no more."""

    def edit(connection: Connection) -> None:
        if retire:
            retire_category(connection, name.strip())
        else:
            kind: Any = acceptance
            put_category(connection, Category(name.strip(), name_en.strip(), kind, place))

    return _edited(request, services, edit, {"name": name, "name_en": name_en, "table": "category"})


@router.post("/categories/classes", include_in_schema=False)
def edit_class(
    request: Request,
    services: Given,
    _: Admin,
    code: Annotated[str, Form(max_length=12)] = "",
    name: _Name = "",
    name_en: _Name = "",
    retire: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Add a class code, change it, or offer it no more."""

    def edit(connection: Connection) -> None:
        if retire:
            retire_class(connection, code.strip())
        else:
            put_class(connection, ClassCode(code.strip().upper(), name.strip(), name_en.strip()))

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
) -> Response:
    with reading(services.engine) as connection:
        context: dict[str, Any] = {
            "categories": categories(connection, with_retired=True),
            "classes": class_codes(connection, with_retired=True),
        }
    context.update(may_edit=may_edit, refused=refused, done=done, form=form or {"table": ""})
    return pages_of(request).render(request, "categories.html", status, **context)
