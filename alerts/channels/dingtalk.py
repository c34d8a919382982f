"""DingTalk group robot: signed, 20 messages a minute and then blocked for ten, no receipt, no deduplication."""

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

BASE_URL = "https://oapi.dingtalk.com"
MESSAGE_BYTES = 20_000

_TEXT_BYTES = 9_000  # in JSON every sign may take two bytes
_TITLE_BYTES = 100
_MENTIONS = 50
_BLOCKED = 10 * MINUTE
_RATE = frozenset({130101, 410100, 90030})
_BUSY = {-1: "the provider is busy", 130102: "the provider is busy"}
_REFUSED = {
    300001: "the robot's token is wrong or the robot was removed",
    300005: "the robot's token is wrong or the robot was removed",
    310000: "the robot's security settings refuse it (secret, keyword, addresses, or a clock that is off)",
    400013: "the group was dissolved",
    400101: "the robot's token is wrong or the robot was removed",
    400102: "the robot was stopped",
    40035: "a parameter is not allowed",
    43004: "a parameter is not allowed",
}
_GATEWAY_BLOCKS = 1111


class _Answer(msgspec.Struct):
    """`status` and `wait` (s) come instead of an errcode from the gateway before the robots."""

    errcode: int | None = None
    errmsg: str = ""
    status: int = 0
    wait: int = 0


class DingTalkRobot(PlainChannel):
    """Sends to a group; an address is the robot's token, or its whole webhook address, with `#` and its secret if any.

    A critical notice mentions people by their numbers; pictures would need an address that anybody can open.
    """

    limits = (Limit(20, MINUTE),)
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
        self._endpoint = base_url.rstrip("/") + "/robot/send"
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        mobiles = _mentioned([notice])
        return self._post(notice, headline(notice, self._language), self._markdown(notice, mobiles), mobiles)

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        mobiles = _mentioned(notices)
        urls = [ticket_url(self._console_url, notice.ticket) for notice in notices]
        text = list_markdown(notices, urls, self._language, _TEXT_BYTES)
        lines = [*text.splitlines(), _calls(mobiles)]
        return self._post(notices[0], lines[0].strip("*"), _paragraphs(lines), mobiles)

    def _markdown(self, notice: OutgoingNotice, mobiles: list[str]) -> str:
        chinese = self._language == "zh"
        url = ticket_url(self._console_url, notice.ticket)
        links = [f"[{'打开工单（需登录）' if chinese else 'Open the ticket (sign-in)'}]({url})"]
        navigation = navigation_url(notice.facts)
        links += [f"[{'导航' if chinese else 'Navigate'}]({navigation})"] if navigation else []
        head = f"#### {unmarked(headline(notice, self._language))}\n"
        middle = _paragraphs([f"> {unmarked(line)}" for line in details(notice.facts, self._language)])
        tail = _paragraphs([reference(notice, self._language), " · ".join(links), _calls(mobiles)])
        return fit(head, middle, "\n" + tail, _TEXT_BYTES)

    def _post(self, notice: OutgoingNotice, title: str, text: str, mobiles: list[str]) -> Outcome:
        robot = RobotAddress.parse(notice.address, self._secret, "access_token")
        message: dict[str, Any] = {
            "msgtype": "markdown",
            "markdown": {"title": printable(shorten_bytes(title, _TITLE_BYTES)), "text": printable(text)},
            "at": {"atMobiles": mobiles, "isAtAll": False},
        }
        params = {"access_token": robot.token, **(signed(robot.secret, notice.at) if robot.secret else {})}
        try:
            response = self._client.post(self._endpoint, params=params, content=json_body(message), headers=JSON)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        return judge(response, [robot.token, robot.secret])


def signed(secret: str, now: int) -> dict[str, str]:
    """The parameters that prove the sender: milliseconds, and HMAC-SHA256 over them and the secret, in base64.

    >>> signed("SEC0", 1_790_000_000_000_000)
    {'timestamp': '1790000000000', 'sign': 'v7tqr1KMGGnw5n582Pi0pyeiPdpfBvueDco67/cORMM='}
    """
    timestamp = str(now // (SECOND // 1000))
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": timestamp, "sign": b64encode(digest).decode()}


def judge(response: httpx.Response, secrets: Sequence[str] = ()) -> Outcome:
    """What an answer means: the body's errcode decides; over the rate the robot is silent for ten minutes."""
    if response.status_code != 200:
        return outcome_of_status(response.status_code, rate_wait=_BLOCKED)
    answer = decoded(response.content, _Answer)
    if answer is None:
        return Outcome("uncertain", "200", "the answer carries no errcode")
    detail = told(answer.errmsg, secrets)
    if answer.errcode in _RATE or answer.status == _GATEWAY_BLOCKS:
        wait = max(_BLOCKED, min(answer.wait, 3600) * SECOND)
        code = str(answer.errcode or answer.status)
        return Outcome("retry", code, f"over the robot's rate: {detail}", retry_after=wait, holds_address=True)
    if answer.errcode is None:
        return Outcome("uncertain", "200", "the answer carries no errcode")
    code = str(answer.errcode)
    if answer.errcode == 0:
        return Outcome("accepted", code)
    if answer.errcode in _BUSY:
        return Outcome("retry", code, f"{_BUSY[answer.errcode]}: {detail}", retry_after=5 * SECOND)
    return Outcome("failed", code, f"{_REFUSED.get(answer.errcode, 'refused')}: {detail}")


def _mentioned(notices: Sequence[OutgoingNotice]) -> list[str]:
    """The numbers to mention: those of the critical notices, each once."""
    critical = (notice.facts for notice in notices if notice.facts.severity >= Severity.CRITICAL)
    return list(dict.fromkeys(mobile for facts in critical for mobile in facts.mobiles))[:_MENTIONS]


def _calls(mobiles: Sequence[str]) -> str:
    """A mention works only where the number stands in the text too."""
    return " ".join(f"@{mobile}" for mobile in mobiles)


def _paragraphs(lines: Sequence[str]) -> str:
    """One line end is none in this markdown."""
    return "\n\n".join(line for line in lines if line)
