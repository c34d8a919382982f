"""Every reason for which the sources of ingest refuse anything is explained where an integrator looks."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from console.language import LANGUAGES, texts
from ingest.writer import REFUSED

DOCS = Path(__file__).parents[2] / "docs"
_NAMED = re.compile(r'\b(?:Refused|refusal|_refused)\(\s*"([a-z_]+)"')
_IN_OTHER_WORDS = {"unknown_metric", "unknown_device", "retired_device", "foreign_device", "flood", "disabled_gateway"}


def reasons() -> set[str]:
    """All of them."""
    folders = (files("ingest"), files("ingest") / "formats")
    sources = "\n".join(
        path.read_text("utf-8") for folder in folders for path in folder.iterdir() if path.name.endswith(".py")
    )
    return {*_NAMED.findall(sources), *_IN_OTHER_WORDS, REFUSED}


@pytest.mark.parametrize("page", ["mqtt.md", "mqtt.zh-CN.md"])
def test_the_pages_table_has_every_reason_and_no_other(page: str) -> None:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("| `unknown_gateway`"))
    last = next(at for at, line in enumerate(lines) if line.startswith("| `internal_error`"))
    listed = {name for line in lines[first : last + 1] for name in re.findall(r"`([a-z_]+)`", line.split("|")[1])}
    assert listed == reasons()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_console_has_a_name_and_a_help_for_every_reason(language: str) -> None:
    known = texts(language)
    assert {
        reason for reason in reasons() if {f"reject_reason.{reason}", f"reject_help.{reason}"} - set(known)
    } == set()
