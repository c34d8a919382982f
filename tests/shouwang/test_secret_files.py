"""Secrets by file: in the environment and in the settings file, in URLs too, and never shown."""

import json
from pathlib import Path

import pytest

from shouwang.settings import Settings, SettingsError, load_settings, masked


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("s3c/r@t:ä\n", encoding="utf-8")
    return path


def problems(file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    return refused.value.problems


def test_a_variable_with_file_at_its_end_is_what_the_file_holds(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_CHANNELS__DISTRICT", '{"kind": "webhook"}')
    monkeypatch.setenv("SHOUWANG_CHANNELS__DISTRICT__SECRET_FILE", str(secret))
    monkeypatch.setenv("shouwang_broker_file", str(secret.with_name("broker")))
    secret.with_name("broker").write_text("mqtt://platform:word@broker.example")
    settings = load_settings(None)
    assert settings.channels["district"].secret.get_secret_value() == "s3c/r@t:ä"
    assert settings.broker.get_secret_value() == "mqtt://platform:word@broker.example"


def test_passwords_and_tokens_come_into_their_urls_in_percent_form(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_BROKER", "mqtts://platform@mosquitto:8884?ca=/ca.pem")
    monkeypatch.setenv("SHOUWANG_DATABASE", "postgresql+psycopg://shouwang@postgres/shouwang")
    monkeypatch.setenv("SHOUWANG_STORE", "influx+http://influxdb:8086/town/readings")
    for name in ("BROKER_PASSWORD", "DATABASE_PASSWORD", "STORE_TOKEN"):
        monkeypatch.setenv(f"SHOUWANG_{name}_FILE", str(secret))
    settings = load_settings(None)
    coded = "s3c%2Fr%40t%3A%C3%A4"
    assert settings.broker.get_secret_value() == f"mqtts://platform:{coded}@mosquitto:8884?ca=/ca.pem"
    assert settings.database_url == f"postgresql+psycopg://shouwang:{coded}@postgres/shouwang"
    assert settings.influx
    assert settings.influx.token == "s3c/r@t:ä"
    shown = json.dumps(masked(settings), ensure_ascii=False)
    assert coded not in shown
    assert "s3c" not in shown


def test_keys_of_the_settings_file_may_name_files_beside_it(secret: Path) -> None:
    file = secret.with_name("shouwang.toml")
    file.write_text(
        'database = "postgresql+psycopg://shouwang@/shouwang?host=/run/postgresql"\ndatabase_password_file = "secret"\n'
        '[outside.city]\nsecret_file = "long"\n'
    )
    secret.with_name("long").write_text("0123456789abcdef\n")
    settings = load_settings(file)
    assert settings.database_url.startswith("postgresql+psycopg://shouwang:s3c%2Fr%40t%3A%C3%A4@/shouwang?")
    assert settings.outside["city"].secret.get_secret_value() == "0123456789abcdef"


def test_what_can_not_be_read_or_is_there_twice_is_told_with_all_other_faults(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = secret.with_name("shouwang.toml")
    file.write_text('[heartbeat]\nurl = "https://w.example"\nurl_file = "secret"\n')
    monkeypatch.setenv("SHOUWANG_STORE_FILE", str(secret.with_name("none")))
    monkeypatch.setenv("SHOUWANG_BROKER", "mqtt://h")
    monkeypatch.setenv("SHOUWANG_BROKER_FILE", str(secret))
    monkeypatch.setenv("SHOUWANG_KEEP_DAYS_FILE", str(secret))
    monkeypatch.setenv("SHOUWANG_NOTHING_FILE", str(secret))
    told = problems(file)
    assert len(told) == 5
    for part in (
        "SHOUWANG_STORE_FILE: ",
        "SHOUWANG_BROKER_FILE: SHOUWANG_BROKER 也有值",
        "environment: SHOUWANG_KEEP_DAYS_FILE: ",
        "SHOUWANG_NOTHING_FILE: 没有这个设置 · there is no such setting",
        f"{file}: heartbeat.url_file: url 也有值",
    ):
        assert [line for line in told if part in line], part
    assert not [line for line in told if "s3c" in line]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n\n"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_what_an_editor_leaves_around_a_secret_is_no_part_of_it(
    begin: str, end: str, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_bytes(f"{begin}word{end}".encode())
    monkeypatch.setenv("SHOUWANG_BROKER", "mqtt://u@h")
    monkeypatch.setenv("SHOUWANG_BROKER_PASSWORD_FILE", str(secret))
    assert load_settings(None).broker.get_secret_value() == "mqtt://u:word@h"


def test_a_file_without_a_secret_is_told_as_that(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.write_text("\n")
    monkeypatch.setenv("SHOUWANG_BROKER", "mqtt://u@h")
    monkeypatch.setenv("SHOUWANG_BROKER_PASSWORD_FILE", str(secret))
    (told,) = problems()
    assert told.startswith(f"environment: SHOUWANG_BROKER_PASSWORD_FILE: {secret} 是空的")
    secret.unlink()
    (told,) = problems()
    assert f"{secret} 读不出来（No such file or directory）" in told


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"broker_password": "x"}, "no server's URL"),
        ({"database_password": "x", "database": "sqlite:///a.db"}, "no server's URL"),
        ({"broker_password": "x", "broker": "mqtt://h"}, "names no user"),
        ({"broker_password": "x", "broker": "mqtt://u:y@h"}, "keep one"),
        ({"store_token": "x", "store": "influx+http://y@h/o/b"}, "keep one"),
    ],
)
def test_a_password_that_opens_nothing_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**given)  # type: ignore[arg-type]
