"""Requests end in time: a server that drips bytes holds nobody, at whatever point, and no answer fills the memory."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from alerts.bounded import BoundedClient, Deadline
from alerts.channels import email as email_channel
from alerts.channels.email import Email, MailServer
from alerts.channels.transport import outcome_of_failure
from tests.alerts.notices.notice_rows import outgoing
from tests.providers.email import MAILBOX

TOTAL_S, LONG_S = 0.5, 5.0
HEAD = b"HTTP/1.1 200 OK\r\n"


class Dripping:
    """Says `first` at once to whoever connects, then one byte each 50 ms, for ever."""

    def __init__(self, first: bytes, drip: bytes = b"a", reads: bool = True) -> None:
        self.first, self.drip, self.reads = first, drip, reads
        self.ending = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while not self.ending.is_set():
                talking, _ = self.listening.accept()
                with talking, suppress(OSError):
                    if self.reads:
                        self._hear(talking)
                    talking.sendall(self.first)
                    while self.drip and not self.ending.wait(0.05):
                        talking.sendall(self.drip)

    @staticmethod
    def _hear(talking: socket.socket) -> None:
        """The whole request: closed with a part unread, a connection is reset, and what was said is lost with it."""
        heard = b""
        while not heard.endswith(b"{}") and (more := talking.recv(65536)):
            heard += more

    def close(self) -> None:
        self.ending.set()
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(5)


@pytest.fixture
def servers() -> Iterator[list[Dripping]]:
    made: list[Dripping] = []
    yield made
    for each in made:
        each.close()


def failure(url: str) -> httpx.RequestError:
    with BoundedClient(total_s=TOTAL_S, timeout=LONG_S) as client, pytest.raises(httpx.RequestError) as failed:
        client.post(url, content=b"{}")
    return failed.value


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b"H"),
        (HEAD + b"X-Slow: ", b"a"),
        (HEAD + b"Content-Length: 500\r\n\r\n", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (HEAD + b"Connection: close\r\n\r\n", b"a"),  # whose end is the connection's
    ],
    ids=["status line", "headers", "body", "chunks", "body without a length"],
)
def test_a_dripping_answer_ends_and_nobody_knows_what_became_of_it(
    servers: list[Dripping], first: bytes, drip: bytes
) -> None:
    servers.append(Dripping(first, drip))
    began = time.monotonic()
    error = failure(f"http://127.0.0.1:{servers[0].port}/")
    assert time.monotonic() - began < LONG_S / 2
    assert isinstance(error, httpx.ReadTimeout)
    assert outcome_of_failure(error).state == "uncertain"


def test_what_drips_before_the_request_went_out_is_tried_again(servers: list[Dripping]) -> None:
    servers.append(Dripping(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", reads=False))  # the begin of a TLS handshake
    began = time.monotonic()
    error = failure(f"https://127.0.0.1:{servers[0].port}/")
    assert time.monotonic() - began < LONG_S / 2
    assert isinstance(error, httpx.ConnectTimeout)
    assert outcome_of_failure(error).state == "retry"


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_not_kept(servers: list[Dripping], packed: bool) -> None:
    body = gzip.compress(b"a" * 4_000_000) if packed else b"a" * 4_000_000
    coding = b"Content-Encoding: gzip\r\n" if packed else b""
    servers.append(Dripping(HEAD + coding + b"Content-Length: %d\r\n\r\n" % len(body) + body, b""))
    error = failure(f"http://127.0.0.1:{servers[0].port}/")
    assert isinstance(error, httpx.RemoteProtocolError)
    assert outcome_of_failure(error).state == "uncertain"


def test_a_whole_answer_is_as_ever(servers: list[Dripping]) -> None:
    body = gzip.compress(b'{"errcode":0}')
    head = b"Content-Encoding: gzip\r\nRetry-After: 3\r\nContent-Length: %d\r\n\r\n" % len(body)
    servers.append(Dripping(HEAD + head + body, b""))
    with BoundedClient(total_s=LONG_S, timeout=LONG_S) as client:
        answer = client.post(f"http://127.0.0.1:{servers[0].port}/", content=b"{}")
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (200, {"errcode": 0}, "3")


def test_a_connection_that_comes_too_late_is_cut_at_once() -> None:
    here, there = socket.socketpair()
    with here, there, Deadline(0.01) as deadline:
        while not deadline.over:
            time.sleep(0.01)
        deadline.hold(lambda: here)
        assert there.recv(1) == b""


@pytest.mark.parametrize("greeting", [b"220-", b"220 here\r\n250-"])
def test_a_dripping_mail_server_holds_nobody(
    servers: list[Dripping], monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    monkeypatch.setattr(email_channel, "_TOTAL_S", TOTAL_S)
    servers.append(Dripping(greeting, reads=False))
    server = MailServer.parse(f"smtp+plain://127.0.0.1:{servers[0].port}", "desk@town.example")
    began = time.monotonic()
    outcome = Email("mail", server, "https://console.example").send(outgoing(MAILBOX))
    assert time.monotonic() - began < LONG_S / 2
    assert outcome.state == "retry"
