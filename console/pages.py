"""Renders templates with the request's language, account and helpers, and serves the static files."""

import hashlib
import json
from functools import cache, partial
from importlib.resources import as_file, files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from alerts.measurements import measurement_of
from alerts.texts import said
from console.access import language_of, services_of
from console.anomaly_words import sentence
from console.language import LANGUAGES, dated, grouped, named, number, span, text, texts, when
from console.rule_view import scope_in
from console.rule_words import rule_words
from console.services import Restored
from console.settled import answered, settled
from console.stages import badges_of
from core.clock import DAY
from detectors.words import Severity

SEVERITIES = {int(level): level.name.lower() for level in Severity}
SCRIPT_TEXTS = ("live.", "severity.", "unit.", "hazard.", "map.", "curve.", "upload.", "share.")
"""The families of texts that the scripts need."""

REASONS_TOLD = ("sensor_sick", "not_in_service", "aged_recorded", "over_range", "held", "still_violated")
"""Reasons of alerts that a person must know of: why nobody was told, or what is odd about what was measured."""

ABOUT_RULES = ("/rules/", "/rule-sheets", "/rule-versions", "/backtests", "/proposals")
"""Where pages begin that stand under the rules."""

DUTY_PAGES = {
    "/quiets": "quiets",
    "/roster": "roster",
    "/drills": "drills",
    "/channels": "channels",
    "/categories": "categories",
}
"""The desk's affairs: each page's address and name."""

_GLOBALS = {
    "severities": SEVERITIES,
    "languages": LANGUAGES,
    "measurement_of": measurement_of,
    "said": said,
    "scope_in": scope_in,
    "reasons_told": REASONS_TOLD,
    "about_rules": ABOUT_RULES,
    "duty_pages": DUTY_PAGES,
    "duty_paths": tuple(DUTY_PAGES),
    "badges_of": badges_of,
}


def static_folder() -> Path:
    """Where the console's static files lie; the package is installed as plain files."""
    with as_file(files("console") / "static") as folder:
        return folder


class CachedFiles(StaticFiles):
    """Static files: for ever when asked with a version, else asked for again each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


class Pages:
    """The templates and the addresses of the static files, which carry a digest of their content."""

    def __init__(self, folder: Path) -> None:
        self._digests = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:10]
            for path in folder.rglob("*")
            if path.is_file()
        }
        self._environment = Environment(
            loader=PackageLoader("console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(_GLOBALS, static=self.static)
        self._environment.filters.update(when=when, dated=dated, number=number, grouped=grouped)

    def static(self, path: str) -> str:
        """The address of a static file. Raises KeyError when there is no such file."""
        return f"/static/{path}?v={self._digests[path]}"

    def render(self, request: Request, template: str, status: int = 200, /, **context: object) -> HTMLResponse:
        """The page in the request's language."""
        language = language_of(request)
        services = services_of(request)
        known: dict[str, object] = {
            "request": request,
            "language": language,
            "account": getattr(request.state, "account", None),
            "demo": services.demo,
            "now": services.clock.now(),
            "restored": lately_restored(services.restored, services.clock.now()),
            "script_texts": script_texts(language),
            "t": partial(text, language),
            "named": partial(named, language),
            "span": partial(span, language),
            "settled": partial(settled, language),
            "answered": partial(answered, language),
            "pick": partial(pick, language),
            "rule_words": partial(rule_words, language),
            "unusual": partial(sentence, language),
        }
        return HTMLResponse(self._environment.get_template(template).render({**known, **context}), status)


def lately_restored(restored: Restored | None, now: int) -> Restored | None:
    """A restore of the last day: for so long every page of the desk tells of it."""
    return restored if restored and now - restored.at < DAY else None


@cache
def pages_with(folder: Path) -> Pages:
    """The templates with the static files of `folder`; a process compiles its templates once."""
    return Pages(folder)


def pages_of(request: Request) -> Pages:
    """The templates that the application was made with."""
    pages: Pages = request.app.state.pages
    return pages


def pick(language: str, names: tuple[str, str] | None, default: str = "—") -> str:
    """The name in the language from (zh, en)."""
    return default if names is None else names[LANGUAGES.index(language)]


def script_texts(language: str) -> str:
    """The texts that the scripts need, as JSON."""
    wanted = {key: value for key, value in texts(language).items() if key.startswith(SCRIPT_TEXTS)}
    return json.dumps(wanted, ensure_ascii=False)


def wants_page(request: Request) -> bool:
    """Whether the answer is for a person's browser and not for a script."""
    return not request.url.path.startswith("/api/")
