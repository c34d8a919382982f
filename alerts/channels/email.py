"""E-mail by SMTP, encrypted from the start (TLS) or after STARTTLS: a message a notice, lists, and the curve attached.

A server that took a message has promised to deliver it or to say otherwise to the sender's mailbox; nothing comes back
here, so a message may still be lost behind it.
"""

import re
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from alerts.bounded import BoundedSmtp, BoundedSmtps, Deadline
from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.transport import printable, told
from alerts.links import personal_url, ticket_url
from alerts.list_texts import list_text
from alerts.measurements import Language
from alerts.texts import headline, phone_text, shorten_bytes
from core.clock import MINUTE, SECOND, local

PICTURE_BYTES = 2 * 1024 * 1024
BODY_BYTES = 64 * 1024
_SUBJECT_BYTES = 200
_MAILBOX = re.compile(r"[\w.+'=/-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_TOTAL_S = 30.0
"""All of a session; a sender's lease is twice as long."""
_BUSY = frozenset({421, 450, 451, 452, 454})

Security = Literal["tls", "starttls", "none"]


class MailServer(NamedTuple):
    """Where e-mail is handed in, by whom and as whose; `ca` is a file of what to trust instead of the system's."""

    host: str
    port: int
    security: Security
    sender: str
    account: str = ""
    password: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"

    @classmethod
    def parse(cls, url: str, sender: str, account: str = "", password: str = "") -> "MailServer":
        """`smtps://HOST:465`, `smtp://HOST:587` (STARTTLS, never without) or `smtp+plain://HOST:25`, `?ca=FILE`.

        Raises ValueError; also for a password that would travel in the clear.

        >>> MailServer.parse("smtp://mail.example", "desk@town.example").port
        587
        """
        parts = urlsplit(url)
        kinds: dict[str, tuple[Security, int]] = {
            "smtps": ("tls", 465),
            "smtp": ("starttls", 587),
            "smtp+plain": ("none", 25),
        }
        if parts.scheme not in kinds or not parts.hostname:
            raise ValueError("must be smtps://HOST, smtp://HOST (STARTTLS) or smtp+plain://HOST")
        if not is_mailbox(sender):
            raise ValueError("sender must be a mail address")
        security, port = kinds[parts.scheme]
        if security == "none" and password:
            raise ValueError("a password needs smtps:// or smtp://")
        ca = parse_qs(parts.query).get("ca", [""])[0]
        return cls(parts.hostname, parts.port or port, security, sender, account, password, ca)


class _Answered(Exception):
    """What the server said to a step that it did not take."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(code)
        self.code, self.text = code, text


class Email(PlainChannel):
    """Sends to one mailbox. The server drops no repeat; a reader's program may, by the Message-ID, which stays."""

    one_to_one = True
    most_in_one = 50
    takes_pictures = True

    def __init__(
        self,
        name: str,
        server: MailServer,
        console_url: str,
        limit: Limit | None = None,
        language: Language = "zh",
        timeout_s: float = 10.0,
    ) -> None:
        self.name = name
        self.limits = (limit,) if limit else ()
        self._server = server
        self._console_url = console_url
        self._language: Language = language
        self._timeout_s = timeout_s

    def send(self, notice: OutgoingNotice) -> Outcome:
        text = f"{phone_text(notice, self._language)}\n\n{self._url(notice)}"
        return self._hand_in(notice.address, self._message(notice, headline(notice, self._language), text))

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        first, language = notices[0], self._language
        text = list_text(notices, [self._url(each) for each in notices], language, BODY_BYTES)
        subject = headline(first, language)
        if len(notices) > 1:
            others = f"等 {len(notices)} 条" if language == "zh" else f"and {len(notices) - 1} more"
            subject = f"{shorten_bytes(subject, _SUBJECT_BYTES - 30)} {others}"
        return self._hand_in(first.address, self._message(first, subject, text))

    def send_picture(self, notice: OutgoingNotice, png: bytes) -> Outcome:
        if len(png) > PICTURE_BYTES:
            return Outcome("failed", "too_large", "the picture is over 2 MB")
        said = "最近一小时曲线" if self._language == "zh" else "The last hour"
        text = f"{said}\n{self._url(notice)}"
        message = self._message(
            notice, f"{said} {notice.facts.number}", text, of=message_id(notice, self._server.sender)
        )
        message.add_attachment(png, maintype="image", subtype="png", filename=f"{notice.facts.number}.png")
        return self._hand_in(notice.address, message)

    def _url(self, notice: OutgoingNotice) -> str:
        if notice.link:
            return personal_url(self._console_url, notice.link)
        return ticket_url(self._console_url, notice.ticket)

    def _message(self, notice: OutgoingNotice, subject: str, text: str, of: str = "") -> EmailMessage:
        """A message whose subject is one line; `of` is the one that it belongs to."""
        message = EmailMessage(policy=POLICY)
        message["From"] = self._server.sender
        message["Subject"] = shorten_bytes(" ".join(printable(subject).split()), _SUBJECT_BYTES) or "-"
        message["Date"] = local(notice.at - notice.at % SECOND)
        message["Auto-Submitted"] = "auto-generated"
        if of:
            message["In-Reply-To"] = message["References"] = of
        else:
            message["Message-ID"] = message_id(notice, self._server.sender)
        message.set_content(printable(shorten_bytes(text, BODY_BYTES)), cte="base64")
        return message

    def _hand_in(self, address: str, message: EmailMessage) -> Outcome:
        mailbox = address.strip()
        if not is_mailbox(mailbox):
            return Outcome("failed", "address", "this is no mail address")
        message["To"] = Address(addr_spec=mailbox)
        try:
            content = message.as_bytes()
        except (MessageError, UnicodeError, ValueError) as error:
            return Outcome("failed", type(error).__name__, "the message cannot be written")
        return _Session(self._server, self._timeout_s).hand_in(mailbox, content)


class _Session:
    """One connection for one message. Until its content was sent, no failure leaves it uncertain."""

    def __init__(self, server: MailServer, timeout_s: float) -> None:
        self._server = server
        self._timeout_s = timeout_s
        self._sent = False

    def hand_in(self, mailbox: str, content: bytes) -> Outcome:
        try:
            with Deadline(_TOTAL_S) as deadline, closing(self._connected(deadline)) as smtp:
                return self._exchange(smtp, mailbox, content)
        except _Answered as answered:
            return self._judged(answered.code, answered.text)
        except smtplib.SMTPResponseException as refused:
            said = refused.smtp_error
            return self._judged(refused.smtp_code, said if isinstance(said, bytes) else said.encode(errors="replace"))
        except ssl.SSLError as error:
            return self._broken(error, "no trusted encryption", lasting=isinstance(error, ssl.SSLCertVerificationError))
        except smtplib.SMTPNotSupportedError as error:
            return self._broken(error, "the server offers no STARTTLS or no sign-in", lasting=True)
        except (smtplib.SMTPException, OSError) as error:
            return self._broken(error, "not connected", lasting=False)

    def _connected(self, deadline: Deadline) -> smtplib.SMTP:
        at = self._server
        if at.security == "tls":
            return BoundedSmtps(deadline, at.host, at.port, timeout=self._timeout_s, context=_trust(at.ca))
        smtp = BoundedSmtp(deadline, at.host, at.port, timeout=self._timeout_s)
        if at.security == "starttls":
            try:
                smtp.starttls(context=_trust(at.ca))
            except BaseException:
                smtp.close()
                raise
        return smtp

    def _exchange(self, smtp: smtplib.SMTP, mailbox: str, content: bytes) -> Outcome:
        if self._server.account:
            smtp.login(self._server.account, self._server.password)
        smtp.ehlo_or_helo_if_needed()
        _expect(smtp.mail(self._server.sender))
        _expect(smtp.rcpt(mailbox))
        smtp.putcmd("data")
        _expect(smtp.getreply(), 354)
        self._sent = True
        smtp.send(_dotted(content))
        code, text = smtp.getreply()
        outcome = self._judged(code, text)
        with suppress(smtplib.SMTPException, OSError):  # its word stands
            smtp.quit()
        return outcome

    def _judged(self, code: int, text: bytes) -> Outcome:
        detail = told(text.decode(errors="replace"), [self._server.password, self._server.account])
        if 200 <= code < 300:
            return Outcome("accepted", str(code))
        if code in _BUSY:
            return Outcome("retry", str(code), f"not now: {detail}", retry_after=MINUTE, holds_address=code == 450)
        if 400 <= code < 500:
            return Outcome("retry", str(code), f"not now: {detail}", retry_after=MINUTE)
        if 500 <= code < 600:
            return Outcome("failed", str(code), f"refused: {detail}")
        state: Literal["uncertain", "retry"] = "uncertain" if self._sent else "retry"
        return Outcome(state, "answer", "the answer is no mail server's", retry_after=0 if self._sent else MINUTE)

    def _broken(self, error: Exception, why: str, *, lasting: bool) -> Outcome:
        name = type(error).__name__
        if self._sent:
            return Outcome("uncertain", name, "no answer after the message was sent")
        if lasting:
            return Outcome("failed", name, why)
        return Outcome("retry", name, why, retry_after=5 * SECOND, holds_address=True)


def is_mailbox(address: str) -> bool:
    """Whether it is one plain mail address.

    >>> is_mailbox("desk@town.example"), is_mailbox("a@b\\nBcc: c@d")
    (True, False)
    """
    return bool(_MAILBOX.fullmatch(address))


def message_id(notice: OutgoingNotice, sender: str) -> str:
    """The same over all attempts."""
    return f"<sw-{notice.ticket}-{notice.id}@{sender.rpartition('@')[2]}>"


def _expect(reply: tuple[int, bytes], wanted: int = 250) -> None:
    if reply[0] != wanted and not (wanted == 250 and reply[0] == 251):
        raise _Answered(*reply)


def _dotted(content: bytes) -> bytes:
    """A message as SMTP takes it: lines end in CR LF, a dot that begins one is doubled, one alone ends it all."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"


def _trust(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca or None)
