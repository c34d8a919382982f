"""WeCom group robot: HTTP 200 even on failure, 20 messages a minute, no receipt, no deduplication."""

import hashlib
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
    told,
)
from alerts.channels.wecom_card import text_notice
from alerts.links import ticket_url
from alerts.list_texts import list_markdown, list_text
from alerts.measurements import Language
from alerts.texts import robot_text
from core.clock import MINUTE, SECOND
from detectors.words import Severity

BASE_URL = "https://qyapi.weixin.qq.com"
MARKDOWN_BYTES = 4096
TEXT_BYTES = 2048
PICTURE_BYTES = 2 * 1024 * 1024

_MENTIONS = 100
_RATE = 45009
_BUSY = {45033: "too many requests at once", -1: "the provider is busy"}
_REFUSED = {
    40008: "no such kind of message",
    40009: "the picture is too large",
    40058: "a parameter is not allowed",
    44004: "the message is empty",
    45002: "the message is too long",
    93000: "the robot's key is wrong or the robot was removed",
    93004: "the robot was stopped",
    93008: "the robot is not in the group",
    93017: "the group was dissolved",
}


class _Answer(msgspec.Struct):
    errcode: int
    errmsg: str = ""


class WecomRobot(PlainChannel):
    """Sends to a group; an address is the robot's key, or its whole webhook address.

    One notice is one request, so that it arrives whole or not at all: a template card, or for a critical notice with
    numbers to mention a text message, since only that kind can mention. A card with a mention after it would be two
    requests, of which one may be lost, and two of the twenty a minute.
    """

    limits = (Limit(20, MINUTE),)
    most_in_one = 10
    takes_pictures = True

    def __init__(
        self, name: str, client: httpx.Client, console_url: str, base_url: str = BASE_URL, language: Language = "zh"
    ) -> None:
        self.name = name
        self._client = client
        self._console_url = console_url
        self._endpoint = base_url.rstrip("/") + "/cgi-bin/webhook/send"
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        url = ticket_url(self._console_url, notice.ticket)
        mobiles = _mentioned([notice])
        if mobiles:
            text = robot_text(notice, url, self._language, TEXT_BYTES)
            return self._post(notice.address, _text(text, mobiles))
        card = text_notice(notice, url, self._language, signed_in=False)
        return self._post(notice.address, {"msgtype": "template_card", "template_card": card})

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        urls = [ticket_url(self._console_url, notice.ticket) for notice in notices]
        mobiles = _mentioned(notices)
        if mobiles:
            text = list_text(notices, urls, self._language, TEXT_BYTES)
            return self._post(notices[0].address, _text(text, mobiles))
        content = list_markdown(notices, urls, self._language, MARKDOWN_BYTES)
        return self._post(notices[0].address, {"msgtype": "markdown", "markdown": {"content": content}})

    def send_picture(self, notice: OutgoingNotice, png: bytes) -> Outcome:
        if len(png) > PICTURE_BYTES:
            return Outcome("failed", "too_large", "the picture is over 2 MB")
        image = {"base64": b64encode(png).decode(), "md5": hashlib.md5(png, usedforsecurity=False).hexdigest()}
        return self._post(notice.address, {"msgtype": "image", "image": image})

    def _post(self, address: str, message: dict[str, Any]) -> Outcome:
        key = RobotAddress.parse(address, "", "key").token
        try:
            response = self._client.post(self._endpoint, params={"key": key}, content=json_body(message), headers=JSON)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        return judge(response, key)


def _text(content: str, mobiles: list[str]) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content, "mentioned_mobile_list": mobiles}}


def _mentioned(notices: Sequence[OutgoingNotice]) -> list[str]:
    """The numbers to mention: those of the critical notices, each once."""
    critical = (notice.facts for notice in notices if notice.facts.severity >= Severity.CRITICAL)
    return list(dict.fromkeys(mobile for facts in critical for mobile in facts.mobiles))[:_MENTIONS]


def judge(response: httpx.Response, key: str = "") -> Outcome:
    """What an answer means: the body's errcode decides, never the HTTP status of 200."""
    if response.status_code != 200:
        return outcome_of_status(response.status_code, rate_wait=MINUTE)
    answer = decoded(response.content, _Answer)
    if answer is None:
        return Outcome("uncertain", "200", "the answer carries no errcode")
    code, detail = str(answer.errcode), told(answer.errmsg, [key])
    if answer.errcode == 0:
        return Outcome("accepted", code)
    if answer.errcode == _RATE:
        return Outcome("retry", code, f"over the robot's rate: {detail}", retry_after=MINUTE, holds_address=True)
    if answer.errcode in _BUSY:
        return Outcome("retry", code, f"{_BUSY[answer.errcode]}: {detail}", retry_after=5 * SECOND)
    return Outcome("failed", code, f"{_REFUSED.get(answer.errcode, 'refused')}: {detail}")
