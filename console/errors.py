"""Errors as pages for people and as JSON in both languages for programs: what is wrong, where, and what to do."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from console import access
from console.language import LANGUAGES, both, named, text, texts
from console.pages import Pages, wants_page
from ingest.store import StoreError

_LIMITS = ("max_length", "min_length", "ge", "gt", "le", "lt", "expected")
_KNOWN = {400: "error.unreadable", 404: "error.not_found", 405: "error.method"}


def add_errors(app: FastAPI) -> None:
    """Answer every error of the application here."""
    app.add_exception_handler(access.SignInNeeded, _sign_in)
    app.add_exception_handler(access.PasswordChangeNeeded, _change_password)
    app.add_exception_handler(access.Forbidden, _forbidden)
    app.add_exception_handler(access.NotFound, _not_found)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(OperationalError, _no_database)
    app.add_exception_handler(StoreError, _no_store)
    app.add_exception_handler(Exception, _broken)


def faults_of(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each error of validation the field, the validator's own reason, and what to do about it in both languages.

    >>> faults_of([{"loc": ("body", "title"), "msg": "too long", "type": "string_too_long", "ctx": {"max_length": 60}}])
    [{'field': 'body.title', 'reason': 'too long', 'zh': '标题：最长 60 字', 'en': 'Title: at most 60 characters'}]
    """
    return [
        {
            "field": ".".join(map(str, each["loc"])),
            "reason": each["msg"],
            **{language: _said(language, each) for language in LANGUAGES},
        }
        for each in errors
    ]


def _said(language: str, fault: Mapping[str, Any]) -> str:
    place = [str(part) for part in fault["loc"][1:]] or ["body"]
    field = ".".join(named(language, "field", part) for part in place)
    known = f"fault.{fault['type']}"
    limit = next((fault["ctx"][name] for name in _LIMITS if name in fault.get("ctx", {})), "")
    why = text(language, known if known in texts(language) else "fault.other", limit=limit)
    return f"{field}{text(language, 'fault.is')}{why}"


def _answer(
    request: Request,
    status: int,
    key: str,
    headers: dict[str, str] | None = None,
    faults: Sequence[dict[str, str]] = (),
) -> Response:
    if wants_page(request):
        pages: Pages = request.app.state.pages
        page = pages.render(request, "error.html", status, key=key, faults=faults)
        page.headers.update(headers or {})
        return page
    where = {"where": list(faults)} if faults else {}
    return JSONResponse({"error": {**both(key), **where}}, status, headers)


def _go(request: Request, place: str) -> Response:
    """Send a browser elsewhere; htmx has to be told in a header, or it would swap the page into a part of itself."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": place})
    return RedirectResponse(place, HTTPStatus.SEE_OTHER)


def _sign_in(request: Request, _: Exception) -> Response:
    if not wants_page(request):
        return _answer(request, HTTPStatus.UNAUTHORIZED, "error.sign_in")
    back = request.url.path if request.method == "GET" and not request.headers.get("hx-request") else "/"
    return _go(request, f"/signin?next={quote(back)}")


def _change_password(request: Request, _: Exception) -> Response:
    if not wants_page(request):
        return _answer(request, HTTPStatus.FORBIDDEN, "error.password")
    return _go(request, "/password")


def _forbidden(request: Request, _: Exception) -> Response:
    account = getattr(request.state, "account", None)
    if wants_page(request) and request.method == "GET" and request.url.path == "/" and account:
        return _go(request, access.HOMES[account.role])
    return _answer(request, HTTPStatus.FORBIDDEN, "error.forbidden")


def _not_found(request: Request, error: Any) -> Response:
    return _answer(request, HTTPStatus.NOT_FOUND, error.what)


def _http_error(request: Request, error: Any) -> Response:
    return _answer(request, error.status_code, _KNOWN.get(error.status_code, "error.refused"), error.headers)


def _invalid(request: Request, error: Any) -> Response:
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "error.invalid", faults=faults_of(error.errors()))


def _unstorable(request: Request, _: Exception) -> Response:
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "error.unstorable")


def _no_database(request: Request, _: Exception) -> Response:
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "error.database", {"Retry-After": "2"})


def _no_store(request: Request, _: Exception) -> Response:
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "error.no_store", {"Retry-After": "5"})


def _broken(request: Request, _: Exception) -> Response:
    """A fault of ours: it is raised again behind this answer, and logged."""
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "error.broken")
