"""Clients whose requests end: in all, not only between two bytes, and with an answer of so many bytes at most."""

import smtplib
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import httpx

TOTAL_S = 12.0
"""All of a request, from the connection to the answer's last byte; four of them are less than a sender's lease."""
MOST_BYTES = 1 << 20
"""Providers answer with some hundred."""
_SENT = "send_request_headers.started"
_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")


class Deadline:
    """Cuts the connections that it is shown when `seconds` are over, so that whoever waits for a byte waits no more.

    A time limit of a library is one between two bytes: a server that drips them holds its reader for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._connection: Callable[[], socket.socket | None] = lambda: None
        self._held = ExitStack()
        self.over = False
        self.sent = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._held.close()

    def hold(self, connection: Callable[[], socket.socket | None]) -> None:
        """The connection that this gives then is to be cut; at once when the time is over already."""
        self._connection = connection
        if self.over:
            self._cut()

    def see(self, event: str, about: dict[str, Any]) -> None:
        """What the library tells of a request: each connection, and that its first byte goes out."""
        if event.endswith(_CONNECTED):
            again = about["return_value"].get_extra_info("socket").dup()  # TLS takes the first one over
            self._held.callback(again.close)
            self.hold(lambda: again)
        self.sent |= event.endswith(_SENT)

    def _cut(self) -> None:
        self.over = True
        connection = self._connection()
        if connection is None:
            return
        try:
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of TLS would take its reader's state away
        except OSError:  # it ended meanwhile
            return


class BoundedClient(httpx.Client):
    """As its parent, but no request takes longer than `total_s` and no answer is longer than `most` bytes.

    Raises ConnectTimeout where the time was over before the request went out, ReadTimeout after that, and
    RemoteProtocolError for a longer answer. Answers are read whole.
    """

    def __init__(self, *, total_s: float = TOTAL_S, most: int = MOST_BYTES, **options: Any) -> None:
        super().__init__(**options)
        self._total_s, self._most = total_s, most

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Make the request."""
        with Deadline(self._total_s) as deadline:
            request.extensions = {**request.extensions, "trace": deadline.see}
            try:
                answer = self._whole(super().send(request, **{**options, "stream": True}))
            except httpx.RequestError as error:
                if deadline.over:
                    raise _too_late(deadline, request) from error
                raise
        if deadline.over:  # an answer that ends with its connection looks whole
            raise _too_late(deadline, request)
        return answer

    def _whole(self, answer: httpx.Response) -> httpx.Response:
        content = bytearray()
        try:
            for part in answer.iter_bytes():
                content += part
                if len(content) > self._most:
                    raise httpx.RemoteProtocolError("the answer is too long", request=answer.request)
        finally:
            answer.close()
        packed = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in packed]
        return httpx.Response(answer.status_code, headers=headers, content=bytes(content), request=answer.request)


def _too_late(deadline: Deadline, request: httpx.Request) -> httpx.TimeoutException:
    kind = httpx.ReadTimeout if deadline.sent else httpx.ConnectTimeout
    return kind("it took too long in all", request=request)


class BoundedSmtp(smtplib.SMTP):
    """Its parent connects and waits for the greeting as it is made: the deadline must know of it before."""

    def __init__(self, deadline: Deadline, host: str, port: int, **options: Any) -> None:
        deadline.hold(lambda: self.sock)
        super().__init__(host, port, **options)


class BoundedSmtps(BoundedSmtp, smtplib.SMTP_SSL):
    """The same, encrypted from the start."""
