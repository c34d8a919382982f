"""A strict Aliyun: signatures, nonces, templates, limits by number, and receipts that it pushes later."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine

from alerts.channels import Limit
from alerts.channels.aliyun import AccessKey
from alerts.channels.aliyun_sms import AliyunSms
from alerts.channels.aliyun_voice import AliyunVoice
from alerts.channels.template import SMS_VARIABLES, VOICE_VARIABLES, Template
from alerts.channels.transport import open_client
from core.clock import DAY, HOUR, MINUTE, SECOND
from tests.alerts.notices.notice_rows import NOW
from tests.providers.provider import (
    TIMEOUT_S,
    Answer,
    MakeRig,
    Provider,
    Request,
    Rig,
    Windows,
    gone,
    plain_failures,
)

KEY = AccessKey("LTAI5tExampleKeyId00", "xExampleAccessKeySecret0123456789")
NUMBER = "13800000001"
SIGNATURE, TEMPLATE, VOICE_TEMPLATE = "望亭守望", "SMS_100000001", "TTS_200000001"
FRESH_S = 900
LIMITS = {"SendSms": ((50, 86400.0),), "SingleCallByTts": ((1, 60.0), (5, 3600.0), (20, 86400.0))}
UNFIT = re.compile(r"https?://|[\x00-\x1f]")
HEADERS = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")


class Aliyun(Provider):
    """Takes messages and calls; `taken` are their parameters, `clock_s` is its clock."""

    def __init__(self, action: str = "SendSms", clock_s: float = NOW / SECOND) -> None:
        super().__init__()
        self.action, self.clock_s, self.secret = action, clock_s, KEY.secret
        self.taken: list[dict[str, str]] = []
        self.sent = Windows(*LIMITS[action])
        self.free = action == "SingleCallByTts"  # a call a minute would end most tests: fill it to have the limit
        self._nonces: set[str] = set()

    def judge(self, request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if refusal := self._unsigned(request, headers):
            return refusal
        if headers["x-acs-action"] != self.action or headers["x-acs-version"] != "2017-05-25":
            return _code("InvalidAction.NotFound", "no such action", 404)
        return self._message(request.query) if self.action == "SendSms" else self._call(request.query)

    def reports(self, *, delivered: bool = True) -> bytes:
        """What it pushes later about everything that it took."""
        if self.action == "SendSms":
            said = {"success": delivered, "err_code": "DELIVERED" if delivered else "MK:0001", "err_msg": "said"}
        else:
            at = "2026-11-23 10:00:05" if delivered else ""
            said = {"status_code": "200000" if delivered else "200005", "start_time": at, "duration": 9 * delivered}
        number = "biz_id" if self.action == "SendSms" else "call_id"
        return json.dumps([{number: each["id"], "out_id": each["OutId"], **said} for each in self.taken]).encode()

    def _unsigned(self, request: Request, headers: Mapping[str, str]) -> Answer | None:
        if request.method != "POST" or request.body or not set(HEADERS) <= set(headers):
            return _code("MissingParameter", "a header is missing", 400)
        date = datetime.strptime(headers["x-acs-date"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").timestamp()
        if abs(date - self.clock_s) > FRESH_S:
            return _code("InvalidTimeStamp.Expired", "the time stamp expired", 400)
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in request.query.items())
        empty = hashlib.sha256(b"").hexdigest()
        lines = "".join(f"{name}:{headers[name]}\n" for name in HEADERS)
        query = "&".join(f"{name}={value}" for name, value in pairs)
        canonical = f"POST\n/\n{query}\n{lines}\n{';'.join(HEADERS)}\n{empty}"
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        signed = f"ACS3-HMAC-SHA256 Credential={KEY.id},SignedHeaders={';'.join(HEADERS)},Signature={signature}"
        if not hmac.compare_digest(signed, headers["authorization"]):
            return _code("SignatureDoesNotMatch", "the signature does not match", 400)
        nonce = headers["x-acs-signature-nonce"]
        if nonce in self._nonces:
            return _code("SignatureNonceUsed", "the nonce was used", 400)
        self._nonces.add(nonce)
        return None

    def _message(self, query: dict[str, str]) -> Answer:
        if set(query) != {"PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId"}:
            return _code("isv.INVALID_PARAMETERS", "参数异常")
        if not re.fullmatch(r"1\d{10}", query["PhoneNumbers"]):
            return _code("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
        if query["SignName"] != SIGNATURE:
            return _code("isv.SMS_SIGNATURE_ILLEGAL", "短信签名不合法")
        if query["TemplateCode"] != TEMPLATE:
            return _code("isv.SMS_TEMPLATE_ILLEGAL", "短信模版不合法")
        if refusal := _unfit(query["TemplateParam"], set(SMS_VARIABLES)):
            return refusal
        who = f"{query['PhoneNumbers']} {SIGNATURE} {TEMPLATE}"
        if not self.sent.take(who, self.seconds()):
            return _code("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:50")
        return self._take(query, "TemplateParam", "BizId")

    def _call(self, query: dict[str, str]) -> Answer:
        needed = {"CalledNumber", "TtsCode", "TtsParam", "PlayTimes", "OutId"}
        if set(query) != needed or query["PlayTimes"] not in ("1", "2", "3"):
            return _code("isv.INVALID_PARAMETERS", "参数异常")
        if query["TtsCode"] != VOICE_TEMPLATE or not re.fullmatch(r"1\d{10}", query["CalledNumber"]):
            return _code("isv.TTS_TEMPLATE_ILLEGAL", "文本转语音模板不合法")
        if refusal := _unfit(query["TtsParam"], set(VOICE_VARIABLES)):
            return refusal
        if not self.free and not self.sent.take(query["CalledNumber"], self.seconds()):
            return _code("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1")
        return self._take(query, "TtsParam", "CallId")

    def _take(self, query: dict[str, str], variables: str, number: str) -> Answer:
        given = f"{secrets.randbelow(10**18)}^0"
        self.taken.append({**query, "id": given})
        self.held.append("，".join(json.loads(query[variables]).values()))
        return _said({"Code": "OK", "Message": "OK", "RequestId": secrets.token_hex(16), number: given})

    def fill(self) -> None:
        """Let the next message be one too many."""
        self.free = False
        who = f"{NUMBER} {SIGNATURE} {TEMPLATE}" if self.action == "SendSms" else NUMBER
        self.sent.fill(who, self.seconds())


def _unfit(given: str, names: set[str]) -> Answer | None:
    values = json.loads(given)
    if set(values) != names:
        return _code("isv.TEMPLATE_MISSING_PARAMETERS", "模版缺少变量")
    if not all(0 < len(value) <= 35 and not UNFIT.search(value) for value in values.values()):
        return _code("isv.TEMPLATE_PARAMS_ILLEGAL", "模版变量里包含非法关键字")
    return None


def _said(body: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(json.dumps(body, ensure_ascii=False).encode(), status)


def _code(code: str, message: str, status: int = 200) -> Answer:
    return _said({"Code": code, "Message": message, "RequestId": secrets.token_hex(16)}, status)


def sms(client: Any, url: str) -> AliyunSms:
    """The channel for messages at this address."""
    return AliyunSms("sms", client, KEY, Template(TEMPLATE, SIGNATURE), base_url=url)


def voice(client: Any, url: str) -> AliyunVoice:
    """The channel for calls at this address."""
    return AliyunVoice("call", client, KEY, Template(VOICE_TEMPLATE), base_url=url)


def _rig(action: str, make: Any, *allows: Limit) -> MakeRig:
    @contextmanager
    def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
        with Aliyun(action) as provider, open_client(TIMEOUT_S) as client:
            behaviours = {
                **plain_failures(provider),
                "over the rate": provider.fill,
                "bad key": lambda: setattr(provider, "secret", "another"),
                "busy": lambda: provider.script.append(_code("Throttling.User", "flow control", 400)),
                "echo": lambda: provider.repeat_request({"Code": "SignatureDoesNotMatch"}, "Message"),
            }
            yield Rig(
                channel=make(client, provider.url),
                address=NUMBER,
                held=lambda: provider.held,
                cut_off=make(client, gone(lambda: Aliyun(action))),
                does=behaviours,
                lacks={"expired token": "it signs each request"},
                secrets=tuple(KEY),
                allows=allows,
            )

    return rig


RIGS: dict[type, MakeRig] = {
    AliyunSms: _rig("SendSms", sms, Limit(50, DAY)),
    AliyunVoice: _rig("SingleCallByTts", voice, Limit(1, MINUTE), Limit(5, HOUR), Limit(20, DAY)),
}
