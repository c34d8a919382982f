"""Signed webhook: a notice as JSON to any HTTP receiver, which can prove its origin and drop a repeat."""

import hashlib
import hmac
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import FAILED_REQUEST, json_body, outcome_of_failure
from alerts.links import ticket_url
from alerts.measurements import Language
from alerts.texts import phone_text
from core.clock import MINUTE, SECOND, moment_of

SIGNATURE = "X-Shouwang-Signature"
TIMESTAMP = "X-Shouwang-Timestamp"
IDEMPOTENCY_KEY = "Idempotency-Key"

_RETRIED = frozenset({408, 429})
_LONGEST_WAIT = 15 * MINUTE


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hex over `timestamp.body`; the timestamp is in seconds UTC, so that a receiver refuses old ones.

    >>> sign(b"secret", "1790000000", b"{}")[:16]
    'd0cadd434460d4af'
    """
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class SignedWebhook(PlainChannel):
    """Posts to the address, a whole URL. `deduplicates` says that the receivers honour the idempotency key."""

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        console_url: str,
        secret: bytes,
        deduplicates: bool = False,
        limit: Limit | None = None,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self.deduplicates = deduplicates
        self.limits = (limit,) if limit else ()
        self._client = client
        self._console_url = console_url
        self._secret = secret
        self._language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        body = self._body(notice)
        timestamp = str(notice.at // SECOND)
        headers = {
            "Content-Type": "application/json",
            IDEMPOTENCY_KEY: str(notice.id),
            TIMESTAMP: timestamp,
            SIGNATURE: f"sha256={sign(self._secret, timestamp, body)}",
        }
        try:
            response = self._client.post(notice.address, content=body, headers=headers)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        return judge(response, notice.at)

    def _body(self, notice: OutgoingNotice) -> bytes:
        return json_body(
            {
                "notice": notice.id,
                "ticket": notice.facts.number,
                "recipient": {"kind": notice.recipient_kind, "code": notice.recipient},
                "may_repeat": notice.repeated,
                "facts": msgspec.to_builtins(notice.facts),
                "text": phone_text(notice, self._language),
                "url": ticket_url(self._console_url, notice.ticket),
            }
        )


def judge(response: httpx.Response, now: int) -> Outcome:
    """2xx accepted; 408, 429 and 5xx retry, as late as Retry-After says; anything else failed."""
    status = response.status_code
    if response.is_success:
        return Outcome("accepted", str(status))
    if status in _RETRIED or status >= 500:
        wait = _retry_after(response.headers.get("Retry-After", ""), now)
        return Outcome("retry", str(status), "not taken", retry_after=wait, holds_address=wait > 0)
    return Outcome("failed", str(status), "redirected; give the final address" if status < 400 else "refused")


def _retry_after(value: str, now: int) -> int:
    """The wait (µs) in a Retry-After header, given in seconds or as a date; 0 where there is none."""
    if value.isascii() and value.isdigit():
        return min(int(value[:6]) * SECOND, _LONGEST_WAIT)
    try:
        when: datetime = parsedate_to_datetime(value)
    except ValueError:
        return 0
    return 0 if when.tzinfo is None else min(max(0, moment_of(when) - now), _LONGEST_WAIT)
