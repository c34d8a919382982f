"""A strict Tencent Cloud: signatures, templates by place, a Code for each number, and receipts that it pushes later."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from alerts.channels import Limit
from alerts.channels.template import SMS_VARIABLES, VOICE_VARIABLES, Template
from alerts.channels.tencent import SecretKey
from alerts.channels.tencent_sms import TencentSms
from alerts.channels.tencent_voice import TencentVoice
from alerts.channels.transport import open_client
from core.clock import DAY, SECOND
from tests.alerts.notices.notice_rows import NOW
from tests.providers.provider import (
    TIMEOUT_S,
    Answer,
    MakeRig,
    Provider,
    Request,
    Rig,
    gone,
    plain_failures,
    says,
)

KEY = SecretKey("AKIDexampleSecretId0123456789012345", "exampleSecretKey0123456789abcdef")
NUMBER = "13800000001"
APP, SIGNATURE, TEMPLATE = "1400006666", "望亭守望", "449739"
FRESH_S = 300
UNFIT = re.compile(r"https?://|[\x00-\x1f]")
SERVICES = {"SendSms": ("sms", "2021-01-11"), "SendTts": ("vms", "2020-09-02")}


class Tencent(Provider):
    """Takes messages and calls; `taken` are their bodies, `full` numbers have had all that they may."""

    def __init__(self, action: str = "SendSms", clock_s: float = NOW / SECOND) -> None:
        super().__init__()
        self.action, self.clock_s, self.secret = action, clock_s, KEY.secret
        self.taken: list[dict[str, Any]] = []
        self.full: set[str] = set()

    def judge(self, request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if refusal := self._unsigned(request, headers):
            return refusal
        service = (headers["x-tc-action"], headers["x-tc-version"])
        if service != (self.action, SERVICES[self.action][1]):
            return _error("InvalidAction", "no such action")
        message: Any = request.json()
        return self._message(message) if self.action == "SendSms" else self._call(message)

    def reports(self, *, delivered: bool = True, at: str = "2026-11-23 08:03:04") -> list[bytes]:
        """What it pushes later about everything that it took."""
        if self.action == "SendSms":
            said = {"report_status": "SUCCESS" if delivered else "FAIL", "errmsg": "DELIVRD" if delivered else "MK:1"}
            common = {**said, "user_receive_time": at, "nationcode": "86", "mobile": NUMBER, "description": "said"}
            return [json.dumps([{**common, "sid": each["id"]} for each in self.taken]).encode()]
        said = {"result": "0" if delivered else "1", "mobile": NUMBER, "nationcode": "86", "fee": "1"}
        return [json.dumps({"voiceprompt_callback": {**said, "callid": each["id"]}}).encode() for each in self.taken]

    def _unsigned(self, request: Request, headers: Mapping[str, str]) -> Answer | None:
        stamp, name = int(headers["x-tc-timestamp"]), SERVICES[self.action][0]
        if abs(stamp - self.clock_s) > FRESH_S:
            return _error("AuthFailure.SignatureExpire", "the signature expired")
        day = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
        lines = "".join(f"{each}:{headers[each].lower()}\n" for each in ("content-type", "host", "x-tc-action"))
        hashed = hashlib.sha256(request.body).hexdigest()
        canonical = f"POST\n/\n\n{lines}\ncontent-type;host;x-tc-action\n{hashed}"
        scope = f"{day}/{name}/tc3_request"
        text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"TC3{self.secret}".encode()
        for part in (day, name, "tc3_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        signed = f"TC3-HMAC-SHA256 Credential={KEY.id}/{scope}, SignedHeaders=content-type;host;x-tc-action, "
        if not hmac.compare_digest(f"{signed}Signature={signature}", headers["authorization"]):
            return _error("AuthFailure.SignatureFailure", "the signature does not match")
        return None

    def _message(self, message: dict[str, Any]) -> Answer:
        known = {"PhoneNumberSet", "SmsSdkAppId", "SignName", "TemplateId", "TemplateParamSet", "SessionContext"}
        if set(message) != known:
            return _error("UnknownParameter", "a parameter is unknown")
        if message["SmsSdkAppId"] != APP:
            return _error("UnauthorizedOperation.SmsSdkAppIdVerifyFail", "not yours")
        return says({"Response": {"SendStatusSet": [self._one(message, each) for each in message["PhoneNumberSet"]]}})

    def _one(self, message: dict[str, Any], number: str) -> dict[str, Any]:
        given = message["TemplateParamSet"]
        code = _refused(given, SMS_VARIABLES)
        if not re.fullmatch(r"\+861\d{10}", number):
            code = "InvalidParameterValue.IncorrectPhoneNumber"
        if message["TemplateId"] != TEMPLATE or message["SignName"] != SIGNATURE:
            code = "FailedOperation.TemplateIncorrectOrUnapproved"
        if number in self.full:
            code = "LimitExceeded.PhoneNumberThirtySecondLimit"
        if code:
            return {"SerialNo": "", "PhoneNumber": number, "Fee": 0, "Code": code, "Message": "said"}
        serial = f"2640:{secrets.randbelow(10**18)}"
        self.taken.append({**message, "id": serial})
        self.held.append("，".join(given))
        return {"SerialNo": serial, "PhoneNumber": number, "Fee": 1, "Code": "Ok", "Message": "send success"}

    def _call(self, message: dict[str, Any]) -> Answer:
        known = {"TemplateId", "TemplateParamSet", "CalledNumber", "VoiceSdkAppid", "PlayTimes", "SessionContext"}
        if set(message) != known or message["VoiceSdkAppid"] != APP or message["PlayTimes"] not in (1, 2, 3):
            return _error("InvalidParameterValue", "a parameter is wrong")
        if message["CalledNumber"] in self.full:
            return _error("LimitExceeded.PhoneNumberThirtySecondLimit", "too many calls")
        if code := _refused(message["TemplateParamSet"], VOICE_VARIABLES):
            return _error(code, "said")
        number = secrets.token_hex(12)
        self.taken.append({**message, "id": number})
        self.held.append("，".join(message["TemplateParamSet"]))
        return says({"Response": {"SendStatus": {"CallId": number, "SessionContext": message["SessionContext"]}}})


def _refused(given: list[str], names: tuple[str, ...]) -> str:
    if len(given) != len(names):
        return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
    fit = all(0 < len(value) <= 35 and not UNFIT.search(value) for value in given)
    return "" if fit else "InvalidParameterValue.TemplateParameterFormatError"


def _error(code: str, message: str) -> Answer:
    return says({"Response": {"Error": {"Code": code, "Message": message}, "RequestId": secrets.token_hex(16)}})


def sms(client: Any, url: str) -> TencentSms:
    """The channel for messages at this address."""
    return TencentSms("sms", client, KEY, APP, Template(TEMPLATE, SIGNATURE), base_url=url)


def voice(client: Any, url: str) -> TencentVoice:
    """The channel for calls at this address."""
    return TencentVoice("call", client, KEY, APP, Template(TEMPLATE), base_url=url)


def _rig(action: str, make: Any, *allows: Limit) -> MakeRig:
    @contextmanager
    def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
        with Tencent(action) as provider, open_client(TIMEOUT_S) as client:

            def echo() -> None:
                said = {"Response": {"Error": {"Code": "AuthFailure", "Message": f"wrong: {KEY.id} {KEY.secret}"}}}
                provider.script.append(says(said))

            behaviours = {
                **plain_failures(provider),
                "over the rate": lambda: provider.full.add(f"+86{NUMBER}"),
                "bad key": lambda: setattr(provider, "secret", "another"),
                "busy": lambda: provider.script.append(_error("RequestLimitExceeded", "too fast")),
                "echo": echo,
            }
            yield Rig(
                channel=make(client, provider.url),
                address=NUMBER,
                held=lambda: provider.held,
                cut_off=make(client, gone(lambda: Tencent(action))),
                does=behaviours,
                lacks={"expired token": "it signs each request"},
                secrets=tuple(KEY),
                allows=allows,
            )

    return rig


RIGS: dict[type, MakeRig] = {
    TencentSms: _rig("SendSms", sms, Limit(1, 30 * SECOND), Limit(10, DAY)),
    TencentVoice: _rig("SendTts", voice, Limit(1, 30 * SECOND), Limit(30, DAY)),
}
