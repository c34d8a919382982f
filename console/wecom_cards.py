"""Buttons of WeCom cards: who pressed, which ticket moves, and what the card says then. Needs the extra [notify]."""

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select

from alerts.channels.wecom_app import ACTIONS, ticket_and_notice
from alerts.channels.wecom_crypto import (
    CallbackRefused,
    CardEvent,
    Keys,
    Signed,
    button_reply,
    card_event,
    open_echo,
    open_message,
    seal,
)
from alerts.lifecycle import STATUS_WORDS, Role, Status
from alerts.measurements import Language
from alerts.refusals import MoveRefused
from alerts.sms_texts import shorten
from alerts.tables import notice, person
from alerts.words import Words
from console.acting import act
from console.doors import CardDoor
from console.services import Services
from core.database import reading

_LABEL = 20
_UNKNOWN_MEMBER = Words("您的企业微信账号未登记", "You are not registered")
_UNKNOWN_CARD = Words("没有这个工单", "There is no such ticket")

Parts = tuple[str, str, str]
"""msg_signature, timestamp and nonce of a callback's address."""


class _Presser(NamedTuple):
    code: str
    role: Role


def echo(door: CardDoor, parts: Parts, echostr: str, now: int) -> str | None:
    """What proves the address, None where it was not WeCom that asked."""
    try:
        return open_echo(_keys(door), Signed(*parts), echostr, now)
    except CallbackRefused:
        return None


def press(services: Services, channel: str, door: CardDoor, parts: Parts, body: bytes) -> str | None:
    """The sealed answer to a callback: a new label for the button; empty where nothing was pressed, None if refused."""
    keys, now = _keys(door), services.clock.now()
    try:
        event = card_event(open_message(keys, Signed(*parts), body, now))
    except CallbackRefused:
        return None
    if event is None:
        return ""
    label = shorten(_done(services, channel, event, door.language), _LABEL)
    answer = button_reply(event, door.corp_id, label, now)
    return seal(keys, answer, now, secrets.token_hex(8), secrets.token_bytes(16))


def _done(services: Services, channel: str, event: CardEvent, language: Language) -> str:
    """Move the ticket for the member who pressed; what the card says then."""
    found = ticket_and_notice(event.task)
    with reading(services.engine) as connection:
        presser = _presser(connection, event.member)
        known = found is not None and _is_sent(connection, channel, *found)
    if presser is None:
        return _in(_UNKNOWN_MEMBER, language)
    if found is None or not known or event.key not in ACTIONS:
        return _in(_UNKNOWN_CARD, language)
    try:
        status = act(services, found[0], event.key, presser.code, presser.role)
    except MoveRefused as refused:
        return refused.text if language == "zh" else refused.text_en
    return _in(STATUS_WORDS[Status(status)], language)


def _presser(connection: Connection, member: str) -> _Presser | None:
    """The one person of the town with this userid; nobody where several have it."""
    its = (person.c.wecom_userid == member, person.c.wecom_userid != "", person.c.retired == 0)
    found = connection.execute(select(person.c.code, person.c.role).where(*its)).all()
    return _Presser(*found[0]) if len(found) == 1 else None


def _is_sent(connection: Connection, channel: str, ticket: int, number: int) -> bool:
    """Whether a card of ours, by this channel, is about the ticket."""
    its = (notice.c.id == number, notice.c.ticket == ticket, notice.c.channel == channel)
    return connection.scalar(select(notice.c.id).where(*its)) is not None


def _keys(door: CardDoor) -> Keys:
    return Keys.parse(door.token, door.aes_key, door.corp_id)


def _in(words: Words, language: Language) -> str:
    return words.zh if language == "zh" else words.en
