"""Feishu group robot: signed, 100 messages a minute and 5 a second, no receipt, no deduplication."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import (
    FAILED_REQUEST,
    JSON,
    RobotAddress,
    decoded,
    json_body,
    outcome_of_failure,
    outcome_of_status,
    printable,
    told,
)
from alerts.links import ticket_url
from alerts.list_texts import list_markdown
from alerts.measurements import Language
from alerts.texts import details, fit, headline, navigation_url, reference, shorten_bytes, unmarked
from core.clock import MINUTE, SECOND
from detectors.words import Severity

BASE_URL = "https://open.feishu.cn"
MESSAGE_BYTES = 20 * 1024

_TEXT_BYTES = 8_000  # in JSON every sign may take two bytes
_TITLE_BYTES = 150
_COLOURS: dict[int, str] = {
    Severity.NOTICE: "blue",
    Severity.WARNING: "yellow",
    Severity.ALARM: "orange",
    Severity.CRITICAL: "red",
}
_EVERYBODY = "<at id=all></at>"
_RATE = 11232
_BUSY = {11233: "the provider is busy", 19000: "the provider is busy"}
_BAD_REQUEST = 9499
_REFUSED = {
    _BAD_REQUEST: "the message is malformed or too long",
    19001: "the robot's token is wrong or the robot was removed",
    19002: "the message is malformed",
    19007: "the robot is not enabled",
    19021: "the signature is refused (wrong secret, or a clock that is off by more than an hour)",
    19022: "this machine's address is not allowed",
    19024: "the robot's keyword is missing in the message",
    19036: "the message is too long",
}


class _Answer(msgspec.Struct):
    code: int
    msg: str = ""


class FeishuRobot(PlainChannel):
    """Sends to a group; an address is the robot's token, or its whole webhook address, with `#` and its secret if any.

    A critical notice calls everybody: this provider knows no telephone numbers. It takes pictures only from
    applications, so none is sent.
    """

    limits = (Limit(5, SECOND), Limit(100, MINUTE))
    most_in_one = 20

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        console_url: str,
        secret: str = "",
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self._client = client
        self._console_url = console_url
        self._secret = secret
        self._base = base_url.rstrip("/") + "/open-apis/bot/v2/hook/"
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        language = self._language
        lines = [f"**{name}**{colon}{text}" for name, colon, text in map(_labelled, details(notice.facts, language))]
        calls = _EVERYBODY if notice.facts.severity >= Severity.CRITICAL else ""
        tail = "\n".join(part for part in (reference(notice, language), calls) if part)
        return self._post([notice], headline(notice, language), fit("", "\n".join(lines), tail, _TEXT_BYTES))

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        urls = [ticket_url(self._console_url, notice.ticket) for notice in notices]
        text = list_markdown(notices, urls, self._language, _TEXT_BYTES)
        critical = any(notice.facts.severity >= Severity.CRITICAL for notice in notices)
        title, _, listed = text.partition("\n")
        return self._post(notices, title.strip("*"), f"{listed}\n{_EVERYBODY}" if critical else listed)

    def _post(self, notices: Sequence[OutgoingNotice], title: str, text: str) -> Outcome:
        robot = RobotAddress.parse(notices[0].address, self._secret)
        message = {
            **(signed(robot.secret, notices[0].at) if robot.secret else {}),
            "msg_type": "interactive",
            "card": self._card(notices, title, text),
        }
        if not _is_token(robot.token):
            return Outcome("failed", "no_token", "the address is no robot's token")
        try:
            response = self._client.post(self._base + robot.token, content=json_body(message), headers=JSON)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        return judge(response, [robot.token, robot.secret])

    def _card(self, notices: Sequence[OutgoingNotice], title: str, text: str) -> dict[str, Any]:
        worst = max(notice.facts.severity for notice in notices)
        body = {"tag": "div", "text": {"tag": "lark_md", "content": printable(text)}}
        buttons = self._links(notices[0]) if len(notices) == 1 else []
        return {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": printable(shorten_bytes(title, _TITLE_BYTES))},
                "template": _COLOURS.get(min(worst, Severity.CRITICAL), "blue"),
            },
            "elements": [body, *([{"tag": "action", "actions": buttons}] if buttons else [])],
        }

    def _links(self, notice: OutgoingNotice) -> list[dict[str, Any]]:
        chinese = self._language == "zh"
        pairs = [
            (
                "打开工单（需登录）" if chinese else "Open the ticket (sign-in)",
                ticket_url(self._console_url, notice.ticket),
            ),
            ("导航" if chinese else "Navigate", navigation_url(notice.facts)),
        ]
        return [
            {"tag": "button", "text": {"tag": "plain_text", "content": label}, "url": url, "type": "default"}
            for label, url in pairs
            if url
        ]


def signed(secret: str, now: int) -> dict[str, str]:
    """What a message carries to prove its sender: seconds, and HMAC-SHA256 of nothing with both as its key, in base64.

    >>> signed("demo", 1_790_000_000_000_000)
    {'timestamp': '1790000000', 'sign': 'sxUIclmxWjRwnCscRoKYSQ7RG03TBQnd+dkRTyvauiw='}
    """
    timestamp = str(now // SECOND)
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": timestamp, "sign": b64encode(digest).decode()}


def judge(response: httpx.Response, secrets: Sequence[str] = ()) -> Outcome:
    """What an answer means: the body's code decides, never the HTTP status of 200."""
    answer = decoded(response.content, _Answer)
    if response.status_code != 200 and (answer is None or response.status_code != 400):
        return outcome_of_status(response.status_code, rate_wait=10 * SECOND)
    if answer is None:
        return Outcome("uncertain", "200", "the answer carries no code")
    code, detail = str(answer.code), told(answer.msg, secrets)
    if answer.code == 0 and response.status_code == 200:
        return Outcome("accepted", code)
    if answer.code == _RATE or (answer.code == _BAD_REQUEST and "too many" in answer.msg.lower()):
        return Outcome("retry", code, f"over the robot's rate: {detail}", retry_after=10 * SECOND, holds_address=True)
    if answer.code in _BUSY:
        return Outcome("retry", code, f"{_BUSY[answer.code]}: {detail}", retry_after=5 * SECOND)
    return Outcome("failed", code, f"{_REFUSED.get(answer.code, 'refused')}: {detail}")


def _labelled(line: str) -> tuple[str, str, str]:
    """A line of details in its label, the colon and the rest; a line without a label has only the rest."""
    for colon in ("：", ": "):
        name, found, text = line.partition(colon)
        if found and len(name) <= 10:
            return unmarked(name), colon, unmarked(text)
    return "", "", unmarked(line)


def _is_token(text: str) -> bool:
    """Whether it can stand in the address without changing the path."""
    return bool(text) and all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in text)
