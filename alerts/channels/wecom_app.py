"""WeCom application message: one member, a card whose buttons call back, 30 a minute and 1,000 an hour a member.

The provider silently drops what is beyond the limits, and names a member that it does not know in an answer of success.
"""

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import msgspec

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import (
    FAILED_REQUEST,
    JSON,
    decoded,
    json_body,
    outcome_of_failure,
    outcome_of_status,
    told,
)
from alerts.channels.wecom_card import Card, button_card, text_notice
from alerts.channels.wecom_robot import BASE_URL, PICTURE_BYTES
from alerts.channels.wecom_token import AccessToken
from alerts.links import personal_url, ticket_url
from alerts.list_texts import list_markdown
from alerts.measurements import Language
from core.clock import HOUR, MINUTE, SECOND

MARKDOWN_BYTES = 2048
ACTIONS = ("accept", "arrive")
"""What a card's buttons ask for, as their callback names it."""

_BUTTONS: dict[Language, tuple[str, ...]] = {"zh": ("接单", "到场"), "en": ("Accept", "On scene")}
_OPEN: dict[Language, str] = {"zh": "打开工单", "en": "Open"}
_NOTHING_TO_DO = frozenset({"recovered", "unassigned", "storm", "not_assigned", "merged", "passed_on"})
_TOKEN_REFUSED = frozenset({40014, 41001, 42001})
_BUSY = {45033: "too many requests at once", -1: "the provider is busy"}
_RATE = 45009
_REFUSED = {
    40003: "no such member",
    40056: "no such application",
    40058: "a parameter is not allowed",
    45002: "the message is too long",
    48002: "the application may not send",
    60020: "this machine's address is not among the application's trusted IPs",
    81013: "no such member, or the application is not visible to them",
    301002: "the secret is not this application's",
}


class _Answer(msgspec.Struct):
    errcode: int
    errmsg: str = ""
    invaliduser: str | list[str] = ""
    unlicenseduser: str | list[str] = ""
    msgid: str = ""


class _Upload(msgspec.Struct):
    errcode: int = 0
    errmsg: str = ""
    media_id: str = ""


class WecomApp(PlainChannel):
    """Sends to one member; an address is the member's userid.

    A notice sent again within 4 hours has no effect: the provider is asked to check for doubles, and a card's task id,
    made of the notice's id, is never taken twice. `buttons` need the application's callback to be set up.
    """

    deduplicates = True
    one_to_one = True
    limits = (Limit(30, MINUTE), Limit(1000, HOUR))
    most_in_one = 10
    takes_pictures = True

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        console_url: str,
        *,
        corp_id: str,
        agent_id: int,
        secret: str,
        buttons: bool = True,
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self._client = client
        self._console_url = console_url
        self._base = base_url.rstrip("/")
        self._agent = agent_id
        self._buttons = buttons
        self._language: Language = language
        self._secret = secret
        self._token = AccessToken(client, self._base, corp_id, secret)

    def send(self, notice: OutgoingNotice) -> Outcome:
        return self._message(notice, "template_card", self._card(notice))

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        urls = [self._url(notice) for notice in notices]
        content = list_markdown(
            notices, urls, self._language, MARKDOWN_BYTES, personal=all(each.link for each in notices)
        )
        return self._message(notices[0], "markdown", {"content": content})

    def send_picture(self, notice: OutgoingNotice, png: bytes) -> Outcome:
        if len(png) > PICTURE_BYTES:
            return Outcome("failed", "too_large", "the picture is over 2 MB")
        uploaded = self._with_token(notice.at, lambda token: self._upload(token, png))
        if uploaded.state != "accepted":
            # nobody has seen a picture that was only uploaded
            return Outcome("retry", uploaded.code, uploaded.detail) if uploaded.state == "uncertain" else uploaded
        return self._message(notice, "image", {"media_id": uploaded.provider_id})

    def update_card(self, member: str, response_code: str, label: str, now: int) -> Outcome:
        """Turn a card's buttons off and let them say `label`; a callback's `response_code` is good once, for 72 h."""
        message = {
            "userids": [member],
            "agentid": self._agent,
            "response_code": response_code,
            "button": {"replace_name": label},
        }
        return self._post("/cgi-bin/message/update_template_card", message, now)

    def _card(self, notice: OutgoingNotice) -> Card:
        url, language = self._url(notice), self._language
        acting = notice.recipient_kind == "person" and notice.facts.cause not in _NOTHING_TO_DO
        if not (self._buttons and acting):
            return text_notice(notice, url, language, signed_in=bool(notice.link))
        pairs = list(zip(ACTIONS, _BUTTONS[language], strict=True))
        offered = pairs[:1] if notice.facts.drill else pairs  # nobody arrives at a drill
        buttons: list[Card] = [{"text": text, "style": 1, "key": action} for action, text in offered]
        buttons.append({"text": _OPEN[language], "style": 4, "type": 1, "url": url})
        return button_card(notice, url, language, buttons, task_id(notice))

    def _url(self, notice: OutgoingNotice) -> str:
        if notice.link:
            return personal_url(self._console_url, notice.link)
        return ticket_url(self._console_url, notice.ticket)

    def _message(self, notice: OutgoingNotice, kind: str, part: dict[str, Any]) -> Outcome:
        message = {
            "touser": notice.address,
            "msgtype": kind,
            "agentid": self._agent,
            kind: part,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": 4 * HOUR // SECOND,
        }
        return self._post("/cgi-bin/message/send", message, notice.at)

    def _post(self, path: str, message: dict[str, Any], now: int) -> Outcome:
        body = json_body(message)

        def request(token: str) -> Outcome:
            url, params = self._base + path, {"access_token": token}
            try:
                response = self._client.post(url, params=params, content=body, headers=JSON)
            except FAILED_REQUEST as error:
                return outcome_of_failure(error)
            return judge(response, [token, self._secret])

        return self._with_token(now, request)

    def _with_token(self, now: int, request: Callable[[str], Outcome]) -> Outcome:
        """Make a request; one more with a new token if the provider refused the kept one, as nothing was sent then."""
        token = self._token.get(now)
        if isinstance(token, Outcome):
            return token
        outcome = request(token)
        if outcome.code not in map(str, _TOKEN_REFUSED):
            return outcome
        token = self._token.get(now, refused=token)
        return token if isinstance(token, Outcome) else request(token)

    def _upload(self, token: str, png: bytes) -> Outcome:
        files = {"media": ("curve.png", png, "image/png")}
        params = {"access_token": token, "type": "image"}
        try:
            response = self._client.post(self._base + "/cgi-bin/media/upload", params=params, files=files)
        except FAILED_REQUEST as error:
            return outcome_of_failure(error)
        outcome = judge(response, [token, self._secret])
        uploaded = decoded(response.content, _Upload)
        if outcome.state == "accepted" and uploaded and uploaded.media_id:
            return Outcome("accepted", outcome.code, provider_id=uploaded.media_id)
        return outcome if outcome.state != "accepted" else Outcome("failed", outcome.code, "the upload has no number")


def task_id(notice: OutgoingNotice) -> str:
    """What a card's callback brings back: ticket and notice.

    >>> ticket_and_notice("sw-7-41")
    (7, 41)
    """
    return f"sw-{notice.ticket}-{notice.id}"


def ticket_and_notice(task: str) -> tuple[int, int] | None:
    """The ticket's and the notice's row id in a card's task id; None in one that is not ours."""
    match task.split("-"):
        case ["sw", ticket, notice] if all(part.isascii() and part.isdigit() for part in (ticket, notice)):
            return int(ticket), int(notice)
    return None


def judge(response: httpx.Response, secrets: Sequence[str] = ()) -> Outcome:
    """What an answer means: the body's errcode decides, and after that whether it left the member out."""
    if response.status_code != 200:
        return outcome_of_status(response.status_code, rate_wait=MINUTE)
    answer = decoded(response.content, _Answer)
    if answer is None:
        return Outcome("uncertain", "200", "the answer carries no errcode")
    code, detail = str(answer.errcode), told(answer.errmsg, secrets)
    if answer.errcode == 0 and answer.invaliduser:
        return Outcome("failed", "invaliduser", "no such member, or the application is not visible to them")
    if answer.errcode == 0 and answer.unlicenseduser:
        return Outcome("failed", "unlicenseduser", "the member has no licence for the interface")
    if answer.errcode == 0:
        return Outcome("accepted", code, provider_id=answer.msgid)
    if answer.errcode in _TOKEN_REFUSED:
        return Outcome("retry", code, f"the access token was refused: {detail}", retry_after=5 * SECOND)
    if answer.errcode == _RATE:
        return Outcome("retry", code, f"over the application's rate: {detail}", retry_after=MINUTE, holds_address=True)
    if answer.errcode in _BUSY:
        return Outcome("retry", code, f"{_BUSY[answer.errcode]}: {detail}", retry_after=5 * SECOND)
    return Outcome("failed", code, f"{_REFUSED.get(answer.errcode, 'refused')}: {detail}")
