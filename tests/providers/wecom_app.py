"""A strict WeCom application: ending tokens, members, doubles, cards that call back, limits beyond which it is mute."""

import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine

from alerts.channels import Limit
from alerts.channels.transport import open_client
from alerts.channels.wecom_app import WecomApp as Channel
from alerts.channels.wecom_crypto import Keys, seal, signature
from core.clock import HOUR, MINUTE, SECOND
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

CORP, AGENT, SECRET = "ww0123456789abcdef", 1000002, "Zt4hQ7vK1mN8pR2sW5xY9bC3dF6gJ0kL-secret"
MEMBER = "wang.li"
TOKEN_S = 7200
CODE_S = 72 * 3600
TEXT_BYTES = 2048
PICTURE_BYTES = 10 * 1024 * 1024
TASK = re.compile(r"[\w@-]{1,128}", re.ASCII)
COMMON = {"touser", "msgtype", "agentid", "enable_duplicate_check", "duplicate_check_interval"}
CARD = {"card_type", "source", "main_title", "sub_title_text", "horizontal_content_list", "card_action"}
FIELDS = {
    "text_notice": CARD | {"emphasis_content", "jump_list"},
    "button_interaction": CARD | {"task_id", "button_list"},
}


class WecomApp(Provider):
    """`members` see the application; `unlicensed` ones are named as such in an answer of success.

    `calls_back`: cards with buttons are taken, as the callback was set up.
    """

    def __init__(
        self,
        members: Collection[str] = (MEMBER,),
        unlicensed: Collection[str] = (),
        seconds: Callable[[], float] = time.monotonic,
        calls_back: bool = True,
    ) -> None:
        super().__init__(seconds)
        self.scripted_path = "/message/send"
        self.members, self.unlicensed, self.calls_back = set(members), set(unlicensed), calls_back
        self.sent = Windows((30, 60.0), (1000, 3600.0))
        self.messages: list[dict[str, Any]] = []
        self.pictures: dict[str, bytes] = {}
        self.labels: dict[str, str] = {}
        self.tokens: dict[str, float] = {}
        self.secret = SECRET
        self._codes: dict[str, tuple[float, str]] = {}
        self._tasks: set[str] = set()
        self._seen: dict[str, float] = {}

    def end_tokens(self) -> None:
        """All tokens end now, long before their time."""
        self.tokens = dict.fromkeys(self.tokens, self.seconds())

    def judge(self, request: Request) -> Answer:
        if request.path == "/cgi-bin/gettoken":
            return self._grant(request.query)
        ends = self.tokens.get(request.query.get("access_token", ""))
        if ends is None:
            return _code(40014, "invalid access_token")
        if ends <= self.seconds():
            return _code(42001, "access_token expired")
        match request.path:
            case "/cgi-bin/message/send":
                return self._send(request)
            case "/cgi-bin/media/upload":
                return self._upload(request)
            case "/cgi-bin/message/update_template_card":
                return self._update(request)
        return _code(404, "no such path")

    def _grant(self, asked: dict[str, str]) -> Answer:
        if asked.get("corpid") != CORP:
            return _code(40013, "invalid corpid")
        if asked.get("corpsecret") != self.secret:
            return _code(40001, "invalid credential")
        live = [token for token, ends in self.tokens.items() if ends > self.seconds()]
        token = live[0] if live else secrets.token_urlsafe(32)
        self.tokens.setdefault(token, self.seconds() + TOKEN_S)
        left = int(self.tokens[token] - self.seconds())
        return says({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": left})

    def _send(self, request: Request) -> Answer:
        message: Any = request.json()
        if not isinstance(message, dict):
            return _code(47001, "data format error")
        kind = message.get("msgtype", "")
        if message.get("agentid") != AGENT:
            return _code(40056, "invalid agentid")
        if set(message) != COMMON | {kind} or not self._is_fit(kind, message[kind]):
            return _code(40058, "invalid parameter")
        member = message["touser"]
        if member in self.unlicensed:
            return says({"errcode": 0, "errmsg": "ok", "unlicenseduser": member})
        if member not in self.members:
            return says({"errcode": 0, "errmsg": "ok", "invaliduser": member})
        return self._take(member, kind, message)

    def _is_fit(self, kind: str, part: dict[str, Any]) -> bool:
        match kind:
            case "text" | "markdown":
                return set(part) == {"content"} and 0 < len(part["content"].encode()) <= TEXT_BYTES
            case "image":
                return set(part) == {"media_id"} and part["media_id"] in self.pictures
            case "template_card":
                return is_card(part) and (self.calls_back or "button_list" not in part)
        return False

    def _take(self, member: str, kind: str, message: dict[str, Any]) -> Answer:
        now = self.seconds()
        whole = json.dumps(message, sort_keys=True)
        double = message["enable_duplicate_check"] and now < self._seen.get(whole, now)
        task = message[kind].get("task_id", "")
        if task in self._tasks and not double:
            return _code(40058, "task_id is taken")
        if not double and self.sent.take(member, now):
            self._seen[whole] = now + message["duplicate_check_interval"]
            self._tasks |= {task} - {""}
            self.messages.append(message)
            self.held.append(texts(message[kind]))
        said = {"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": secrets.token_hex(16)}
        return says({**said, "response_code": self._code(task)} if task else said)

    def _code(self, task: str) -> str:
        code = secrets.token_urlsafe(40)
        self._codes[code] = (self.seconds() + CODE_S, task)
        return code

    def _upload(self, request: Request) -> Answer:
        kind = request.headers.get("Content-Type", "")
        _, _, boundary = kind.partition("boundary=")
        if not kind.startswith("multipart/form-data") or request.query.get("type") != "image":
            return _code(40004, "invalid media type")
        head, _, rest = request.body.partition(b"\r\n\r\n")
        content = rest.rpartition(b"\r\n--" + boundary.encode())[0]
        if b'name="media"' not in head or b"filename=" not in head or not content.startswith(b"\x89PNG\r\n\x1a\n"):
            return _code(40009, "invalid image")
        if len(content) > PICTURE_BYTES:
            return _code(40006, "invalid size")
        number = secrets.token_urlsafe(30)
        self.pictures[number] = content
        return says({"errcode": 0, "errmsg": "", "type": "image", "media_id": number, "created_at": "1380000000"})

    def _update(self, request: Request) -> Answer:
        message: Any = request.json()
        ends, task = self._codes.pop(message.get("response_code", ""), (0.0, ""))
        if ends <= self.seconds() or message.get("agentid") != AGENT or not message["button"]["replace_name"]:
            return _code(40058, "invalid response_code")
        unknown = [member for member in message["userids"] if member not in self.members]
        if not unknown:
            self.labels[task] = message["button"]["replace_name"]
        return says({"errcode": 0, "errmsg": "ok", "invaliduser": unknown})

    def press(self, keys: Keys, card: dict[str, Any], key: str, now: int) -> tuple[str, str]:
        """A member presses a card's button: the query and the body that the provider posts to the callback."""
        if key not in [button.get("key") for button in card["button_list"]]:
            raise ValueError(f"the card has no button {key}")
        code = self._code(card["task_id"])
        event = {"ToUserName": CORP, "FromUserName": MEMBER, "CreateTime": str(now // SECOND), "MsgType": "event"}
        event |= {"Event": "template_card_event", "EventKey": key, "TaskId": card["task_id"]}
        event |= {"CardType": card["card_type"], "ResponseCode": code, "AgentID": str(AGENT)}
        plain = "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in event.items())
        nonce = secrets.token_hex(5)
        sealed = seal(keys, f"<xml>{plain}</xml>", now, nonce, secrets.token_bytes(16))
        encrypted = sealed.partition("<Encrypt>")[2].partition("</Encrypt>")[0]
        stamp = str(now // SECOND)
        query = {"timestamp": stamp, "nonce": nonce, "msg_signature": signature(keys.token, stamp, nonce, encrypted)}
        body = f"<xml><ToUserName>{CORP}</ToUserName><Encrypt>{encrypted}</Encrypt><AgentID>{AGENT}</AgentID></xml>"
        return urlencode(query), body


def is_card(card: dict[str, Any]) -> bool:
    """Whether a card has what its type must and may have."""
    kind = card.get("card_type", "")
    if kind not in FIELDS or not set(card) <= FIELDS[kind] or not card.get("main_title", {}).get("title"):
        return False
    rows, jumps = card.get("horizontal_content_list", []), card.get("jump_list", [])
    if len(rows) > 6 or len(jumps) > 3 or not all(row.get("keyname") for row in rows):
        return False
    if not all(each.get("url", "").startswith("http") for each in [*rows, *jumps] if each.get("type") == 1):
        return False
    if kind == "text_notice":
        return card.get("card_action", {}).get("type") == 1
    buttons = card.get("button_list", [])
    named = all(
        button["text"] and (button.get("url") if button.get("type") else button.get("key")) for button in buttons
    )
    return 1 <= len(buttons) <= 6 and named and bool(TASK.fullmatch(card.get("task_id", "")))


def _code(errcode: int, errmsg: str) -> Answer:
    return says({"errcode": errcode, "errmsg": errmsg})


def channel(client: Any, url: str, **given: Any) -> Channel:
    """The application's channel at this address."""
    identity = {"corp_id": CORP, "agent_id": AGENT, "secret": SECRET}
    return Channel("app", client, "https://town.example", **identity | given, base_url=url)


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with WecomApp() as provider, open_client(TIMEOUT_S) as client:
        behaviours = {
            **plain_failures(provider),
            "over the rate": lambda: provider.script.append(_code(45009, "api freq out of limit")),
            "bad key": lambda: setattr(provider, "secret", "another"),
            "expired token": provider.end_tokens,
            "busy": lambda: provider.script.append(_code(-1, "system busy")),
            "echo": lambda: provider.repeat_request({"errcode": 40058}, "errmsg"),
        }
        yield Rig(
            channel=channel(client, provider.url),
            address=MEMBER,
            held=lambda: provider.held,
            cut_off=channel(client, gone(WecomApp)),
            does=behaviours,
            secrets=(SECRET,),
            tokens=lambda: list(provider.tokens),
            allows=(Limit(30, MINUTE), Limit(1000, HOUR)),
        )


RIGS: dict[type, MakeRig] = {Channel: rig}
