import zipfile
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from alerts.tables import ticket
from core.clock import SystemClock
from core.database import open_engine, writing
from ingest.duckdb_store import DuckDbStore
from ingest.store import StoreBusy
from shouwang.cli import app


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("init")
    now = SystemClock().now()
    row: dict[str, object] = {
        "number": "20260921-0001",
        "source": "patrol",
        "status": "reported",
        "title": "积水",
        "hazard": "flood",
    }
    row |= {"category": "城市管理", "severity": 2, "life_safety": False, "reported_at": now, "updated_at": now}
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        connection.execute(insert(ticket).values(row))
    engine.dispose()


def test_a_tickets_evidence_is_written() -> None:
    assert "pack.zip" in run("ticket", "export", "20260921-0001", "--out", "pack.zip")
    with zipfile.ZipFile("pack.zip") as packed:
        assert packed.namelist() == ["case.pdf", "readings.csv", "timeline.csv", "SHA256SUMS"]
    run("ticket", "export", "20260921-0001", "--out", "bare.zip", "--no-readings")
    with zipfile.ZipFile("bare.zip") as packed:
        assert "readings.csv" not in packed.namelist()


def test_an_unknown_ticket_leaves_no_file() -> None:
    assert "no ticket 1" in run("ticket", "export", "1", "--out", "pack.zip", status=1)
    assert not list(Path().glob("*pack*"))


def test_a_store_in_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_: DuckDbStore) -> DuckDbStore:
        raise StoreBusy("another process owns it")

    monkeypatch.setattr(DuckDbStore, "open", busy)
    said = run("ticket", "export", "20260921-0001", "--out", "pack.zip", status=1)
    assert "--no-readings" in said


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.evidence_work.find_spec", lambda name: None)
    said = run("ticket", "export", "20260921-0001", "--out", "pack.zip", status=1)
    assert "shouwang[reports]" in said
