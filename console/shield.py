"""What every answer and every unsafe request passes: security headers, a same-origin check, a limit on bodies."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.pictures_sent import MOST_BYTES
from console.language import both

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(self)",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_LIMIT = 64 * 1024
PACK_LIMIT = 1024 * 1024
"""Of a request that brings a rule pack: a sheet may have 100,000 characters, most of them Chinese."""
_PACKS = ("/rule-sheets/", "/backtests", "/api/v1/rule-sheets/", "/api/v1/backtests")
PHOTOS_LIMIT = 3 * MOST_BYTES + BODY_LIMIT
"""Of a request that brings photos: three of the largest at once."""

SIGNED = ("/hooks/", "/api/v1/outside/")
"""What programs call, with a signature or a token of their own and without a session: any origin, or none, is right."""


def same_origin(headers: Headers, base_url: str) -> bool:
    """Whether an unsafe request came from our own pages: its Origin names the host it was sent to or `base_url`.

    Every browser sends Origin with a POST; a request without one is refused too.
    """
    origin = headers.get("origin", "")
    place = urlsplit(origin)
    if place.scheme not in {"http", "https"}:
        return False
    own = urlsplit(base_url)
    return place.netloc == headers.get("host") or (place.scheme, place.netloc) == (own.scheme, own.netloc)


class Shield:
    """Wraps the application; refuses what is not ours before it is read."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self._app = app
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and _is_chunked(scope):
            whole = await _whole_body(receive)
            receive = receive if whole is None else _with_body(whole, receive)
            refusal = _refused(scope["path"], "error.too_large", 413) if whole is None else None
        await (refusal or self._app)(scope, receive, send_shielded)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["method"] in SAFE:
            return None
        headers = Headers(scope=scope)
        if not (scope["path"].startswith(SIGNED) or same_origin(headers, self._base_url)):
            return _refused(scope["path"], "error.origin", 403)
        if int(headers.get("content-length") or 0) > _limit_of(scope["path"]):
            return _refused(scope["path"], "error.too_large", 413)
        return None


def _is_chunked(scope: Scope) -> bool:
    return scope["method"] not in SAFE and "chunked" in Headers(scope=scope).get("transfer-encoding", "").lower()


async def _whole_body(receive: Receive) -> bytes | None:
    """A body that does not say how long it is, as many programs send; None for one over BODY_LIMIT or cut off."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_LIMIT or message["type"] == "http.disconnect":
            return None
    return body


def _with_body(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body in one piece, then whatever follows."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return first.pop() if first else await receive()

    return received


def _limit_of(path: str) -> int:
    if path.endswith("/photos"):
        return PHOTOS_LIMIT
    return PACK_LIMIT if path.startswith(_PACKS) else BODY_LIMIT


def _refused(path: str, key: str, status: int) -> Response:
    """For a person in both languages: here nobody has looked yet which one is wanted."""
    error = both(key)
    if path.startswith("/api/"):
        return JSONResponse({"error": error}, status)
    return PlainTextResponse(f"{error['zh']}\n{error['en']}", status)
