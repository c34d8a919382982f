"""An upgrade backs up first, is tried on a copy, and leaves the old database as it was when anything fails."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.database import open_engine, reading, writing
from core.lifecycle import PartFailed
from shouwang import upgrade as module
from shouwang.backup import backups_in
from shouwang.database_copy import sqlite_revision
from shouwang.migrate import SchemaRefused, Standing, known_revisions, schema_state
from shouwang.restore import restore
from shouwang.role_lock import RoleLocks
from shouwang.settings import Settings
from shouwang.upgrade import WHY, UpgradeFailed, upgrade
from tests.shouwang.command_line import run
from tests.shouwang.old_rows import NOW, contents
from tests.shouwang.test_old_databases import columns_of, make_old

OLD = "0009"


@pytest.fixture
def settings(tmp_path: Path, empty_database_url: str) -> Settings:
    """A town of an older version, on either database."""
    engine = open_engine(empty_database_url)
    make_old(engine, OLD)
    engine.dispose()
    return Settings(state=tmp_path / "state", database=empty_database_url, canary_s=0)


def state_of(settings: Settings) -> tuple[str | None, dict[str, list[str]]]:
    """The schema's revision and every row."""
    engine = open_engine(settings.database_url)
    columns = columns_of(engine)
    with reading(engine) as connection:
        rows = {name: sorted(map(repr, found)) for name, found in contents(connection, columns).items()}
    revision = schema_state(engine).revision
    engine.dispose()
    return revision, rows


def test_the_backup_of_an_upgrade_is_of_the_old_version_and_can_be_restored(settings: Settings, tmp_path: Path) -> None:
    before = state_of(settings)
    done = upgrade(settings, None, NOW)
    assert done.backup
    assert state_of(settings)[0] == known_revisions()[0]
    there = Settings(state=tmp_path / "other", canary_s=0)
    restored = restore(there, done.backup, NOW, "head")
    assert restored.manifest.schema == before[0] == OLD
    assert sqlite_revision(there.state / "shouwang.db") == known_revisions()[0], "an older backup is brought up"
    assert state_of(there)[1]["village"] == before[1]["village"]


def test_a_second_upgrade_has_nothing_to_do_and_a_newer_database_is_refused(settings: Settings) -> None:
    upgrade(settings, None, NOW)
    assert upgrade(settings, None, NOW).before.standing is Standing.CURRENT
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SchemaRefused, match="newer"):
        upgrade(settings, None, NOW)
    assert len(backups_in(settings.backup.folder_in(settings.state), WHY)) == 1


def test_a_database_on_which_nothing_starts_is_put_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = state_of(settings), []

    def never(_settings: Settings, engine: object, _now: int) -> list[str]:
        asked.append(engine)
        return [] if len(asked) == 1 else ["the town can't be read"]  # the copy would start

    monkeypatch.setattr(module, "why_not_startable", never)
    with pytest.raises(UpgradeFailed, match="as it was: the town can't be read"):
        upgrade(settings, None, NOW)
    assert len(asked) == 2
    assert state_of(settings) == before
    assert backups_in(settings.backup.folder_in(settings.state), WHY), "the backup stays"


def test_a_copy_that_does_not_start_never_touches_the_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(settings)
    monkeypatch.setattr(module, "why_not_startable", lambda *_: ["no"])
    monkeypatch.setattr(module, "migrate", lambda _: pytest.fail("the database itself was migrated"))
    with pytest.raises(UpgradeFailed):
        upgrade(settings, None, NOW)
    assert state_of(settings) == before


def test_a_migration_that_fails_leaves_the_old_database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, tried = state_of(settings), command.upgrade, []

    def fail_on_the_second(config: Config, revision: str) -> None:
        real(config, revision)
        if revision == "head":
            tried.append(revision)
        if len(tried) == 2:
            raise OperationalError("ALTER TABLE", {}, Exception("the disk is full"))

    monkeypatch.setattr(command, "upgrade", fail_on_the_second)
    with pytest.raises(UpgradeFailed, match="the disk is full") as told:
        upgrade(settings, None, NOW)
    assert "ALTER TABLE" not in str(told.value), "an operator has no use for the statement"
    assert state_of(settings) == before


@pytest.mark.parametrize("running", ["console", "upgrade"])
def test_under_a_running_platform_or_a_second_upgrade_nothing_happens(settings: Settings, running: str) -> None:
    before = state_of(settings)
    settings.state.mkdir()
    locks = RoleLocks(settings.state)
    locks.take([running])
    with pytest.raises(PartFailed, match=running):
        upgrade(settings, None, NOW)
    locks.release()
    assert state_of(settings) == before
    assert not settings.backup.folder_in(settings.state).exists()


def test_the_commands_say_what_they_did_in_chinese(folder: None) -> None:
    assert "已建库" in run("upgrade").output
    assert "无需升级" in run("upgrade").output
    told = run("backup").output
    assert "已备份" in told
    assert "妥善保管" in told
    assert "目标不是空的" in run("restore", next(Path("state/backups").glob("*.gz")), fails=1).output
