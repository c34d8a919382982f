"""Fixtures of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from shouwang.terminal import errors, out
from tests.devices.town_folder import write_town
from tests.shouwang.command_line import run
from tests.sparing import share_migrations


@pytest.fixture(scope="session", autouse=True)
def _migrated_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        share_migrations(patch)
        yield


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no table is cut, whatever this one is."""
    for console in (out, errors):
        monkeypatch.setattr(console, "_width", 200)
        monkeypatch.setattr(console, "_height", 50)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, and no command's log left for the next test."""
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()


@pytest.fixture
def town(folder: None, tmp_path: Path) -> Path:
    """A small town's sheets, in a platform that was just made."""
    run("init")
    return write_town(tmp_path / "town")
