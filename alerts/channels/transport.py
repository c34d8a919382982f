"""What every HTTP channel shares: the client, whether a broken request can have arrived, what an answer may tell."""

import json
import logging
from collections.abc import Collection
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from alerts.bounded import BoundedClient
from alerts.channels import Outcome
from core.clock import SECOND

_Answer = TypeVar("_Answer")

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NEVER_SENDABLE = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
_DETAIL_CHARACTERS = 200
_CONTROLS = {code: " " for code in range(32) if code not in (9, 10)}
_HIDDEN = "***"
FAILED_REQUEST = (httpx.RequestError, httpx.InvalidURL)
"""What a request may raise, an answer that can't be unpacked too; everything in here has an outcome."""


def open_client(timeout_s: float = 10.0) -> httpx.Client:
    """A client that verifies certificates, follows no redirect, keeps no connection and ends in time.

    A kept connection that the provider has closed meanwhile would make a request look lost that was never sent. The
    library's own log names whole URLs, and with them robots' keys: it is silenced but for warnings.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return BoundedClient(timeout=timeout_s, limits=httpx.Limits(max_keepalive_connections=0))


def outcome_of_failure(error: httpx.RequestError | httpx.InvalidURL) -> Outcome:
    """Sorts a request without an answer: never sent → retry, never sendable → failed, anything else → uncertain."""
    name = type(error).__name__
    if isinstance(error, _NEVER_SENDABLE):
        return Outcome("failed", name, "the address cannot be requested")
    if isinstance(error, _NEVER_SENT):
        return Outcome("retry", name, "not connected", retry_after=5 * SECOND, holds_address=True)
    return Outcome("uncertain", name, "no answer after the request was sent")


def outcome_of_status(status: int, *, rate_wait: int) -> Outcome:
    """What an answer without its provider's own words means: something before the provider spoke.

    `rate_wait` (µs) is how long a 429 holds the address.
    """
    if status == 429:
        return Outcome("retry", "429", "too many requests", retry_after=rate_wait, holds_address=True)
    if status >= 500:
        return Outcome("uncertain", str(status), "something before the provider failed")
    return Outcome("failed", str(status), "redirected; give the final address" if 300 <= status < 400 else "refused")


JSON = {"Content-Type": "application/json; charset=utf-8"}


def json_body(message: dict[str, Any]) -> bytes:
    """A message as UTF-8, as short as it gets; a character that UTF-8 can't have is replaced."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def printable(text: str) -> str:
    """The text with blanks for control signs, which JSON writes six times as long and no text of a database may hold.

    Its length in bytes stays, but for a character that UTF-8 can't have, which is replaced.
    """
    return text.translate(_CONTROLS).encode(errors="replace").decode()


def told(text: str, secrets: Collection[str] = ()) -> str:
    """What may be kept of a provider's words: 200 characters on one line, without any of the secrets.

    >>> told("invalid key 4f2c-9a1b\\n", ["4f2c-9a1b"])
    'invalid key ***'
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return " ".join(text.encode(errors="replace").decode().split())[:_DETAIL_CHARACTERS]


def decoded(content: bytes, shape: type[_Answer]) -> _Answer | None:
    """An answer's JSON in its shape, None where it has another."""
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class RobotAddress(msgspec.Struct, frozen=True):
    """Where a group robot is: its token, and its own secret where it signs."""

    token: str
    secret: str = ""

    @classmethod
    def parse(cls, address: str, secret: str, parameter: str = "") -> "RobotAddress":
        """`TOKEN` or `TOKEN#SECRET`, or the whole webhook address as the provider shows it in the token's place.

        `secret` is the channel's, for a robot without its own; the token of a whole address is its query's
        `parameter`, or the last part of its path. Only the token is taken: the host is the channel's.

        >>> RobotAddress.parse("https://provider.example/robot/send?access_token=7f2c#SEC1", "", "access_token")
        RobotAddress(token='7f2c', secret='SEC1')
        """
        place, _, own = address.strip().partition("#")
        if place.startswith(("https://", "http://")):
            try:
                parts = urlsplit(place)
            except ValueError:
                return cls("", own or secret)
            found = parse_qs(parts.query).get(parameter, [""])[0] if parameter else parts.path.rsplit("/", 1)[-1]
            return cls(found, own or secret)
        return cls(place, own or secret)
