"""A strict DingTalk robot: signatures, 20 a minute and then ten minutes of silence, 20,000 bytes, errcode in a 200."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from alerts.channels import Limit
from alerts.channels.dingtalk import DingTalkRobot as Channel
from alerts.channels.transport import open_client
from core.clock import MINUTE
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
    says,
)

TOKEN = "7f2c9d1e4b5a68770123456789abcdef7f2c9d1e4b5a68770123456789abcdef"
SECRET = "SEC1f2e3d4c5b6a79880011223344556677"
BYTES = 20_000
BLOCKED_S = 600.0
SKEW_MS = 3_600_000


class DingTalk(Provider):
    """`robots` are tokens with their secrets, empty where one does not sign; `now_ms` is the provider's wall clock."""

    def __init__(
        self,
        robots: Mapping[str, str] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        now_ms: int = NOW // 1000,
    ) -> None:
        super().__init__(seconds)
        self.robots = {TOKEN: SECRET} if robots is None else dict(robots)
        self.now_ms = now_ms
        self.sent = Windows((20, 60.0))
        self.mentioned: list[list[str]] = []
        self._blocked_until: dict[str, float] = {}

    def judge(self, request: Request) -> Answer:
        token = request.query.get("access_token", "")
        if request.path != "/robot/send" or token not in self.robots:
            return _code(300001, "token is not exist")
        refused = self._security(token, request) or _shape(request)
        if refused:
            return refused
        if self._is_blocked(token):
            return _code(130101, "send too fast, exceed 20 times per minute")
        message = request.json()
        self.held.append(message["markdown"]["text"])
        self.mentioned.append(message.get("at", {}).get("atMobiles", []))
        return _code(0, "ok")

    def _security(self, token: str, request: Request) -> Answer | None:
        secret = self.robots[token]
        if not secret:
            return None
        stamp = request.query.get("timestamp", "")
        if not stamp.isdigit() or abs(int(stamp) - self.now_ms) > SKEW_MS:
            return _code(310000, "invalid timestamp")
        mac = hmac.new(secret.encode(), digestmod=hashlib.sha256)
        mac.update(stamp.encode() + b"\n" + secret.encode())
        if not hmac.compare_digest(mac.digest(), base64.b64decode(request.query.get("sign", ""))):
            return _code(310000, "sign not match")
        return None

    def _is_blocked(self, token: str) -> bool:
        now = self.seconds()
        if now < self._blocked_until.get(token, now):
            return True
        if self.sent.take(token, now):
            return False
        self._blocked_until[token] = now + BLOCKED_S
        return True


def _shape(request: Request) -> Answer | None:
    message: Any = request.json()
    if not request.headers.get("Content-Type", "").startswith("application/json"):
        return _code(43004, "require json content-type")
    if not isinstance(message, dict) or message.get("msgtype") != "markdown" or len(request.body) > BYTES:
        return _code(40035, "invalid parameter")
    part, at = message.get("markdown", {}), message.get("at", {})
    if set(message) != {"msgtype", "markdown", "at"} or set(part) != {"title", "text"} or not all(part.values()):
        return _code(40035, "invalid parameter")
    if any(f"@{mobile}" not in part["text"] for mobile in at["atMobiles"]):
        return _code(40035, "a mention stands in the text too")
    return None


def _code(errcode: int, errmsg: str) -> Answer:
    return says({"errcode": errcode, "errmsg": errmsg})


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with DingTalk() as provider, open_client(TIMEOUT_S) as client:
        behaviours = {
            **plain_failures(provider),
            "over the rate": lambda: provider.sent.fill(TOKEN, provider.seconds()),
            "bad key": provider.robots.clear,
            "busy": lambda: provider.script.append(_code(-1, "system busy")),
            "echo": lambda: provider.repeat_request({"errcode": 400001}, "errmsg"),
        }
        yield Rig(
            channel=Channel("ding", client, "https://town.example", base_url=provider.url),
            address=f"{TOKEN}#{SECRET}",
            held=lambda: provider.held,
            cut_off=Channel("ding", client, "https://town.example", base_url=gone(DingTalk)),
            does=behaviours,
            lacks={"expired token": "a robot's token does not end"},
            secrets=(TOKEN, SECRET),
            allows=(Limit(20, MINUTE),),
        )


RIGS: dict[type, MakeRig] = {Channel: rig}
