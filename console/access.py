"""Who is asking: the signed-in account and language of a request, and the one place where roles are enforced."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Response

from console.accounts import Account, account_of
from console.language import LANGUAGES
from console.services import Services
from core.database import reading

SESSION_COOKIE = "shouwang_session"
LANGUAGE_COOKIE = "shouwang_language"
LANGUAGE_SPAN_S = 365 * 86_400
LARGEST_NUMBER = 2**31 - 1
"""The largest number of a row that an address may name: what databases take."""
LATEST = 2**53
"""The latest moment (µs UTC, the year 2255) that an address may name: what scripts can count to."""
HOMES = {"dispatcher": "/", "admin": "/", "patroller": "/m"}


class SignInNeeded(Exception):
    """Nobody is signed in."""


class PasswordChangeNeeded(Exception):
    """The account still has its one-time password."""


class Forbidden(Exception):
    """The account's role may not do this."""


class NotFound(Exception):
    """What was asked for is not there; `what` is the name of a console text."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def services_of(request: Request) -> Services:
    """The services that the application was made with."""
    services: Services = request.app.state.services
    return services


Given = Annotated[Services, Depends(services_of)]


def account_or_none(request: Request, services: Given) -> Account | None:
    """The signed-in account, kept on the request for the page around it."""
    token = request.cookies.get(SESSION_COOKIE)
    found: Account | None = None
    if token:
        with reading(services.engine) as connection:
            found = account_of(connection, token, services.clock.now())
    request.state.account = found
    return found


def language_of(request: Request) -> str:
    """The request's language: the cookie, else the account's, else Chinese."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen not in LANGUAGES:
        account: Account | None = getattr(request.state, "account", None)
        chosen = account.locale if account else LANGUAGES[0]
    return chosen


def allow(*roles: str) -> Callable[..., Account]:
    """A dependency that lets only these roles pass; an admin may do all that a dispatcher may."""

    def check(account: Annotated[Account | None, Depends(account_or_none)]) -> Account:
        if account is None:
            raise SignInNeeded
        if account.must_change:
            raise PasswordChangeNeeded
        if account.role not in roles and not (account.role == "admin" and "dispatcher" in roles):
            raise Forbidden
        return account

    return check


Visitor = Annotated[Account | None, Depends(account_or_none)]
Dispatcher = Annotated[Account, Depends(allow("dispatcher"))]
Admin = Annotated[Account, Depends(allow("admin"))]
Patroller = Annotated[Account, Depends(allow("patroller", "dispatcher"))]


def is_loopback(request: Request) -> bool:
    """Whether the request came from this machine."""
    return request.client is not None and request.client.host in {"127.0.0.1", "::1"}


def is_secure(request: Request, services: Services) -> bool:
    """Whether people reach the console by https."""
    return request.url.scheme == "https" or services.base_url.startswith("https:")


def keep(response: Response, name: str, value: str, seconds: int, secure: bool) -> None:
    """Set a cookie that scripts can't read and other sites can't send."""
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure, path="/")


def safe_next(target: str | None, default: str = "/") -> str:
    """A place on this console to go on to; anything that a browser could take for another host becomes `default`.

    >>> safe_next("/tickets/1"), safe_next("//elsewhere"), safe_next("https://elsewhere"), safe_next("/\\\\elsewhere")
    ('/tickets/1', '/', '/', '/')
    """
    if not target or not target.startswith("/") or target.startswith("//") or any(c in target for c in "\\\r\n\t"):
        return default
    return target
