"""A strict Feishu robot: signatures, 5 a second and 100 a minute, 20 KB, its code in a 200."""

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
from alerts.channels.feishu import FeishuRobot as Channel
from alerts.channels.transport import open_client
from core.clock import MINUTE, SECOND
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
    texts,
)

TOKEN = "4d7b1f0a-93c2-4e58-8a61-0f9e8d7c6b5a"
SECRET = "Kq3xT9vB2nM5pR8wY1zC4d"
BYTES = 20 * 1024
SKEW_S = 3600
PATH = "/open-apis/bot/v2/hook/"


class Feishu(Provider):
    """`robots` are tokens with their secrets, empty where one does not sign; `now_s` is the provider's wall clock."""

    def __init__(
        self,
        robots: Mapping[str, str] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        now_s: int = NOW // SECOND,
    ) -> None:
        super().__init__(seconds)
        self.robots = {TOKEN: SECRET} if robots is None else dict(robots)
        self.now_s = now_s
        self.sent = Windows((5, 1.0), (100, 60.0))
        self.cards: list[dict[str, Any]] = []

    def judge(self, request: Request) -> Answer:
        token = request.path.removeprefix(PATH)
        if not request.path.startswith(PATH) or token not in self.robots:
            return _code(19001, "param invalid: incoming webhook access token invalid")
        message: Any = request.json()
        if len(request.body) > BYTES or not isinstance(message, dict):
            return _code(9499, "Bad Request")
        if not self._is_signed(self.robots[token], message):
            return _code(19021, "sign match fail or timestamp is not within one hour from current time")
        if not _is_card(message):
            return _code(9499, "Bad Request")
        if not self.sent.take(token, self.seconds()):
            return _code(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
        self.cards.append(message["card"])
        self.held.append(texts(message["card"]))
        return says({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"})

    def _is_signed(self, secret: str, message: dict[str, Any]) -> bool:
        if not secret:
            return True
        stamp, given = message.get("timestamp"), message.get("sign")
        if not isinstance(stamp, str) or not isinstance(given, str) or not stamp.isdigit():
            return False
        expected = base64.b64encode(hmac.digest(stamp.encode() + b"\n" + secret.encode(), b"", hashlib.sha256)).decode()
        return abs(int(stamp) - self.now_s) <= SKEW_S and hmac.compare_digest(expected, given)


def _is_card(message: dict[str, Any]) -> bool:
    card = message.get("card", {})
    if message.get("msg_type") != "interactive" or not set(message) <= {"timestamp", "sign", "msg_type", "card"}:
        return False
    title = card.get("header", {}).get("title", {})
    known = {"blue", "yellow", "orange", "red"}
    if not title.get("content") or title.get("tag") != "plain_text" or card["header"].get("template") not in known:
        return False
    return bool(card.get("elements")) and all(_is_element(each) for each in card["elements"])


def _is_element(element: dict[str, Any]) -> bool:
    if element.get("tag") == "div":
        return element["text"].get("tag") == "lark_md" and bool(element["text"].get("content"))
    buttons = element.get("actions", [])
    linked = all(each["tag"] == "button" and each["url"].startswith("http") for each in buttons)
    return element.get("tag") == "action" and bool(buttons) and linked


def _code(code: int, msg: str) -> Answer:
    return says({"code": code, "msg": msg, "data": {}})


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with Feishu() as provider, open_client(TIMEOUT_S) as client:
        behaviours = {
            **plain_failures(provider),
            "over the rate": lambda: provider.sent.fill(TOKEN, provider.seconds()),
            "bad key": provider.robots.clear,
            "busy": lambda: provider.script.append(_code(11233, "busy")),
            "echo": lambda: provider.repeat_request({"code": 19002}, "msg"),
        }
        yield Rig(
            channel=Channel("feishu", client, "https://town.example", base_url=provider.url),
            address=f"{TOKEN}#{SECRET}",
            held=lambda: provider.held,
            cut_off=Channel("feishu", client, "https://town.example", base_url=gone(Feishu)),
            does=behaviours,
            lacks={"expired token": "a robot's token does not end"},
            secrets=(TOKEN, SECRET),
            allows=(Limit(5, SECOND), Limit(100, MINUTE)),
        )


RIGS: dict[type, MakeRig] = {Channel: rig}
