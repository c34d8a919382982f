"""Signing in and out, changing the password, choosing the language."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from console import accounts
from console.access import (
    HOMES,
    LANGUAGE_COOKIE,
    LANGUAGE_SPAN_S,
    SESSION_COOKIE,
    Given,
    SignInNeeded,
    Visitor,
    is_secure,
    keep,
    safe_next,
)
from console.accounts import Account
from console.language import LANGUAGES
from console.pages import pages_of
from console.services import Services
from console.throttle import Throttle
from core.clock import SECOND
from core.database import reading, writing

router = APIRouter(include_in_schema=False)
Field = Annotated[str, Form(max_length=200)]


def go(place: str) -> RedirectResponse:
    """Send the browser on after a POST."""
    return RedirectResponse(place, HTTPStatus.SEE_OTHER)


@router.get("/signin")
def sign_in_page(request: Request, visitor: Visitor, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The sign-in page; who is signed in already goes on."""
    if visitor:
        return go("/password" if visitor.must_change else safe_next(next_, HOMES[visitor.role]))
    return pages_of(request).render(request, "signin.html", next=safe_next(next_), failed=None, username="", wait=0)


@router.post("/signin")
def sign_in(
    request: Request,
    services: Given,
    username: Field,
    password: Field,
    next_: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Open a session, or say that name and password don't fit; after some failures only slowly."""
    now = services.clock.now()
    guarded = _guarded(request, username)
    wait = max(throttle.wait(key, now) for throttle, key in guarded)
    with reading(services.engine) as connection:
        who = None if wait else accounts.authenticate(connection, username, password)
    if who is None:
        if not wait:
            for throttle, key in guarded:
                throttle.failed(key, now)
        status, failed = (429, "signin.slow") if wait else (401, "signin.wrong")
        context = {"next": safe_next(next_), "failed": failed, "username": username, "wait": -(-wait // SECOND)}
        return pages_of(request).render(request, "signin.html", status, **context)
    for throttle, key in guarded:
        throttle.passed(key)
    return _enter(request, services, who, "/password" if who.must_change else safe_next(next_))


def _guarded(request: Request, username: str) -> list[tuple[Throttle, str]]:
    """What slows a sign-in down: guesses at one name from an address, and many from one address at any names.

    A name alone would let a stranger lock the dispatcher out.
    """
    address = request.client.host if request.client else ""
    state = request.app.state
    return [(state.by_name, f"{address} {username.lower()}"), (state.by_address, address)]


def _enter(request: Request, services: Services, who: Account, place: str) -> Response:
    with writing(services.engine) as connection:
        token, expires = accounts.open_session(connection, who, services.clock.now())
    answer = go(HOMES[who.role] if place == "/" else place)
    seconds = (expires - services.clock.now()) // SECOND
    keep(answer, SESSION_COOKIE, token, seconds, is_secure(request, services))
    return answer


@router.post("/signout")
def sign_out(request: Request, services: Given) -> Response:
    """End the session."""
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        with writing(services.engine) as connection:
            accounts.close_session(connection, token)
    answer = go("/signin")
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


@router.get("/password")
def password_page(request: Request, visitor: Visitor) -> Response:
    """Where a password is changed; the only page for an account that still has its one-time password."""
    if visitor is None:
        raise SignInNeeded
    return pages_of(request).render(request, "password.html", failed=None)


@router.post("/password")
def change_password(
    request: Request, services: Given, visitor: Visitor, old: Field, new: Field, again: Field
) -> Response:
    """Change the password; every session of the account ends and this browser gets a new one."""
    if visitor is None:
        raise SignInNeeded
    try:
        if new != again:
            raise accounts.AccountRefused("password.differs")
        with writing(services.engine) as connection:
            accounts.change_password(connection, visitor, old, new)
    except accounts.AccountRefused as refused:
        return pages_of(request).render(request, "password.html", 422, failed=str(refused))
    return _enter(request, services, visitor, "/")


@router.post("/language")
def choose_language(
    request: Request,
    services: Given,
    visitor: Visitor,
    language: Field,
    next_: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Keep the language in the cookie and, when signed in, with the account."""
    answer = go(safe_next(next_))
    if language in LANGUAGES:
        keep(answer, LANGUAGE_COOKIE, language, LANGUAGE_SPAN_S, is_secure(request, services))
        if visitor:
            with writing(services.engine) as connection:
                accounts.set_locale(connection, visitor, language)
    return answer
