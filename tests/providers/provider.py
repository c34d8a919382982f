"""A strict provider on loopback, which each makes its own by how it judges, and what the contract needs of it.

A channel is tested by existing: `tests/alerts/channels/test_contract.py` finds every adapter, and for each the rig
under its class in the `RIGS` of a module of this folder. With `ON_DATABASE = True` there it runs on every database.
"""

import json
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import Engine

from alerts.channels import Channel, Limit

TIMEOUT_S = 3.0  # a loaded machine answers within it
LATE_S = 3.5


class Request(NamedTuple):
    """One request as it came; of a parameter that is given twice the last counts."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON; None where it is none."""
        try:
            return json.loads(self.body.decode("utf-8"))
        except ValueError:
            return None


class Answer(NamedTuple):
    """What goes back. Scripted, it stands for the judging, unless `body` is None: then it is judged, and only late.

    `drop` closes the connection without a word, after the request was judged. `echo` names the field of the body that
    repeats the request.
    """

    body: bytes | None = None
    status: int = 200
    delay_s: float = 0.0
    drop: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    echo: str = ""

    def repeating(self, target: str, request: Request) -> "Answer":
        """The body's JSON with all of the request in its field `echo`, as some providers explain a refusal."""
        said = f"refused: {target} {request.headers} {request.body.decode(errors='replace')}"
        return self._replace(body=json.dumps({**json.loads(self.body or b"{}"), self.echo: said}).encode())


class Provider(ABC):
    """A context manager. `script` holds what the next requests get instead; `held` what was taken, as texts.

    Requests to other paths than those that end in `scripted_path`, such as one for a token, are judged as ever.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.script: deque[Answer] = deque()
        self.scripted_path = ""
        self.requests: list[Request] = []
        self.held: list[str] = []
        self.lock = threading.RLock()

    @property
    def url(self) -> str:
        """The base URL to configure instead of the provider's."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Any:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _request_class(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name=type(self).__name__)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @abstractmethod
    def judge(self, request: Request) -> Answer:
        """What the provider answers; what it takes is in `held` before this returns."""

    def answer(self, request: Request) -> Answer:
        """The scripted answer for this request, or plain judging."""
        with self.lock:
            self.requests.append(request)
            scripted = self.script and request.path.endswith(self.scripted_path)
            said = self.script.popleft() if scripted else Answer()
            if said.body is not None:
                return said
            judged = self.judge(request)
            return judged._replace(delay_s=said.delay_s, drop=said.drop)

    def repeat_request(self, code: Mapping[str, Any], text: str) -> None:
        """Refuse the next request with all of it in the provider's words."""
        self.script.append(Answer(json.dumps(code).encode(), echo=text))


class Windows:
    """Who sent when: says whether one more fits into all limits."""

    def __init__(self, *limits: tuple[int, float]) -> None:
        self.limits = limits
        self._sent: dict[str, list[float]] = {}

    def take(self, who: str, now: float) -> bool:
        """Count one more, unless a limit (messages, seconds) is reached."""
        sent = self._sent.setdefault(who, [])
        if any(sum(moment > now - span for moment in sent) >= messages for messages, span in self.limits):
            return False
        sent.append(now)
        return True

    def fill(self, who: str, now: float) -> None:
        """Let the next message be one too many."""
        while self.take(who, now):
            pass


@dataclass
class Rig:
    """A channel, an address of it, what its provider holds, and the same channel with nobody at the other end.

    `does` makes the provider behave in a named way at the next message; `lacks` says why it can't in another.
    `secrets`, and the `tokens` that it gave out, are told to nobody but the provider. `allows` are its own limits.
    """

    channel: Channel
    address: str
    held: Callable[[], list[str]]
    cut_off: Channel
    does: Mapping[str, Callable[[], object]]
    lacks: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    tokens: Callable[[], list[str]] = list
    allows: tuple[Limit, ...] = ()
    cut_off_address: str = ""


MakeRig = Callable[[Engine, Path], AbstractContextManager[Rig]]

BEHAVIOURS = (
    "over the rate",
    "bad key",
    "expired token",
    "busy",
    "garbage",
    "late",
    "dropped",
    "echo",
    "refused",
    "long",
)
"""refused: nobody listens. long: it has a limit in bytes. late, dropped: it took the message, and no answer came."""


def plain_failures(provider: Provider) -> dict[str, Callable[[], object]]:
    """What any HTTP provider can do."""
    return {
        "garbage": lambda: provider.script.append(Answer(b"<html>\xff ok</html>")),
        "late": lambda: provider.script.append(Answer(delay_s=LATE_S)),
        "dropped": lambda: provider.script.append(Answer(drop=True)),
        "refused": lambda: None,
        "long": lambda: None,
    }


def says(body: Mapping[str, Any]) -> Answer:
    """An answer in JSON with HTTP 200, as most of them give it whatever happened."""
    return Answer(json.dumps(body, ensure_ascii=False).encode())


def gone(provider: Callable[[], Provider]) -> str:
    """The address of a provider that has just ended: a connection is refused."""
    with provider() as ended:
        url: str = ended.url
    return url


def texts(value: Any) -> str:
    """All texts in a JSON value, in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(texts(each) for each in value.values())
    return "\n".join(texts(each) for each in value) if isinstance(value, list) else ""


def _request_class(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Served(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            request = Request(self.command, parts.path, query, dict(self.headers.items()), raw)
            answer = provider.answer(request)
            self._give(answer.repeating(self.path, request) if answer.echo else answer)

        do_GET = do_PUT = do_DELETE = do_POST

        def _give(self, answer: Answer) -> None:
            time.sleep(answer.delay_s)
            self.close_connection = True
            if answer.drop:
                return
            body = answer.body or b""
            try:
                self.send_response(answer.status)
                for name, value in (*answer.headers, ("Content-Length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):  # the sender gave up
                return

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Served
