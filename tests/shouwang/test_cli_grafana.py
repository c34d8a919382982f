"""`shouwang grafana`: the role, the files, and a push, as an operator types them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text

from core.database import open_engine, reading
from grafana.generation import DASHBOARDS
from grafana.views import READER
from tests.fakes.grafana_api import TOKEN, GrafanaApi
from tests.servers import Postgres
from tests.shouwang.command_line import run


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


def _settings(tmp_path: Path, **more: str) -> Path:
    file = tmp_path / "shouwang.toml"
    tables = "\n".join(f"{key} = {json.dumps(value)}" for key, value in more.items() if key in ("database", "store"))
    grafana = "\n".join(
        f"{key} = {json.dumps(value)}" for key, value in more.items() if key not in ("database", "store")
    )
    file.write_text(f"{tables}\n[grafana]\n{grafana}\n[console]\nbase_url = 'https://console.example'\n", "utf-8")
    return file


def test_the_role_is_made_and_made_again(tmp_path: Path, database: str) -> None:
    _settings(tmp_path, database=database)
    secret = tmp_path / "password"
    secret.write_text("a-long-password\n")
    for _ in range(2):
        said = run("grafana", "role", "--password-file", secret)
        assert READER in said.output
        assert "a-long-password" not in said.output
    engine = open_engine(database.replace("://postgres@", f"://{READER}@"))
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM ticket")) == 0
    engine.dispose()


def test_without_a_password_or_a_postgresql_it_says_what_is_missing(tmp_path: Path, database: str) -> None:
    _settings(tmp_path, database=database)
    assert "--password-file" in run("grafana", "role", fails=1).output
    _settings(tmp_path, reader_password="x")
    assert "PostgreSQL" in run("grafana", "role", fails=1).output


def test_dashboards_are_written_with_the_town_s_own_addresses(tmp_path: Path) -> None:
    _settings(tmp_path, tiles="https://tiles.example/{z}/{x}/{y}")
    run("grafana", "dashboards", tmp_path / "out")
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json"))
    assert written == sorted(f"{language}/{name}.json" for language in ("zh", "en") for name in DASHBOARDS)
    texts = "".join(path.read_text("utf-8") for path in (tmp_path / "out").rglob("*.json"))
    assert "https://console.example/tickets/" in texts
    assert "127.0.0.1" not in texts
    assert "openstreetmap.org" not in texts


def test_a_push_puts_all_there_and_a_second_changes_nothing(tmp_path: Path, database: str) -> None:
    with GrafanaApi() as api:
        _settings(
            tmp_path,
            database=database,
            store="influx+http://t0k@influx.example/town/readings",
            url=api.url,
            token=TOKEN,
            reader_password="s3cret",
            desk="postgres:5432",
            metrics_url="http://prometheus:9090",
        )
        said = run("grafana", "push")
        assert "made" in said.output
        for secret in (TOKEN, "s3cret", "t0k"):
            assert secret not in said.output
        assert set(api.folders) == {"shouwang", "shouwang-en"}
        assert len(api.boards) == 2 * len(DASHBOARDS)
        assert {api.where[uid] for uid in api.boards if uid.endswith("-en")} == {"shouwang-en"}
        assert set(api.sources) == {"shouwang-readings", "shouwang-desk", "shouwang-prometheus"}
        assert api.sources["shouwang-desk"]["url"] == "postgres:5432"
        assert api.sources["shouwang-readings"]["jsonData"]["dbName"] == "readings"
        before = api.writes
        said = run("grafana", "push")
        assert api.writes == before
        assert "made" not in said.output
        assert "changed" not in said.output


def test_an_edited_dashboard_ends_the_push_with_status_1_and_the_rest_is_pushed(tmp_path: Path) -> None:
    with GrafanaApi() as api:
        _settings(tmp_path, url=api.url, token=TOKEN)
        run("grafana", "push", "--language", "zh")
        assert set(api.folders) == {"shouwang"}
        api.edit("shouwang-roads", "改过的")
        said = run("grafana", "push", fails=1)
        assert "--force" in said.output
        assert len(api.boards) == 2 * len(DASHBOARDS)
        run("grafana", "push", "--force")
        assert api.boards["shouwang-roads"][-1]["dashboard"]["title"] != "改过的"


def test_a_push_to_nowhere_is_told_in_words(tmp_path: Path) -> None:
    assert "grafana.url" in run("grafana", "push", fails=1).output
    with GrafanaApi() as api:
        _settings(tmp_path, url=api.url, token="glsa_wrong")
        assert "refuses the token" in run("grafana", "push", fails=1).output
    _settings(tmp_path, url="ftp://x", token="x")
    assert "http" in run("grafana", "push", fails=1).output
    _settings(tmp_path, url="http://x")
    assert "token" in run("grafana", "push", fails=1).output


def test_all_that_a_grafana_starts_from_is_written_and_a_prometheus_only_where_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for metrics_url in ("http://prometheus:9090", ""):
        _settings(tmp_path, metrics_url=metrics_url)
        run("grafana", "provision", folder)
        sources = yaml.safe_load((folder / "provisioning" / "datasources" / "shouwang.yaml").read_text("utf-8"))
        uids = [each["uid"] for each in sources["datasources"]]
        assert uids == ["shouwang-readings", "shouwang-desk", *(["shouwang-prometheus"] if metrics_url else [])]
        gone = [each["name"] for each in sources.get("deleteDatasources", [])]
        assert bool(gone) is not bool(metrics_url), "Grafana keeps what it was given before, unless it is told"
    asked_for = {"alerting", "dashboards", "datasources", "plugins"}
    assert {each.name for each in (folder / "provisioning").iterdir()} == asked_for, "Grafana complains without one"
    providers = yaml.safe_load((folder / "provisioning" / "dashboards" / "shouwang.yaml").read_text("utf-8"))
    for provider in providers["providers"]:
        boards = folder / provider["options"]["path"].replace("$SHOUWANG_DASHBOARDS", "dashboards")
        assert {path.stem for path in boards.glob("*.json")} == set(DASHBOARDS)
        assert "https://console.example/tickets/" in "".join(path.read_text("utf-8") for path in boards.glob("*.json"))
