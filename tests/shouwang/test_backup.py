"""Backups are consistent, whole or not there, private, and say what is in them; restores refuse what they must."""

import io
import json
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from alerts.hushing import NOTICES_OFF
from alerts.tables import contact
from core import snapshot
from core.clock import SECOND, SystemClock
from core.database import open_engine, reading, writing
from core.journal import Entry, Offset, RecordKind
from core.journal_copy import copy_journal
from core.lifecycle import PartFailed
from devices.tables import village
from ingest.applied import write_applied
from ingest.words import Block
from shouwang.backup import DATABASE, BackupRefused, Made, backups_in, make_backup
from shouwang.backup_file import BackupDamaged, read_manifest, unpack
from shouwang.database_copy import CopyRefused
from shouwang.migrate import SchemaRefused
from shouwang.restore import RestoreRefused, restore
from shouwang.restored import MARKER, last_restore
from shouwang.role_lock import RoleLocks
from shouwang.settings import Settings
from shouwang.wiring import CONSUMERS, build, open_database, open_journal
from tests.shouwang.command_line import run
from tests.shouwang.old_rows import contents, fill
from tests.shouwang.small_platform import small_settings, workday
from tests.shouwang.test_old_databases import columns_of

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def settings(tmp_path: Path, empty_database_url: str) -> Settings:
    """A platform on either database, with a row in every table."""
    made = Settings(state=tmp_path / "state", database=empty_database_url, canary_s=0)
    engine = open_database(made)
    with writing(engine) as connection:
        fill(connection)
    engine.dispose()
    return made


def back_up(settings: Settings, now: int = NOW, **options: object) -> Made:
    return make_backup(settings, None, settings.backup.folder_in(settings.state), now, **options)  # type: ignore[arg-type]


def rows_of(settings: Settings) -> dict[str, list[str]]:
    engine = open_engine(settings.database_url)
    columns = columns_of(engine)
    with reading(engine) as connection:
        found = contents(connection, columns)
    engine.dispose()
    return {name: sorted(map(repr, rows)) for name, rows in found.items() if name not in ("notice", "change")}


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Another machine, on the database that `settings` does not use."""
    settings: Settings = request.getfixturevalue("settings")
    state = tmp_path / "other" / "state"
    if settings.database_url.startswith("postgresql"):
        yield Settings(state=state, canary_s=0)
        return
    server = request.getfixturevalue("postgres")
    name = server.create()
    yield Settings(state=state, database=server.url(name), canary_s=0)
    server.drop(name)


def test_every_row_comes_back_in_the_other_database_and_home_again(settings: Settings, other: Settings) -> None:
    before = rows_of(settings)
    restore(other, back_up(settings).file, NOW, "head")
    assert {name: rows for name, rows in rows_of(other).items() if name != "applied"} == {
        name: rows for name, rows in before.items() if name != "applied"
    }
    home = Settings(state=other.state.parent / "home", canary_s=0)
    restore(home, back_up(other).file, NOW, "head")
    assert rows_of(home) == rows_of(other)


def test_numbers_go_on_behind_the_restored_ones(settings: Settings, other: Settings) -> None:
    restore(other, back_up(settings).file, NOW, "head")
    engine = open_engine(other.database_url)
    with writing(engine) as connection:
        greatest = connection.execute(select(func.max(contact.c.id))).scalar_one()
        again = {"owner_kind": "person", "owner": "P1", "channel": "other", "address": "P1"}
        given = connection.execute(insert(contact).values(again).returning(contact.c.id)).scalar_one()
    engine.dispose()
    assert given == greatest + 1


def test_a_backup_is_of_one_moment_while_others_write(settings: Settings) -> None:
    """Two rows that always change together are never seen apart."""
    engine = open_engine(settings.database_url)
    begun, ending = threading.Event(), threading.Event()

    def write() -> None:
        count = 0
        while not ending.is_set():
            count += 1
            with writing(engine) as connection:
                connection.execute(update(village).values(name=str(count)))
                connection.execute(text("UPDATE ticket SET title = :count"), {"count": str(count)})
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(30), "nothing was written at all"
        seen = set()
        for turn in range(4):
            made = back_up(settings, NOW + turn * SECOND)
            place = settings.state.parent / f"look-{turn}"
            unpack(made.file, place)
            with closing(sqlite3.connect(place / DATABASE)) as copy:
                names = {row[0] for row in copy.execute("SELECT name FROM village UNION SELECT title FROM ticket")}
            assert len(names) == 1
            seen |= names
    finally:
        ending.set()
        writer.join()
        engine.dispose()
    assert len(seen) > 1, "nothing was written meanwhile"


def test_only_its_owner_can_read_it_and_the_oldest_go(settings: Settings) -> None:
    folder = settings.backup.folder_in(settings.state)
    made = [back_up(settings, NOW + turn * SECOND, keep=2) for turn in range(4)]
    assert backups_in(folder) == [made[2].file, made[3].file]
    assert made[3].removed == [made[1].file]
    assert stat.S_IMODE(made[3].file.stat().st_mode) == 0o600
    assert sorted(each.name for each in folder.iterdir() if each.suffix == ".part") == []
    back_up(settings, NOW, why="before-upgrade")
    assert len(backups_in(folder)) == 2, "those made for another reason are counted apart"


def test_what_goes_wrong_leaves_no_half_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(tarfile.TarFile, "addfile", fails)
    with pytest.raises(OSError, match="no space"):
        back_up(settings)
    assert [each.name for each in settings.backup.folder_in(settings.state).iterdir()] == [".backup.lock"]


def test_a_full_disk_is_told_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(state=tmp_path / "state", canary_s=0)
    open_database(settings).dispose()
    connect = sqlite3.connect

    class Full(sqlite3.Connection):
        def backup(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("shouwang.database_copy.sqlite3.connect", lambda file: connect(file, factory=Full))
    with pytest.raises(CopyRefused, match="磁盘满了"):
        back_up(settings)


def test_two_at_once_are_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from shouwang import backup

    found = []

    def second(*_: object) -> None:
        with pytest.raises(BackupRefused, match="Another backup"):
            back_up(settings)
        found.append(1)
        raise BackupRefused("enough")

    monkeypatch.setattr(backup, "_collect", second)
    with pytest.raises(BackupRefused, match="enough"):
        back_up(settings)
    assert found


def test_it_carries_keys_rules_settings_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "town.yaml").write_text("rules: {}\n", encoding="utf-8")
    config = tmp_path / "shouwang.toml"
    config.write_text('state = "state"\nrules = ["rules"]\n', encoding="utf-8")
    settings = Settings(state=tmp_path / "state", rules=[rules], canary_s=0)
    open_database(settings).dispose()
    (settings.state / "broker-platform.password").write_text("secret")
    (settings.state / "safety.lock").write_text("1")
    made = make_backup(settings, config, tmp_path / "kept", NOW)
    names = {member.name for member in made.manifest.members}
    assert names == {DATABASE, "settings.toml", "state/broker-platform.password", "rules/0/town.yaml"}
    assert {"readings", "no_journal"} <= set(made.manifest.left_out)
    assert read_manifest(made.file) == made.manifest
    elsewhere = tmp_path / "elsewhere"
    run("restore", made.file, "--config", elsewhere / "shouwang.toml")
    assert (elsewhere / "shouwang.toml").read_text() == config.read_text()
    assert (elsewhere / "rules" / "town.yaml").read_text() == "rules: {}\n"
    key = elsewhere / "state" / "broker-platform.password"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("secret", 0o600)


def test_a_damaged_backup_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    whole = back_up(settings).file
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:-2000])
    altered = tmp_path / "altered.tar.gz"
    _rewrite(whole, altered, lambda name, body: body[:-1] + b"X" if name == DATABASE else body)
    strange = tmp_path / "strange.tar.gz"
    strange.write_bytes(b"not a backup")
    target = Settings(state=tmp_path / "new", canary_s=0)
    for file in (cut, altered, strange):
        with pytest.raises(BackupDamaged):
            restore(target, file, NOW, "head")
        assert not (target.state / "shouwang.db").exists()
        assert not (target.state / ".restoring").exists()


def _rewrite(source: Path, target: Path, change: object) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as new:
        for info in old:
            content = old.extractfile(info)
            assert content
            body = change(info.name, content.read())  # type: ignore[operator]
            info.size = len(body)
            new.addfile(info, io.BytesIO(body))


def test_a_newer_backup_is_refused(settings: Settings, tmp_path: Path) -> None:
    newer = tmp_path / "newer.tar.gz"

    def lift(name: str, body: bytes) -> bytes:
        if name != "manifest.json":
            return body
        return json.dumps({**json.loads(body), "schema": "9999"}).encode()

    _rewrite(back_up(settings).file, newer, lift)
    with pytest.raises(RestoreRefused, match="newer than this program"):
        restore(Settings(state=tmp_path / "new", canary_s=0), newer, NOW, "head")


def test_a_full_target_is_refused_and_force_moves_it_aside(settings: Settings) -> None:
    made = back_up(settings)
    before = rows_of(settings)
    with pytest.raises(RestoreRefused, match="--force"):
        restore(settings, made.file, NOW, "head")
    assert rows_of(settings) == before
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        connection.execute(update(village).values(name="later"))
    engine.dispose()
    done = restore(settings, made.file, NOW + SECOND, "head", force=True)
    assert rows_of(settings)["village"] == before["village"]
    assert done.aside
    assert done.aside.exists(), "what was there is kept"
    if done.aside.is_dir():
        with closing(sqlite3.connect(done.aside / "empty.db")) as old:
            assert old.execute("SELECT name FROM village").fetchone() == ("later",)


def test_neither_backup_of_a_strange_database_nor_restore_under_a_running_one(
    settings: Settings, tmp_path: Path
) -> None:
    made = back_up(settings)
    locks = RoleLocks(settings.state)
    locks.take(["detect"])
    with pytest.raises(PartFailed, match="detect"):
        restore(settings, made.file, NOW, "head", force=True)
    locks.release()
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SchemaRefused, match="newer"):
        back_up(settings, NOW + SECOND)
    with pytest.raises(SchemaRefused, match="is empty"):
        back_up(Settings(state=tmp_path / "none", canary_s=0))


def test_a_database_whose_pages_are_broken_is_no_backup(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", canary_s=0)
    engine = open_database(settings)
    with writing(engine) as connection:
        fill(connection)
    with closing(sqlite3.connect(settings.state / "shouwang.db")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DELETE FROM village")
        connection.commit()
    engine.dispose()
    with pytest.raises(CopyRefused, match="refers to no village"):
        back_up(settings)


def _platform(tmp_path: Path) -> tuple[Settings, Engine]:
    settings = small_settings(tmp_path)
    return settings, open_database(settings)


def test_the_journal_goes_along_as_far_as_it_is_needed(tmp_path: Path) -> None:
    settings, engine = _platform(tmp_path)
    with reading(engine) as connection:
        registry = connection.execute(text("SELECT id FROM registry")).scalar_one()
    journal = open_journal(settings, registry)
    for turn in range(10):
        journal.append([Entry(RecordKind.TICK, b"")], NOW + turn * SECOND)
    for consumer in CONSUMERS:
        journal.acknowledge(consumer, Offset(0, 6))
    journal.close()
    snapshot.save(settings.state / "safety.snapshot", {"offset": [0, 4]}, {})
    engine.dispose()
    made = make_backup(settings, None, tmp_path / "kept", NOW)
    assert made.manifest.journal == (4, 10, 6), "the snapshot needs what is behind it"
    assert make_backup(settings, None, tmp_path / "kept", NOW + SECOND, whole=True).manifest.journal == (0, 10, 10)
    assert copy_journal(settings.state / "journal.db", tmp_path / "copy", []).records == 4


def test_at_the_head_nothing_is_replayed_and_in_a_replay_nobody_is_told(tmp_path: Path) -> None:
    settings, engine = _platform(tmp_path)
    with writing(engine) as connection:
        fill(connection)
        connection.execute(text("UPDATE notice SET state = 'queued'"))
        write_applied(connection, "safety", Offset(0, 3))
    journal = open_journal(settings, "town")
    block = Block.of([40], [NOW], [NOW], [1.0])
    for _ in range(9):
        journal.append([Entry(RecordKind.BLOCK, block.to_bytes())], NOW)
    journal.close()
    snapshot.save(settings.state / "safety.snapshot", {"offset": [0, 3], "more": 1}, {})
    engine.dispose()
    made = make_backup(settings, None, tmp_path / "kept", NOW)
    places = {}
    for position in ("head", "replay"):
        there = Settings(state=tmp_path / position, canary_s=0)
        done = restore(there, made.file, NOW + SECOND, position)
        kept = snapshot.load(there.state / "safety.snapshot")
        assert kept
        opened = open_engine(there.database_url)
        with reading(opened) as connection:
            applied = connection.execute(text("SELECT n FROM applied WHERE consumer = 'safety'")).scalar_one()
            waiting = connection.execute(text("SELECT state, error FROM notice")).one()
            numbers = connection.execute(text("SELECT next_series FROM registry")).scalar_one()
        opened.dispose()
        places[position] = (applied, kept[0]["offset"][1], last_restore(there.state).quiet_upto)  # type: ignore[union-attr]
        assert tuple(waiting) == ("expired", NOTICES_OFF), "it may have been sent since"
        assert done.restored.unsent == 1
        assert numbers == 41, "the number of a device that was enrolled since is not given again"
    assert places == {"head": (9, 9, 0), "replay": (3, 3, 9)}


def test_a_restore_that_was_cut_short_is_not_started_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shouwang import restore as module

    settings, engine = _platform(tmp_path)
    engine.dispose()
    made = make_backup(settings, None, tmp_path / "kept", NOW)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_place_folders", cut)
        with pytest.raises(KeyboardInterrupt):
            restore(settings, made.file, NOW, "head", force=True)
    assert (settings.state / MARKER).exists()
    with pytest.raises(PartFailed, match="cut short"):
        build(settings, workday(10))
    restore(settings, made.file, SystemClock().now(), "head", force=True)
    assert not (settings.state / MARKER).exists()
    build(settings, workday(10)).lifecycle.stop()
    shutil.rmtree(settings.state)
