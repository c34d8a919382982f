"""Texts by key in Chinese and English, and times, spans and numbers as a person reads them."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND, local

LANGUAGES = ("zh", "en")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where libyaml is: each start reads the texts."""


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            texts.update(_flat(value, f"{prefix}{key}."))
        else:
            texts[f"{prefix}{key}"] = str(value)
    return texts


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language by dotted key, from the files of `locales/` that begin with its name."""
    parts = [each for each in (files("console") / "locales").iterdir() if each.name.split(".")[0] == language]
    found: dict[str, str] = {}
    for part in sorted(parts, key=lambda each: each.name):
        found.update(_flat(yaml.load(part.read_text("utf-8"), _LOADER)))
    return found


def text(language: str, key: str, **values: object) -> str:
    """One text with its {places} filled in. Raises KeyError for an unknown key."""
    return texts(language)[key].format_map(values) if values else texts(language)[key]


def named(language: str, family: str, code: object) -> str:
    """The name of a code that comes from rows, such as a hazard; the code itself when it has no text here."""
    return texts(language).get(f"{family}.{code}", str(code))


def both(key: str, **values: object) -> dict[str, str]:
    """A text in both languages with its key as the code, for the API's errors."""
    return {"code": key.split(".", 1)[-1], **{language: text(language, key, **values) for language in LANGUAGES}}


def when(moment: int | None, precise: bool = False) -> str:
    """A moment in Shanghai's time: `09-21 22:13:20`, with milliseconds when `precise`.

    >>> when(1_790_000_000 * SECOND + 42_000, precise=True)
    '09-21 22:13:20.042'
    """
    if moment is None:
        return "—"
    at = local(moment)
    return f"{at:%m-%d %H:%M:%S}" + (f".{at.microsecond // 1000:03d}" if precise else "")


def dated(moment: int | None) -> str:
    """A moment in Shanghai's time with its year, of what stands for years: `2026-09-21 22:13:20`.

    >>> dated(1_790_000_000 * SECOND)
    '2026-09-21 22:13:20'
    """
    return "—" if moment is None else f"{local(moment):%Y-%m-%d %H:%M:%S}"


_UNITS = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND))


def span(language: str, length: int) -> str:
    """A span in its two largest units; below ten seconds in ms, unless it is whole seconds.

    >>> span("en", 342_000), span("zh", 3 * MINUTE + 5 * SECOND), span("en", 5 * SECOND)
    ('342 ms', '3 分 5 秒', '5 s')
    """
    length = abs(length)
    if length < 10 * SECOND and (length % SECOND or not length):
        return f"{length // MILLISECOND} {text(language, 'unit.ms')}"
    parts = []
    for name, size in _UNITS:
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count} {text(language, f'unit.{name}')}")
        elif parts:
            break
    return " ".join(parts[:2])


def number(value: float | None, decimals: int = 1) -> str:
    """A number without trailing zeros, a dash for none.

    >>> number(25.0), number(3.25, 2), number(None)
    ('25', '3.25', '—')
    """
    if value is None:
        return "—"
    written = f"{value:.{decimals}f}"
    return re.sub(r"\.?0+$", "", written) if "." in written else written


def grouped(count: int) -> str:
    """A count with its thousands apart.

    >>> grouped(641940000)
    '641,940,000'
    """
    return f"{count:,}"
