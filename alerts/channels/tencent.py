"""Tencent Cloud's API: requests signed by TC3-HMAC-SHA256, and what the codes of messages and calls mean.

https://cloud.tencent.com/document/api/382/52072
"""

import hashlib
import hmac
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import msgspec

from alerts.channels import Outcome
from alerts.channels.transport import FAILED_REQUEST, decoded, outcome_of_failure, outcome_of_status, told
from core.clock import DAY, HOUR, MINUTE, SECOND, local

ALGORITHM = "TC3-HMAC-SHA256"
_UTC = ZoneInfo("UTC")
CONTENT_TYPE = "application/json; charset=utf-8"
_SIGNED = "content-type;host;x-tc-action"
_WAITS = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30 * SECOND,
    "LimitExceeded.PhoneNumberOneHourLimit": HOUR,
    "LimitExceeded.PhoneNumberDailyLimit": DAY,
    "LimitExceeded.PhoneNumberSameContentDailyLimit": DAY,
}
_BUSY = ("RequestLimitExceeded", "LimitExceeded.DeliveryFrequencyLimit", "ResourceUnavailable")
_SAID = {
    "FailedOperation.InsufficientBalanceInSmsPackage": "the package is used up",
    "FailedOperation.PhoneNumberInBlacklist": "the number is on the blacklist",
    "FailedOperation.SignatureIncorrectOrUnapproved": "no such signature, or not approved",
    "FailedOperation.TemplateIncorrectOrUnapproved": "no such template, or not approved",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": "the template has other variables",
    "FailedOperation.ContainSensitiveWord": "a variable holds a forbidden word",
    "InvalidParameterValue.IncorrectPhoneNumber": "no such number",
    "InvalidParameterValue.TemplateParameterFormatError": "a variable holds what the provider does not take",
    "InvalidParameterValue.TemplateParameterLengthLimit": "a variable is too long",
    "LimitExceeded.AppDailyLimit": "the application's own limit of a day",
    "AuthFailure.SecretIdNotFound": "no such SecretId",
    "AuthFailure.SignatureFailure": "the SecretKey is wrong",
    "AuthFailure.SignatureExpire": "this machine's clock is wrong",
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": "the application's id is not this account's",
}


class SecretKey(NamedTuple):
    """What opens an account: the SecretId and its SecretKey."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return "SecretKey(***)"


class Service(NamedTuple):
    """One action of one of the provider's services."""

    name: str
    action: str
    version: str
    region: str


class _Error(msgspec.Struct, rename="pascal"):
    code: str
    message: str = ""


class SendStatus(msgspec.Struct, rename="pascal"):
    """What became of one number; `code` is a message's, a call has its `call_id` alone."""

    code: str = ""
    message: str = ""
    serial_no: str = ""
    call_id: str = ""


class _Response(msgspec.Struct, rename="pascal"):
    error: _Error | None = None
    send_status_set: list[SendStatus] = []
    send_status: SendStatus | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    response: _Response


def signed_headers(key: SecretKey, host: str, service: Service, body: bytes, now: int) -> dict[str, str]:
    """The headers of a POST to `/`; `now` in µs UTC."""
    seconds, day = str(now // SECOND), local(now, _UTC).strftime("%Y-%m-%d")
    signed = f"content-type:{CONTENT_TYPE}\nhost:{host}\nx-tc-action:{service.action.lower()}\n"
    canonical = f"POST\n/\n\n{signed}\n{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{service.name}/tc3_request"
    to_sign = f"{ALGORITHM}\n{seconds}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = _hmac(_hmac(_hmac(f"TC3{key.secret}".encode(), day), service.name), "tc3_request")
    signature = _hmac(signing, to_sign).hex()
    return {
        "Authorization": f"{ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}",
        "Content-Type": CONTENT_TYPE,
        "Host": host,
        "X-TC-Action": service.action,
        "X-TC-Timestamp": seconds,
        "X-TC-Version": service.version,
        "X-TC-Region": service.region,
    }


def request(client: httpx.Client, base_url: str, key: SecretKey, service: Service, body: bytes, now: int) -> Outcome:
    """Make one call for one number and say what became of it."""
    place = base_url.rstrip("/")
    headers = signed_headers(key, urlsplit(place).netloc, service, body, now)
    try:
        response = client.post(f"{place}/", content=body, headers=headers)
    except FAILED_REQUEST as error:
        return outcome_of_failure(error)
    return judge(response, key)


def judge(response: httpx.Response, key: SecretKey) -> Outcome:
    """What an answer means: an Error refuses the whole call, else each number's own Code decides."""
    answer = decoded(response.content, _Answer)
    if answer is None:
        if response.status_code != 200:
            return outcome_of_status(response.status_code, rate_wait=MINUTE)
        return Outcome("uncertain", "200", "the answer is none of the provider's")
    said = answer.response
    if said.error is not None:
        return _refusal(said.error.code, said.error.message, key)
    if said.send_status is not None and said.send_status.call_id:
        return Outcome("accepted", "Ok", provider_id=said.send_status.call_id)
    refused = [each for each in said.send_status_set if each.code != "Ok"]
    if refused:
        return _refusal(refused[0].code, refused[0].message, key)
    if not said.send_status_set:
        return Outcome("uncertain", "200", "the answer names no number")
    return Outcome("accepted", "Ok", provider_id=said.send_status_set[0].serial_no)


def _refusal(raw: str, message: str, key: SecretKey) -> Outcome:
    code, detail = told(raw, key), told(message, key)
    if raw in _WAITS:
        return Outcome("retry", code, f"over the number's limit: {detail}", "", _WAITS[raw], holds_address=True)
    if raw.startswith(_BUSY):
        return Outcome("retry", code, f"the provider is busy: {detail}", retry_after=5 * SECOND)
    if raw.startswith("InternalError"):
        return Outcome("uncertain", code, f"the provider failed: {detail}")
    return Outcome("failed", code, f"{_SAID.get(raw, 'refused')}: {detail}")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
