"""A console that runs over a small town on SQLite; queries have their own tests on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.clock import SystemClock
from core.database import open_engine
from tests.console.console_scene import Town, Visit, console_on


@pytest.fixture
def town(sqlite_template: Path, tmp_path: Path) -> Iterator[Town]:
    """The small town on SQLite, with the machine's clock."""
    path = tmp_path / "town.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine: Engine = open_engine(f"sqlite:///{path}")
    yield Town(engine, SystemClock())
    engine.dispose()


@pytest.fixture
def url(town: Town) -> Iterator[str]:
    """The address of a console running over `town`, as a demo."""
    with console_on(town) as address:
        yield address


@pytest.fixture
def visit(url: str) -> Iterator[Visit]:
    """Makes clients of the running console: `visit()` a stranger, `visit("disp")` somebody signed in."""
    made = Visit(url)
    yield made
    made.close()
