import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from alerts.tables import contact, notice, person
from core.database import open_engine, reading, writing
from shouwang.cli import app


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments, terminal_width=200)
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("init")
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        for code in ("D-1", "D-2"):
            connection.execute(insert(person).values(code=code, name=f"调度员 {code}", role="dispatcher", shift="all"))
        address = {"owner_kind": "person", "owner": "D-1", "channel": "phone", "address": "D-1"}
        connection.execute(insert(contact).values(address))
    engine.dispose()


def test_a_drill_from_its_definition_to_its_report() -> None:
    assert "drill 1: next" in run("drill", "define", "周一联络演练", "--days", "1,4", "--at", "10:00")
    assert "everybody" in run("drill", "list")
    assert "run 1" in run("drill", "start", "1")
    assert "no report yet" in run("drill", "report", "1", status=1)
    assert "under way" in run("drill", "start", "1", status=1)
    assert "0 of 2 answered" in run("drill", "end", "1")
    assert "没有联系方式" in run("drill", "report", "1")
    run("drill", "report", "1", "--out", "report.csv", "--language", "en")
    rows = list(csv.DictReader(io.StringIO(Path("report.csv").read_text("utf-8-sig"))))
    assert {row["code"]: row["outcome"] for row in rows} == {"D-1": "not reached", "D-2": "no contact"}
    engine = open_engine("sqlite:///state/shouwang.db")
    with reading(engine) as connection:
        assert connection.scalars(select(notice.c.recipient)).all() == ["D-1"]
    engine.dispose()
    run("drill", "retire", "1")
    assert "no such drill" in run("drill", "start", "1", status=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--days", "x"), "no days"),
        (("--days", "9"), "1 to 7"),
        (("--teams", "T-X"), "T-X"),
        (("--at", "24:10"), "10:00"),
    ],
)
def test_what_is_no_drill_is_told(options: tuple[str, ...], said: str) -> None:
    assert said in run("drill", "define", "x", *options, status=1)


def test_unknown_runs_are_told() -> None:
    assert "no run 7" in run("drill", "report", "7", status=1)
    assert "no such run" in run("drill", "end", "7", status=1)
