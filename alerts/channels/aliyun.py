"""Aliyun's API: requests signed by ACS3-HMAC-SHA256, and what the codes of messages and calls mean.

https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import httpx
import msgspec

from alerts.channels import Outcome
from alerts.channels.transport import FAILED_REQUEST, decoded, outcome_of_failure, outcome_of_status, told
from core.clock import DAY, HOUR, MINUTE, SECOND, local

ALGORITHM = "ACS3-HMAC-SHA256"
_UTC = ZoneInfo("UTC")
_EMPTY = hashlib.sha256(b"").hexdigest()
_FLOW = "isv.BUSINESS_LIMIT_CONTROL"
_WAITS = {"天级": DAY, "day": DAY, "小时级": HOUR, "hour": HOUR}
_BUSY = ("Throttling", "ServiceUnavailable", "SignatureNonceUsed")
_UNKNOWN = ("isp.", "InternalError", "SystemError")
_SAID = {
    "isv.AMOUNT_NOT_ENOUGH": "the account has no money left",
    "isv.OUT_OF_SERVICE": "the service was stopped for want of money",
    "isv.MOBILE_NUMBER_ILLEGAL": "no such number",
    "isv.MOBILE_COUNT_OVER_LIMIT": "too many numbers",
    "isv.TEMPLATE_MISSING_PARAMETERS": "the template has other variables",
    "isv.TEMPLATE_PARAMS_ILLEGAL": "a variable holds what the provider does not take",
    "isv.SMS_TEMPLATE_ILLEGAL": "no such template",
    "isv.SMS_SIGNATURE_ILLEGAL": "no such signature",
    "isv.BLACK_KEY_CONTROL_LIMIT": "a variable holds a forbidden word",
    "isv.DAY_LIMIT_CONTROL": "the account's own limit of a day",
    "InvalidAccessKeyId.NotFound": "no such AccessKey",
    "InvalidAccessKeyId.Inactive": "the AccessKey was stopped",
    "SignatureDoesNotMatch": "the AccessKey's secret is wrong",
    "InvalidTimeStamp.Expired": "this machine's clock is wrong",
    "isp.RAM_PERMISSION_DENY": "the AccessKey may not send",
}


class AccessKey(NamedTuple):
    """What opens an account: the key's id and its secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return "AccessKey(***)"


class Call(NamedTuple):
    """One call of an API: its parameters travel in the query."""

    action: str
    version: str
    parameters: Mapping[str, str]


class Answer(msgspec.Struct, rename="pascal"):
    """What is read of an answer; `biz_id` numbers a message, `call_id` a call."""

    code: str
    message: str = ""
    biz_id: str = ""
    call_id: str = ""


def canonical_query(parameters: Mapping[str, str]) -> str:
    """The parameters in order, percent-encoded by RFC 3986.

    >>> canonical_query({"b": "a b", "a": "*~"})
    'a=%2A~&b=a%20b'
    """
    return "&".join(f"{_encoded(name)}={_encoded(parameters[name])}" for name in sorted(parameters))


def signed_headers(key: AccessKey, host: str, call: Call, now: int, nonce: str) -> dict[str, str]:
    """The headers of a POST to `/` without a body; `now` in µs UTC, and no nonce is taken twice."""
    headers = {
        "host": host,
        "x-acs-action": call.action,
        "x-acs-content-sha256": _EMPTY,
        "x-acs-date": local(now, _UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": call.version,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n{canonical_query(call.parameters)}\n{lines}\n{names}\n{_EMPTY}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return {**headers, "Authorization": f"{ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={signature}"}


def request(client: httpx.Client, base_url: str, key: AccessKey, call: Call, now: int) -> Outcome:
    """Make one call and say what became of it."""
    place = base_url.rstrip("/")
    headers = signed_headers(key, urlsplit(place).netloc, call, now, secrets.token_hex(16))
    try:
        response = client.post(f"{place}/?{canonical_query(call.parameters)}", headers=headers)
    except FAILED_REQUEST as error:
        return outcome_of_failure(error)
    return judge(response, key)


def judge(response: httpx.Response, key: AccessKey) -> Outcome:
    """What an answer means: the body's Code decides, whatever the HTTP status is."""
    answer = decoded(response.content, Answer)
    if answer is None or not answer.code:
        if response.status_code != 200:
            return outcome_of_status(response.status_code, rate_wait=MINUTE)
        return Outcome("uncertain", "200", "the answer carries no Code")
    code, detail = told(answer.code, key), told(answer.message, key)
    if answer.code == "OK":
        return Outcome("accepted", code, provider_id=answer.biz_id or answer.call_id)
    if answer.code == _FLOW:
        return Outcome(
            "retry", code, f"over the number's limit: {detail}", "", _flow_wait(answer.message), holds_address=True
        )
    if answer.code.startswith(_BUSY):
        return Outcome("retry", code, f"the provider is busy: {detail}", retry_after=5 * SECOND)
    if answer.code not in _SAID and answer.code.startswith(_UNKNOWN):
        return Outcome("uncertain", code, f"the provider failed: {detail}")
    return Outcome("failed", code, f"{_SAID.get(answer.code, 'refused')}: {detail}")


def _flow_wait(message: str) -> int:
    """How long (µs) a limit holds a number: by the day, the hour or the minute, as the message says."""
    return next((wait for word, wait in _WAITS.items() if word in message), MINUTE)


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
