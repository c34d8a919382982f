"""`shouwang account`: one-time passwords, and who may have an account."""

import re
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from alerts.tables import person
from console.accounts import authenticate
from console.tables import account, session
from core.database import open_engine, reading, writing
from shouwang.cli import app


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("init")
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        connection.execute(insert(person).values(code="G01-01", name="网格员 G01-01", role="patroller", shift="day"))
    engine.dispose()


def password_of(said: str) -> str:
    return re.findall(r"/ (\S+) ", said)[0]


def signs_in(username: str, password: str) -> bool:
    engine = open_engine("sqlite:///state/shouwang.db")
    with reading(engine) as connection:
        found = authenticate(connection, username, password)
    engine.dispose()
    return found is not None and found.must_change


def test_an_account_is_made_with_a_one_time_password() -> None:
    dispatcher = password_of(run("account", "add", "li", "--role", "dispatcher"))
    patroller = password_of(run("account", "add", "wang", "--role", "patroller", "--person", "G01-01"))
    assert signs_in("li", dispatcher)
    assert signs_in("wang", patroller)
    listed = run("account", "list")
    assert "G01-01" in listed
    assert dispatcher not in listed


def test_a_reset_ends_the_old_password_and_the_sessions() -> None:
    old = password_of(run("account", "add", "li", "--role", "dispatcher"))
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        connection.execute(insert(session).values(token_hash="x", account="li", created_at=0, expires_at=1))
    new = password_of(run("account", "reset", "li"))
    with reading(engine) as connection:
        assert connection.execute(select(session)).all() == []
    engine.dispose()
    assert not signs_in("li", old)
    assert signs_in("li", new)


def test_a_removed_account_is_gone() -> None:
    run("account", "add", "li", "--role", "dispatcher")
    run("account", "remove", "li")
    engine = open_engine("sqlite:///state/shouwang.db")
    with reading(engine) as connection:
        assert connection.execute(select(account.c.username)).scalars().all() == ["admin"]
    engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "li", "--role", "king"], "role"),
        (["add", "admin", "--role", "dispatcher"], "taken"),
        (["add", "li", "--role", "patroller"], "--person"),
        (["add", "li", "--role", "patroller", "--person", "G99-99"], "no person G99-99"),
        (["reset", "nobody"], "no account nobody"),
        (["remove", "nobody"], "no account nobody"),
    ],
)
def test_what_cannot_be_is_said_in_words(arguments: list[str], said: str) -> None:
    assert said in run("account", *arguments, status=1)
