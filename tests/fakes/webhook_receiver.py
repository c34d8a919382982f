"""A webhook receiver on loopback that checks signatures and drops repeats by their idempotency key."""

import hashlib
import hmac
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """A scripted answer; the message counts as received only with a status below 300."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    body: bytes = b""


class WebhookReceiver:
    """The receiver's server; a context manager. `received` maps an idempotency key to its one message."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.received: dict[str, dict[str, Any]] = {}
        self.requests = 0
        self.script: deque[Answer] = deque()

    @property
    def url(self) -> str:
        """The address to send to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/notices"

    def __enter__(self) -> "WebhookReceiver":
        self._server = HTTPServer(("127.0.0.1", 0), _request_class(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="webhook-receiver")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def sign(self, timestamp: str, raw: bytes) -> str:
        """What a request's signature must be."""
        return "sha256=" + hmac.new(self.secret, timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()

    def take(self, headers: dict[str, str], raw: bytes) -> Answer:
        """Judge one request as a careful receiver does."""
        self.requests += 1
        expected = self.sign(headers.get("X-Shouwang-Timestamp", ""), raw)
        if not hmac.compare_digest(expected, headers.get("X-Shouwang-Signature", "")):
            return Answer(401)
        answer = self.script.popleft() if self.script else Answer()
        if answer.status < 300:
            self.received.setdefault(headers["Idempotency-Key"], json.loads(raw))
        return answer


def _request_class(receiver: WebhookReceiver) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = receiver.take(dict(self.headers.items()), raw)
            time.sleep(answer.delay_s)
            try:
                self.send_response(answer.status)
                for name, value in (*answer.headers, ("Content-Length", str(len(answer.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
            except (BrokenPipeError, ConnectionResetError):  # the sender gave up
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Request
