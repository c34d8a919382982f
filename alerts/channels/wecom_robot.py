"""WeCom group robot: HTTP 200 even on failure, 20 messages a minute, no receipt, no deduplication."""

from typing import Any

import httpx
import msgspec

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import FAILED_REQUEST, outcome_of_failure
from alerts.links import ticket_url
from alerts.measurements import Language
from alerts.texts import robot_markdown, robot_text
from core.clock import MINUTE, SECOND
from detectors.words import Severity

BASE_URL = "https://qyapi.weixin.qq.com"
MARKDOWN_BYTES = 4096
TEXT_BYTES = 2048

_RATE = 45009
_BUSY = {45033: "too many requests at once", -1: "the provider is busy"}
_REFUSED = {40058: "a parameter is not allowed", 93000: "the robot's key is wrong or the robot was removed"}


class _Answer(msgspec.Struct):
    errcode: int
    errmsg: str = ""


class WecomRobot(PlainChannel):
    """Sends to a group; an address is the robot's key.

    One notice is one request, so that it arrives whole or not at all: a markdown message, or for a critical notice
    with numbers to mention a text message, since only that kind can mention.
    """

    limits = (Limit(20, MINUTE),)

    def __init__(
        self, name: str, client: httpx.Client, console_url: str, base_url: str = BASE_URL, language: Language = "zh"
    ) -> None:
        self.name = name
        self._client = client
        self._console_url = console_url
        self._endpoint = base_url.rstrip("/") + "/cgi-bin/webhook/send"
        self._language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        try:
            response = self._client.post(self._endpoint, params={"key": notice.address}, json=self._message(notice))
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        return judge(response)

    def _message(self, notice: OutgoingNotice) -> dict[str, Any]:
        url = ticket_url(self._console_url, notice.ticket)
        if notice.facts.severity >= Severity.CRITICAL and notice.facts.mobiles:
            content = robot_text(notice, url, self._language, TEXT_BYTES)
            return {"msgtype": "text", "text": {"content": content, "mentioned_mobile_list": notice.facts.mobiles}}
        return {
            "msgtype": "markdown",
            "markdown": {"content": robot_markdown(notice, url, self._language, MARKDOWN_BYTES)},
        }


def judge(response: httpx.Response) -> Outcome:
    """What an answer means: the body's errcode decides, never the HTTP status of 200."""
    if response.status_code != 200:
        return _judge_status(response.status_code)
    try:
        answer = msgspec.json.decode(response.content, type=_Answer)
    except msgspec.DecodeError:
        return Outcome("uncertain", "200", "the answer carries no errcode")
    code, detail = str(answer.errcode), answer.errmsg
    if answer.errcode == 0:
        return Outcome("accepted", code)
    if answer.errcode == _RATE:
        return Outcome("retry", code, f"over the robot's rate: {detail}", retry_after=MINUTE, holds_address=True)
    if answer.errcode in _BUSY:
        return Outcome("retry", code, f"{_BUSY[answer.errcode]}: {detail}", retry_after=5 * SECOND)
    return Outcome("failed", code, f"{_REFUSED.get(answer.errcode, 'refused')}: {detail}")


def _judge_status(status: int) -> Outcome:
    if status == 429:
        return Outcome("retry", str(status), "over the robot's rate", retry_after=MINUTE, holds_address=True)
    if status >= 500:
        return Outcome("uncertain", str(status), "something before the provider failed")
    return Outcome("failed", str(status), "refused")
