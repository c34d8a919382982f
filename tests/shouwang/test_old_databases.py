"""A database of every past version, made by that version's migrations alone and filled, comes up to this one whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, inspect, text

from core.database import open_engine, reading, writing
from shouwang.backup import backups_in
from shouwang.migrate import SchemaRefused, Standing, alembic_config, known_revisions, migrate, schema_state
from shouwang.settings import Settings
from shouwang.upgrade import WHY, upgrade, why_not_startable
from shouwang.wiring import open_database
from tests.servers import Postgres
from tests.shouwang.old_rows import NOW, contents, fill
from tests.shouwang.small_platform import running, small_settings, workday
from tests.shouwang.test_migrations import _described

PAST = known_revisions()[1:]


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


Description = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def made_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """The schema of a SQLite database that this version made at once."""
    return _made(f"sqlite:///{tmp_path_factory.mktemp('fresh') / 'fresh.db'}")


@pytest.fixture(scope="module")
def made_on_postgresql(postgres: Postgres) -> Description:
    """The schema of a PostgreSQL database that this version made at once."""
    return _made(postgres.url(postgres.create()))


def _made(url: str) -> Description:
    fresh = open_engine(url)
    migrate(fresh)
    described = _described(fresh)
    fresh.dispose()
    return described


def make_old(engine: Engine, revision: str) -> dict[str, int]:
    """A database of this revision with rows in every table; how many."""
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), revision)
        return fill(connection)


def columns_of(engine: Engine) -> dict[str, list[str]]:
    inspector = inspect(engine)
    names = set(inspector.get_table_names()) - {"alembic_version"}
    return {name: [column["name"] for column in inspector.get_columns(name)] for name in sorted(names)}


@pytest.mark.parametrize("revision", PAST)
def test_an_old_database_becomes_this_one_with_every_row(
    empty: Engine, made_on_sqlite: Description, revision: str
) -> None:
    filled = make_old(empty, revision)
    assert all(filled.values()), "each table of that version has rows"
    columns = columns_of(empty)
    with reading(empty) as connection:
        before = contents(connection, columns)
    migrate(empty)
    assert schema_state(empty).standing is Standing.CURRENT
    if empty.dialect.name == "sqlite":
        assert _described(empty) == made_on_sqlite
    with reading(empty) as connection:
        after = contents(connection, columns)
    for name, rows in before.items():
        assert [row for row in rows if row not in after[name]] == [], f"{name} lost or changed rows"


@pytest.mark.parametrize("revision", PAST)
def test_on_postgresql_an_old_schema_becomes_the_one_that_is_made_at_once(
    postgres: Postgres, made_on_postgresql: Description, revision: str
) -> None:
    old = open_engine(postgres.url(postgres.create()))
    make_old(old, revision)
    migrate(old)
    assert _described(old) == made_on_postgresql
    old.dispose()


@pytest.mark.parametrize("revision", PAST)
def test_the_platform_starts_on_an_upgraded_database(empty_database_url: str, tmp_path: Path, revision: str) -> None:
    settings = small_settings(tmp_path, database=empty_database_url)
    engine = open_engine(empty_database_url)
    make_old(engine, revision)
    done = upgrade(settings, None, NOW)
    assert done.before.revision == revision
    assert done.backup
    assert backups_in(settings.backup.folder_in(settings.state), WHY) == [done.backup]
    assert why_not_startable(settings, engine, NOW) == []
    engine.dispose()
    with running(settings, workday(10)) as platform, reading(platform.engine) as connection:
        assert connection.execute(text("SELECT id, next_series FROM registry")).one() == ("town", 2)


def test_what_runs_does_not_bring_an_old_database_up_by_itself(empty_database_url: str, tmp_path: Path) -> None:
    """A command of the new program that only looks must not change what the old one still works on."""

    engine = open_engine(empty_database_url)
    make_old(engine, PAST[0])
    with pytest.raises(SchemaRefused, match="shouwang upgrade"):
        open_database(Settings(state=tmp_path / "state", database=empty_database_url))
    assert schema_state(engine).revision == PAST[0]
    engine.dispose()
