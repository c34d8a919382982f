"""A platform is known by the database that it works on, whatever its state folder is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.database import open_engine, reading
from core.lifecycle import PartFailed
from shouwang import upgrade as module
from shouwang.at_work import at_work, doubled, name_of, refuse_while_at_work
from shouwang.production_findings import _doubled
from shouwang.restore import restore
from shouwang.settings import Settings
from tests.shouwang.old_rows import NOW
from tests.shouwang.test_old_databases import make_old


@pytest.fixture
def platform(empty_database_url: str) -> Iterator[Engine]:
    """A process with two roles that has looked at the database once, and holds its session as they all do."""
    engine = open_engine(empty_database_url, name_of(["detect", "dispatch"]))
    make_old(engine, "0009")
    with reading(engine):
        pass
    yield engine
    engine.dispose()


def test_it_is_seen_until_it_ends_and_waited_for(platform: Engine, empty_database_url: str) -> None:
    looking = open_engine(empty_database_url)
    found = at_work(looking)
    expected = [("detect", "dispatch")] if platform.dialect.name == "postgresql" else []
    assert [each.roles for each in found] == expected
    if expected:
        with pytest.raises(PartFailed, match=rf"{found[0].process}@\S+ \(detect,dispatch\)"):
            refuse_while_at_work(looking, patience=0)
    platform.dispose()
    refuse_while_at_work(looking, patience=5)
    looking.dispose()


def test_no_upgrade_nor_restore_under_a_platform_with_another_state_folder(
    platform: Engine, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refuse_while_at_work, "__defaults__", (0.0,))
    settings = Settings(state=tmp_path / "elsewhere", database=empty_database_url, canary_s=0)
    if platform.dialect.name != "postgresql":
        assert module.upgrade(settings, None, NOW).backup, "its file is in one state folder"
        return
    with pytest.raises(PartFailed, match="their state folder may be another one"):
        module.upgrade(settings, None, NOW)
    platform.dispose()
    backup = module.upgrade(settings, None, NOW).backup
    assert backup
    again = open_engine(empty_database_url, name_of(["console"]))
    with reading(again), pytest.raises(PartFailed, match="console"):
        restore(settings, backup, NOW, "head", force=True)
    again.dispose()


def test_a_role_that_runs_twice_is_told(platform: Engine, empty_database_url: str) -> None:
    other = open_engine(empty_database_url, f"shouwang:detect:{10**6}")
    with reading(other):
        twice = doubled(at_work(other))
    other.dispose()
    told = {each.what: each.text for each in _doubled(twice)}
    if platform.dialect.name == "postgresql":
        assert told.keys() == {"role detect"}
        assert "2 processes run it" in told["role detect"]
    else:
        assert told == {}
