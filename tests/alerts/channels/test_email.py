"""E-mail: encryption is never left out, and what a server says in each step decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.channels.email import MailServer, message_id
from tests.alerts.notices.notice_rows import outgoing
from tests.providers.email import MAILBOX, MailHost, channel


@pytest.fixture
def host(tmp_path: Path) -> Iterator[MailHost]:
    with MailHost(tmp_path) as made:
        yield made


def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    with MailHost(tmp_path, starttls=False) as plain:
        outcome = channel(plain.server(security="starttls")).send(outgoing(MAILBOX))
        assert (outcome.state, outcome.code) == ("failed", "SMTPNotSupportedError")
        assert channel(plain.server()).send(outgoing(MAILBOX)).state == "accepted"
        assert len(plain.messages) == 1


def test_a_certificate_that_nobody_vouches_for_gets_nothing(host: MailHost) -> None:
    outcome = channel(host.server(ca="")).send(outgoing(MAILBOX))
    assert (outcome.state, outcome.code) == ("failed", "SSLCertVerificationError")
    assert host.messages == []


def test_a_mailbox_that_the_server_refuses_fails(host: MailHost) -> None:
    outcome = channel(host.server()).send(outgoing("nobody@town.example"))
    assert (outcome.state, outcome.code) == ("failed", "550")


@pytest.mark.parametrize("address", ["", "no mailbox", "a@b, c@d", "a@b\nBcc: c@d", "<a@b>"])
def test_what_is_no_mailbox_is_not_tried(host: MailHost, address: str) -> None:
    assert channel(host.server()).send(outgoing(address)).code == "address"
    assert host.messages == []


def test_lines_that_begin_with_a_dot_arrive_whole(host: MailHost) -> None:
    channel(host.server()).send(outgoing(MAILBOX, advice_zh=".\n..\nabc"))
    assert ".\n..\nabc" in host.held[0].replace("\r\n", "\n")


def test_a_subject_stays_one_line(host: MailHost) -> None:
    channel(host.server()).send(outgoing(MAILBOX, title_zh="gas\r\nBcc: c@d.example"))
    assert host.messages[0]["Bcc"] is None
    assert "Bcc: c@d.example" in host.messages[0]["Subject"]


def test_a_repeat_has_the_same_number_and_a_picture_answers_it(host: MailHost) -> None:
    mail, notice = channel(host.server()), outgoing(MAILBOX)
    for _ in range(2):
        mail.send(notice)
    mail.send_picture(notice, b"\x89PNG\r\n\x1a\n")
    first, second, picture = host.messages
    assert first["Message-ID"] == second["Message-ID"] == message_id(notice, "desk@town.example")
    assert picture["In-Reply-To"] == first["Message-ID"]
    (attached,) = picture.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("image/png", "20261123-0007.png")
    assert attached.get_content() == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("step", "said", "state"),
    [
        ("MAIL", "421 4.3.2 closing", "retry"),
        ("RCPT", "452 4.2.2 full", "retry"),
        ("RCPT", "550 5.1.1 gone", "failed"),
        ("DATA", "452 4.3.1 no room", "retry"),
        ("DATA", "552 5.3.4 too large", "failed"),
    ],
)
def test_what_the_server_says_decides(host: MailHost, step: str, said: str, state: str) -> None:
    host.says[step] = said
    outcome = channel(host.server()).send(outgoing(MAILBOX))
    assert (outcome.state, outcome.code) == (state, said[:3])


@pytest.mark.parametrize(
    ("url", "password"),
    [("http://mail.example", ""), ("smtp://", ""), ("smtp+plain://mail.example", "secret")],
)
def test_a_server_that_cannot_be_used_is_refused(url: str, password: str) -> None:
    with pytest.raises(ValueError):
        MailServer.parse(url, "desk@town.example", "desk", password)


def test_a_server_says_its_port_and_what_to_trust() -> None:
    found = MailServer.parse("smtps://mail.example:4465?ca=/etc/ca.pem", "desk@town.example", "desk", "secret")
    assert (found.port, found.security, found.ca) == (4465, "tls", "/etc/ca.pem")
    assert "secret" not in repr(found)
