"""A strict mail server: STARTTLS with a certificate of its own, sign-in, one mailbox, a limit in bytes."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from sqlalchemy import Engine

from alerts.channels.email import Email, MailServer
from tests.certificates import own_certificate
from tests.providers.provider import LATE_S, MakeRig, Rig

MAILBOX, SENDER = "wang.li@town.example", "desk@town.example"
ACCOUNT, PASSWORD = "desk-account", "a password that only the server knows"
LARGEST = 10 * 1024 * 1024


class MailHost:
    """A mail server on a free port; a context manager. `says` answers the next step of that name instead of taking it.

    Steps are MAIL, RCPT and DATA; `late` and `drop` are of what follows on a message's content.
    """

    def __init__(self, folder: Path, *, starttls: bool = True) -> None:
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self.certificate = folder / "mail-server.pem"
        self.messages: list[EmailMessage] = []
        self.says: dict[str, str] = {}
        self.late, self.drop = 0.0, False
        self.password = PASSWORD
        self._starttls = starttls
        self._context = own_certificate(self.certificate)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._controller.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return port

    @property
    def held(self) -> list[str]:
        """Subject and text of each message."""
        return [f"{each['Subject']}\n{_text(each)}" for each in self.messages]

    def __enter__(self) -> "MailHost":
        secure = {"tls_context": self._context, "require_starttls": True} if self._starttls else {}
        signed = {"authenticator": self._sign_in, "auth_required": True} if self._starttls else {}
        self._controller = _FreePort(self, hostname="127.0.0.1", port=0, data_size_limit=LARGEST, **secure, **signed)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def server(self, **given: Any) -> MailServer:
        """How a channel reaches it."""
        security = "starttls" if self._starttls else "none"
        account = (ACCOUNT, PASSWORD) if self._starttls else ("", "")
        found = MailServer("127.0.0.1", self.port, security, SENDER, *account, str(self.certificate))  # type: ignore[arg-type]
        return found._replace(**given)

    def _sign_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        right = (given.login, given.password) == (ACCOUNT.encode(), self.password.encode())
        return AuthResult(success=right, handled=False)

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if said := self.says.pop("MAIL", ""):
            return said
        if address != SENDER:
            return "553 5.7.1 not your address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if said := self.says.pop("RCPT", ""):
            return said
        if address != MAILBOX:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if said := self.says.pop("DATA", ""):
            return said
        content = envelope.original_content or b""
        if any(len(line) > 998 for line in content.split(b"\r\n")):
            return "500 5.6.0 a line is too long"
        message = message_from_bytes(content, policy=default)
        if message.defects or [message["From"], message["To"]] != [SENDER, MAILBOX] or not message["Date"]:
            return "554 5.6.0 malformed"
        self.messages.append(message)  # type: ignore[arg-type]
        await asyncio.sleep(self.late)
        if self.drop:
            server.transport.abort()
        return "250 2.0.0 taken"


class _FreePort(Controller):
    """Knows its own port, and takes a first connection there to be sure that it runs."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


def _text(message: Any) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body else ""


def channel(server: MailServer) -> Email:
    """The channel at this server."""
    return Email("mail", server, "https://town.example", timeout_s=0.5)


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with MailHost(folder) as gone:
        nowhere = gone.server()
    with MailHost(folder) as host:

        def says(step: str, said: str) -> Callable[[], None]:
            return lambda: host.says.__setitem__(step, said)

        yield Rig(
            channel=channel(host.server()),
            address=MAILBOX,
            held=lambda: host.held,
            cut_off=channel(nowhere),
            does={
                "over the rate": says("RCPT", "450 4.7.1 too many messages"),
                "bad key": lambda: setattr(host, "password", "another"),
                "busy": says("MAIL", "451 4.3.0 try again later"),
                "garbage": says("DATA", "hello"),
                "late": lambda: setattr(host, "late", LATE_S),
                "dropped": lambda: setattr(host, "drop", True),
                "echo": says("RCPT", f"550 {ACCOUNT} {PASSWORD}"),
                "refused": lambda: None,
                "long": lambda: None,
            },
            lacks={"expired token": "it signs in with a password"},
            secrets=(PASSWORD,),
        )


RIGS: dict[type, MakeRig] = {Email: rig}
