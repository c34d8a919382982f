"""A strict WeCom group robot on loopback, usable in a test or as its own process.

It answers HTTP 200 whatever happens, judges keys, JSON and byte limits as the provider does, allows 20 messages in any
60 s for one key, does not deduplicate, and has each accepted message on disk before it answers.

    python tests/fakes/wecom_robot.py --port 18080 --log messages.jsonl [--limit 20] [--key KEY ...] [--delay S]
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

PATH = "/cgi-bin/webhook/send"
WINDOW_S = 60.0
LIMITS = {"text": 2048, "markdown": 4096}
PICTURE_BYTES = 2 * 1024 * 1024
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
CARD_FIELDS = {
    "card_type",
    "source",
    "main_title",
    "emphasis_content",
    "quote_area",
    "sub_title_text",
    "horizontal_content_list",
    "jump_list",
    "card_action",
}

OK = (0, "ok")
BAD_JSON = (47001, "data format error")
BAD_PARAMETER = (40058, "invalid Request Parameter")
BAD_TYPE = (40008, "invalid message type")
BAD_PICTURE = (40059, "invalid image md5 or content")
TOO_LARGE = (40009, "invalid image size")
BAD_KEY = (93000, "invalid webhook url")
RATE = (45009, "api freq out of limit")


class Answer(NamedTuple):
    """A scripted answer: raw `body` instead of judging, after `delay_s`; `drop` closes the connection without any.

    With `body` None the message is judged and kept as usual.
    """

    body: bytes | None = None
    delay_s: float = 0.0
    drop: bool = False
    status: int = 200


class WecomRobot:
    """The robot's server; a context manager. `messages` are the accepted ones, each as its line in the log."""

    def __init__(
        self,
        log: Path | None = None,
        port: int = 0,
        limit: int = 20,
        keys: Sequence[str] = (),
        seconds: Callable[[], float] = time.monotonic,
        delay_s: float = 0.0,
    ) -> None:
        self.delay_s = delay_s
        self.limit = limit
        self.keys = frozenset(keys)
        self.messages: list[dict[str, Any]] = []
        self.requests = 0
        self.script: deque[Answer] = deque()
        self._seconds = seconds
        self._sent: dict[str, deque[float]] = {}
        self._lock = threading.Lock()
        self._log_path = log
        self._port = port

    @property
    def url(self) -> str:
        """The base URL to configure instead of the provider's."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "WecomRobot":
        self._log = open(self._log_path, "ab") if self._log_path else None
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _request_class(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="wecom-robot")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._log:
            self._log.close()

    def next_answer(self) -> Answer:
        """The scripted answer for this request, or plain judging."""
        with self._lock:
            self.requests += 1
            return self.script.popleft() if self.script else Answer(delay_s=self.delay_s)

    def judge(self, target: str, raw: bytes) -> tuple[int, str]:
        """errcode and errmsg for a request; an accepted message is kept before this returns."""
        key = "".join(parse_qs(urlsplit(target).query).get("key", []))
        if urlsplit(target).path != PATH or not key or (self.keys and key not in self.keys):
            return BAD_KEY
        try:
            message = json.loads(raw.decode("utf-8"))
        except ValueError:
            return BAD_JSON
        refused = _refusal(message)
        if refused:
            return refused
        with self._lock:
            if not self._take_token(key):
                return RATE
            self._keep(key, message)
        return OK

    def _take_token(self, key: str) -> bool:
        sent = self._sent.setdefault(key, deque())
        now = self._seconds()
        while sent and sent[0] <= now - WINDOW_S:
            sent.popleft()
        if len(sent) >= self.limit:
            return False
        sent.append(now)
        return True

    def _keep(self, key: str, message: dict[str, Any]) -> None:
        kind = message["msgtype"]
        line = {
            "time": time.time_ns() // 1000,
            "key": key,
            "msgtype": kind,
            "content": "\n".join(_strings(message[kind]))
            if kind == "template_card"
            else message[kind].get("content", ""),
            "mentioned": message[kind].get("mentioned_mobile_list", []),
        }
        if self._log:
            self._log.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._log.flush()
            os.fsync(self._log.fileno())
        self.messages.append(line)


def _refusal(message: Any) -> tuple[int, str] | None:
    if not isinstance(message, dict):
        return BAD_JSON
    kind = message.get("msgtype")
    if kind not in KINDS:
        return BAD_TYPE
    part = message.get(kind)
    if set(message) != {"msgtype", kind} or not isinstance(part, dict):
        return BAD_PARAMETER
    return KINDS[kind](part)


def _content(kind: str, allowed: set[str]) -> Callable[[dict[str, Any]], tuple[int, str] | None]:
    def judge(part: dict[str, Any]) -> tuple[int, str] | None:
        content = part.get("content")
        if not set(part) <= allowed or not isinstance(content, str) or not content:
            return BAD_PARAMETER
        if len(content.encode()) > LIMITS[kind]:
            return BAD_PARAMETER
        mentioned = part.get("mentioned_mobile_list", [])
        if not isinstance(mentioned, list) or not all(isinstance(each, str) and each for each in mentioned):
            return BAD_PARAMETER
        return None

    return judge


def _image(part: dict[str, Any]) -> tuple[int, str] | None:
    if set(part) != {"base64", "md5"} or not all(isinstance(each, str) for each in part.values()):
        return BAD_PARAMETER
    try:
        content = base64.b64decode(part["base64"], validate=True)
    except binascii.Error:
        return BAD_PARAMETER
    if len(content) > PICTURE_BYTES:
        return TOO_LARGE
    if not content.startswith(MAGIC) or hashlib.md5(content).hexdigest() != part["md5"]:
        return BAD_PICTURE
    return None


def _text_notice(card: dict[str, Any]) -> tuple[int, str] | None:
    title = card.get("main_title", {})
    said = title.get("title") or card.get("sub_title_text")
    action = card.get("card_action", {})
    rows, jumps = card.get("horizontal_content_list", []), card.get("jump_list", [])
    fits = card.get("card_type") == "text_notice" and set(card) <= CARD_FIELDS
    filled = bool(said) and action.get("type") == 1 and str(action.get("url", "")).startswith("http")
    short = len(rows) <= 6 and len(jumps) <= 3 and all(each.get("keyname") for each in rows)
    linked = all(each.get("title") and (each.get("type", 0) != 1 or each.get("url")) for each in jumps)
    empty = any(not text for text in _strings(card))
    return None if fits and filled and short and linked and not empty else BAD_PARAMETER


def _strings(value: Any) -> list[str]:
    """All texts of a card, in order, but for its type."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, each in value.items() if name != "card_type" for text in _strings(each)]
    return [text for each in value for text in _strings(each)] if isinstance(value, list) else []


KINDS: dict[str, Callable[[dict[str, Any]], tuple[int, str] | None]] = {
    "text": _content("text", {"content", "mentioned_list", "mentioned_mobile_list"}),
    "markdown": _content("markdown", {"content"}),
    "image": _image,
    "template_card": _text_notice,
}


def _request_class(robot: WecomRobot) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = robot.next_answer()
            body = answer.body
            if body is None:
                errcode, errmsg = robot.judge(self.path, raw)
                body = json.dumps({"errcode": errcode, "errmsg": errmsg}).encode()
            if answer.delay_s:
                time.sleep(answer.delay_s)
            if answer.drop:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):  # the sender was killed or gave up
                self.close_connection = True

        def do_GET(self) -> None:
            body = json.dumps({"errcode": 43002, "errmsg": "require POST method"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the log of messages is the record."""

    return Request


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20, help="messages in 60 s for one key")
    parser.add_argument("--key", action="append", default=[], help="the keys that exist; all, when none is named")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between keeping a message and the answer")
    given = parser.parse_args()
    with WecomRobot(given.log, given.port, given.limit, given.key, delay_s=given.delay) as robot:
        print(robot.url, flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
