"""The role by which Grafana reads the desk: in no backup, made anew behind a restore, and looked at by the doctor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from core.clock import SystemClock
from core.database import open_engine, reading, writing
from grafana.views import READER
from shouwang.findings import Finding, Standing
from shouwang.production_findings import production_findings
from shouwang.settings import Settings
from tests.servers import Postgres
from tests.shouwang.command_line import run


@pytest.fixture
def databases(postgres: Postgres) -> Iterator[list[str]]:
    """Two empty databases of one server."""
    names = [postgres.create() for _ in range(2)]
    yield [postgres.url(name) for name in names]
    for name in names:
        postgres.drop(name)


def on(database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """From here on the commands are on this database and folder."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SHOUWANG_DATABASE", database)
    monkeypatch.setenv("SHOUWANG_GRAFANA__READER_PASSWORD", "a-long-password")
    return Settings(state=folder / "state", database=database)


def told(settings: Settings) -> Finding | None:
    found = {each.what: each for each in production_findings(settings, None, SystemClock())}
    return found.get("grafana role")


def answers(database: str) -> bool:
    """Whether the role reads its view of tickets, and no table."""
    engine = open_engine(database.replace("://postgres@", f"://{READER}@"))
    try:
        with reading(engine) as connection:
            connection.scalar(text("SELECT count(*) FROM ticket"))
            return not connection.scalar(text("SELECT has_table_privilege('public.ticket', 'SELECT')"))
    finally:
        engine.dispose()


def test_the_role_is_made_anew_behind_a_restore(
    databases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = databases
    before = on(first, tmp_path / "before", monkeypatch)
    run("init")
    run("grafana", "role")
    assert (finding := told(before)) is not None
    assert finding.standing is Standing.GOOD
    run("backup", "--to", tmp_path / "kept")

    after = on(second, tmp_path / "after", monkeypatch)
    (file,) = (tmp_path / "kept").glob("*.tar.gz")
    run("restore", file)
    finding = told(after)
    assert finding is not None
    assert (finding.standing, "run `shouwang grafana role`" in finding.text) == (Standing.DOUBTFUL, True)
    assert "请运行 shouwang grafana role" in finding.zh
    for _ in range(2):
        run("grafana", "role")
        assert answers(second)
    assert (finding := told(after)) is not None
    assert finding.standing is Standing.GOOD
    assert answers(first), "the one of the other database reads on"


def test_a_town_on_sqlite_has_no_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = on(f"sqlite:///{tmp_path / 'shouwang.db'}", tmp_path / "town", monkeypatch)
    run("init")
    assert told(settings) is None


def test_a_role_that_may_more_than_it_should_is_told(
    databases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = on(databases[0], tmp_path / "town", monkeypatch)
    run("init")
    run("grafana", "role")
    engine = open_engine(databases[0])
    with writing(engine) as connection:
        connection.execute(text(f"GRANT SELECT ON public.account TO {READER}"))
    engine.dispose()
    assert (finding := told(settings)) is not None
    assert finding.standing is Standing.DOUBTFUL
    assert "public.account" in finding.text
    assert "Grafana 只读角色" in run("doctor").output
