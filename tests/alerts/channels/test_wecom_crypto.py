"""The provider's own examples, and what must not be believed."""

import itertools
from base64 import b64encode
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.transport import open_client
from alerts.channels.wecom_app import ticket_and_notice
from alerts.channels.wecom_crypto import (
    LARGEST,
    CallbackRefused,
    Keys,
    Signed,
    button_reply,
    card_event,
    open_echo,
    open_message,
    seal,
    signature,
)
from core.clock import MINUTE, SECOND
from tests.alerts.notices.notice_rows import NOW, outgoing
from tests.providers.wecom_app import AGENT, CORP, MEMBER, WecomApp, channel

# https://developer.work.weixin.qq.com/document/path/90968 and the sample programs that belong to it
KEYS = Keys.parse("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7")
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
ECHO_SIGNED = Signed("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1409659589", "263014780")
ECHO_NOW = 1_409_659_589 * SECOND
ENCRYPTED = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUk"
    "SUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekU"
    "NXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rU"
    "PA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+"
    "qN+E7Q=="
)
BODY = (
    f"<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName><Encrypt><![CDATA[{ENCRYPTED}]]></Encrypt>"
    "<AgentID><![CDATA[218]]></AgentID></xml>"
).encode()
SIGNED = Signed("477715d11cdb4164915debcba66cb864d751f3e6", "1409659813", "1372623149")
THEN = 1_409_659_813 * SECOND


def sealed(xml: str, keys: Keys = KEYS, now: int = NOW) -> tuple[Signed, bytes]:
    """A callback of this content: what the address and the body carry."""
    answer = seal(keys, xml, now, "1372623149", b"0123456789abcdef")
    root = fromstring(answer)
    signed = Signed(text(root, "MsgSignature"), text(root, "TimeStamp"), text(root, "Nonce"))
    return signed, f"<xml><Encrypt>{text(root, 'Encrypt')}</Encrypt></xml>".encode()


def text(root: Element, name: str) -> str:
    found = root.findtext(name)
    assert found is not None
    return found


def test_the_published_address_check() -> None:
    assert open_echo(KEYS, ECHO_SIGNED, ECHO, ECHO_NOW) == "1616140317555161061"


def test_the_published_message() -> None:
    message = open_message(KEYS, SIGNED, BODY, THEN)
    said = {each.tag: each.text for each in message}
    assert (said["FromUserName"], said["MsgType"], said["Content"]) == ("mycreate", "text", "hello")
    assert card_event(message) is None


@pytest.mark.parametrize(
    "signed",
    [
        SIGNED._replace(msg_signature=SIGNED.msg_signature.upper()),
        SIGNED._replace(msg_signature=""),
        SIGNED._replace(msg_signature="é" * 40),
        SIGNED._replace(timestamp="1409659814"),
        SIGNED._replace(nonce="1372623148"),
    ],
)
def test_another_signature_is_refused(signed: Signed) -> None:
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, signed, BODY, THEN)
    assert refused.value.reason == "bad_signature"


def test_what_is_old_or_from_tomorrow_is_refused() -> None:
    assert open_echo(KEYS, ECHO_SIGNED, ECHO, ECHO_NOW + 10 * MINUTE)
    for now in (ECHO_NOW + 10 * MINUTE + 1, ECHO_NOW - 10 * MINUTE - 1):
        with pytest.raises(CallbackRefused) as refused:
            open_echo(KEYS, ECHO_SIGNED, ECHO, now)
        assert refused.value.reason == "stale"


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "１４０９６５９５８９", "9" * 400])
def test_a_time_that_is_none_is_refused(timestamp: str) -> None:
    signed = Signed(signature(KEYS.token, timestamp, "1", ECHO), timestamp, "1")
    with pytest.raises(CallbackRefused) as refused:
        open_echo(KEYS, signed, ECHO, ECHO_NOW)
    assert refused.value.reason == "stale"


def test_a_message_for_another_enterprise_is_refused() -> None:
    signed, body = sealed("<xml/>", KEYS._replace(receiver="wx0000000000000000"))
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, signed, body, NOW)
    assert refused.value.reason == "wrong_receiver"


@pytest.mark.parametrize(
    "encrypted", ["", "no base64!", b64encode(b"15 bytes, not 16").decode()[:-4], b64encode(bytes(64)).decode()]
)
def test_what_cannot_be_decrypted_is_refused(encrypted: str) -> None:
    stamp = str(NOW // SECOND)
    signed = Signed(signature(KEYS.token, stamp, "1", encrypted), stamp, "1")
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, signed, f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode(), NOW)
    assert refused.value.reason == "bad_cipher"


def test_a_cipher_of_another_key_is_refused() -> None:
    signed, body = sealed("<xml/>", Keys.parse("QDG6eK", "A" * 43, KEYS.receiver))
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, signed, body, NOW)
    assert refused.value.reason in ("bad_cipher", "wrong_receiver")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml>",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such"?><xml/>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>',
        b"<xml>" + b"a" * LARGEST + b"</xml>",
    ],
)
def test_xml_that_is_none_or_reaches_out_is_refused(body: bytes) -> None:
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, SIGNED, body, THEN)
    assert refused.value.reason == "bad_xml"


def test_entities_inside_of_the_cipher_are_refused_too() -> None:
    signed, body = sealed('<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>')
    with pytest.raises(CallbackRefused) as refused:
        open_message(KEYS, signed, body, NOW)
    assert refused.value.reason == "bad_xml"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])))
def test_what_is_sealed_opens_again(said: str) -> None:
    escaped = said.replace("&", "&amp;").replace("<", "&lt;")
    signed, body = sealed(f"<xml><Said>{escaped}</Said></xml>")
    assert (open_message(KEYS, signed, body, NOW).findtext("Said") or "") == said


@given(st.binary(max_size=300), st.text(max_size=50), st.text(max_size=12), st.text(max_size=12))
def test_nothing_but_a_refusal_comes_of_noise(body: bytes, signed: str, timestamp: str, nonce: str) -> None:
    with pytest.raises(CallbackRefused):
        open_message(KEYS, Signed(signed, timestamp, nonce), body, NOW)


@pytest.mark.parametrize(("token", "key"), [("", "A" * 43), ("t", "A" * 42), ("t", "A" * 44), ("t", "A" * 42 + "é")])
def test_keys_that_are_none_are_refused(token: str, key: str) -> None:
    with pytest.raises(ValueError):
        Keys.parse(token, key, CORP)


def test_a_button_pressed_on_a_card_comes_back_and_is_answered() -> None:
    keys = Keys.parse("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", CORP)
    with WecomApp() as provider, open_client() as client:
        channel(client, provider.url).send(outgoing(MEMBER))
        query, body = provider.press(keys, provider.messages[0]["template_card"], "accept", NOW)
    sent = dict(parse_qsl(query))
    event = card_event(open_message(keys, Signed(**sent), body.encode(), NOW + SECOND))
    assert event is not None
    assert (event.member, event.key, event.agent, event.at) == (MEMBER, "accept", str(AGENT), NOW)
    assert ticket_and_notice(event.task) == (7, 41)
    answer = fromstring(seal(keys, button_reply(event, CORP, "已接单 & <好>", NOW), NOW, "77", b"x" * 16))
    signed = Signed(text(answer, "MsgSignature"), text(answer, "TimeStamp"), text(answer, "Nonce"))
    reply = open_message(keys, signed, f"<xml><Encrypt>{text(answer, 'Encrypt')}</Encrypt></xml>".encode(), NOW)
    assert reply.findtext("Button/ReplaceName") == "已接单 & <好>"
    assert (reply.findtext("ToUserName"), reply.findtext("MsgType")) == (MEMBER, "update_button")


def test_an_answer_needs_fresh_random_bytes() -> None:
    with pytest.raises(ValueError):
        seal(KEYS, "<xml/>", NOW, "1", b"short")
    seals = [seal(KEYS, "<xml/>", NOW, "1", bytes([each]) * 16) for each in range(3)]
    assert all(one != other for one, other in itertools.pairwise(seals))


@pytest.mark.parametrize("task", ["", "sw-7", "sw-7-41-1", "xx-7-41", "sw-７-41", "sw--41", "sw-7-4a"])
def test_a_task_of_another_application_is_none_of_ours(task: str) -> None:
    assert ticket_and_notice(task) is None
