"""WeCom's callbacks: who sent them, what they say, and the encrypted answer. Pure; needs the extra [notify].

SHA-1 over the sorted parts is the provider's signature, AES-256-CBC padded to 32 bytes its cipher, with the first half
of the key as initialisation vector. https://developer.work.weixin.qq.com/document/path/90968
"""

import hashlib
import hmac
import re
import struct
from base64 import b64decode, b64encode
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.clock import MINUTE, SECOND

LARGEST = 256 * 1024
"""Bytes of a callback's body; they are a few hundred."""

_BLOCK = 32
_NONCE_BYTES = 16
_FRESH = 10 * MINUTE
_KEY = re.compile(r"[A-Za-z0-9]{43}")

Reason = Literal["bad_signature", "stale", "bad_xml", "bad_cipher", "wrong_receiver"]


class CallbackRefused(Exception):
    """A callback that is not to be believed, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Keys(NamedTuple):
    """What was set up for the callback: its token, the 32 bytes of its key, and the enterprise's id."""

    token: str
    key: bytes
    receiver: str

    @classmethod
    def parse(cls, token: str, encoding_aes_key: str, receiver: str) -> "Keys":
        """From the 43 characters that the console shows. Raises ValueError."""
        if not token or not _KEY.fullmatch(encoding_aes_key):
            raise ValueError("the callback's token is missing, or its EncodingAESKey is not 43 letters and digits")
        return cls(token, b64decode(encoding_aes_key + "="), receiver)


class Signed(NamedTuple):
    """What a callback's address carries besides its path; `timestamp` is in seconds."""

    msg_signature: str
    timestamp: str
    nonce: str


class CardEvent(NamedTuple):
    """A button of a card that a member pressed; `response_code` changes the card once, within 72 h."""

    member: str
    key: str
    task: str
    response_code: str
    card: str
    agent: str
    at: int


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """SHA-1 in hex over the four, sorted and joined.

    >>> signature("token", "1409659813", "1372623149", "cipher")
    '2ab91fc90752bd266282eaa9a7308fe01bcfe566'
    """
    return hashlib.sha1(
        "".join(sorted((token, timestamp, nonce, encrypted))).encode(), usedforsecurity=False
    ).hexdigest()


def open_echo(keys: Keys, signed: Signed, echostr: str, now: int) -> str:
    """What to answer, as it is, to the request that proves the address. Raises CallbackRefused."""
    _verify(keys, signed, echostr, now)
    return _decrypt(keys, echostr).decode(errors="replace")


def open_message(keys: Keys, signed: Signed, body: bytes, now: int) -> Element:
    """The XML that a callback's body holds. Raises CallbackRefused."""
    encrypted = _text(_xml(body), "Encrypt")
    _verify(keys, signed, encrypted, now)
    return _xml(_decrypt(keys, encrypted))


def card_event(message: Element) -> CardEvent | None:
    """The button that was pressed; None for any other message."""
    if _text(message, "MsgType") != "event" or _text(message, "Event") != "template_card_event":
        return None
    made = _text(message, "CreateTime")
    return CardEvent(
        member=_text(message, "FromUserName"),
        key=_text(message, "EventKey"),
        task=_text(message, "TaskId"),
        response_code=_text(message, "ResponseCode"),
        card=_text(message, "CardType"),
        agent=_text(message, "AgentID"),
        at=int(made) * SECOND if made.isascii() and made.isdigit() else 0,
    )


def button_reply(event: CardEvent, receiver: str, label: str, now: int) -> str:
    """The XML of an answer that turns a card's buttons off for the member and lets them say `label`."""
    said = {"ToUserName": event.member, "FromUserName": receiver}
    parts = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in said.items())
    button = f"<Button><ReplaceName>{escape(label)}</ReplaceName></Button>"
    return f"<xml>{parts}<CreateTime>{now // SECOND}</CreateTime><MsgType>update_button</MsgType>{button}</xml>"


def seal(keys: Keys, xml: str, now: int, nonce: str, random: bytes) -> str:
    """An answer as the provider takes it; `random` are 16 bytes that nobody can foresee."""
    if len(random) != _NONCE_BYTES:
        raise ValueError("16 random bytes are needed")
    encrypted, timestamp = _encrypt(keys, xml.encode(), random), str(now // SECOND)
    signed = signature(keys.token, timestamp, nonce, encrypted)
    return (
        f"<xml><Encrypt>{encrypted}</Encrypt><MsgSignature>{signed}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{escape(nonce)}</Nonce></xml>"
    )


def _verify(keys: Keys, signed: Signed, encrypted: str, now: int) -> None:
    expected = signature(keys.token, signed.timestamp, signed.nonce, encrypted)
    if not hmac.compare_digest(expected.encode(), signed.msg_signature.encode(errors="replace")):
        raise CallbackRefused("bad_signature")
    if not signed.timestamp.isascii() or not signed.timestamp.isdigit():
        raise CallbackRefused("stale")
    if abs(now - int(signed.timestamp[:12]) * SECOND) > _FRESH:
        raise CallbackRefused("stale")


def _decrypt(keys: Keys, encrypted: str) -> bytes:
    """The message in 16 random bytes + its length + the message + the receiver, padded."""
    try:
        sealed = b64decode(encrypted, validate=True)
        decryptor = Cipher(AES256(keys.key), CBC(keys.key[:16])).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
    except ValueError as error:  # no base64, or no whole blocks
        raise CallbackRefused("bad_cipher") from error
    plain = _unpadded(padded)
    if len(plain) < _NONCE_BYTES + 4:
        raise CallbackRefused("bad_cipher")
    (length,) = struct.unpack_from(">I", plain, _NONCE_BYTES)
    start = _NONCE_BYTES + 4
    if start + length > len(plain):
        raise CallbackRefused("bad_cipher")
    if not hmac.compare_digest(plain[start + length :], keys.receiver.encode()):
        raise CallbackRefused("wrong_receiver")
    return plain[start : start + length]


def _encrypt(keys: Keys, message: bytes, random: bytes) -> str:
    plain = random + struct.pack(">I", len(message)) + message + keys.receiver.encode()
    filling = _BLOCK - len(plain) % _BLOCK
    encryptor = Cipher(AES256(keys.key), CBC(keys.key[:16])).encryptor()
    return b64encode(encryptor.update(plain + bytes([filling]) * filling) + encryptor.finalize()).decode()


def _unpadded(padded: bytes) -> bytes:
    filling = padded[-1] if padded else 0
    if not 1 <= filling <= _BLOCK or padded[-filling:] != bytes([filling]) * filling:
        raise CallbackRefused("bad_cipher")
    return padded[:-filling]


def _xml(content: bytes) -> Element:
    if len(content) > LARGEST:
        raise CallbackRefused("bad_xml")
    try:
        found: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # an unknown encoding is a LookupError
        raise CallbackRefused("bad_xml") from error
    return found


def _text(element: Element, name: str) -> str:
    return element.findtext(name) or ""
