"""What every HTTP channel shares: the client, and whether a broken request can have arrived."""

import httpx

from alerts.channels import Outcome
from core.clock import SECOND

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NEVER_SENDABLE = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
FAILED_REQUEST = (httpx.TransportError, httpx.InvalidURL)
"""What a request may raise; everything in here has an outcome."""


def open_client(timeout_s: float = 10.0) -> httpx.Client:
    """A client that verifies certificates, follows no redirect and keeps no connection.

    A kept connection that the provider has closed meanwhile would make a request look lost that was never sent.
    """
    return httpx.Client(timeout=timeout_s, limits=httpx.Limits(max_keepalive_connections=0))


def outcome_of_failure(error: httpx.TransportError | httpx.InvalidURL) -> Outcome:
    """Sorts a request without an answer: never sent → retry, never sendable → failed, anything else → uncertain."""
    name = type(error).__name__
    if isinstance(error, _NEVER_SENDABLE):
        return Outcome("failed", name, "the address cannot be requested")
    if isinstance(error, _NEVER_SENT):
        return Outcome("retry", name, "not connected", retry_after=5 * SECOND, holds_address=True)
    return Outcome("uncertain", name, "no answer after the request was sent")
