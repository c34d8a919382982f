"""Fixtures that every test may use: a manual clock, a database on both engines, real servers."""

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy import Engine, insert

from core.clock import ManualClock
from core.database import metadata, open_engine, writing
from devices import credentials
from tests.influx_server import TEST_URL, InfluxOne
from tests.servers import Mosquitto, Postgres, files_folder, in_ci
from tests.sparing import share_certificates, share_statements


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one, but for those that need an InfluxDB 2.x named by its URL."""
    report = yield
    if report.skipped and in_ci() and not hasattr(report, "wasxfail") and TEST_URL not in str(report.longrepr):
        report.outcome = "failed"
    return report


settings.register_profile("ci", derandomize=True, print_blob=True)  # there a red run is the commit's own doing
if in_ci():
    settings.load_profile("ci")


def pytest_configure() -> None:
    """`tmp_path` too stands where files are quick; the garbage collector waits until all is imported."""
    gc.disable()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(files_folder()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of tests that are `long` begin first, spread over all workers but the last, which has enough to compute.

    xdist gives each worker an equal part of all, in their order; one that waits at the end would keep the others idle.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    files = sorted({item.path for item in long}, key=lambda file: (-_longest(long, file), file))
    rest = iter([item for item in items if not item.get_closest_marker("long")])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    waiting = max(workers - 1, 1)
    left = len(items)
    items.clear()
    for worker in range(workers):
        mine = files[worker::waiting] if worker < waiting else []
        share = sorted((item for item in long if item.path in mine), key=lambda item: mine.index(item.path))
        share += islice(rest, max(left // (workers - worker) - len(share), 0))
        items += share
        left -= len(share)
    items += rest


def _longest(items: Sequence[pytest.Item], file: Path) -> float:
    """The longest time that a test of this file is given."""
    marks = (item.get_closest_marker("timeout") for item in items if item.path == file)
    return max(mark.args[0] if mark else 0.0 for mark in marks)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """The garbage collector looks less often, and never at what imports and collection made: it took a fifth of all."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[PasswordHasher]:
    """Passwords are hashed with 8 KiB for 64 MiB, which every sign-in would take; the hasher of real life."""
    dear = credentials._for_people
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "_for_people", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield dear


@pytest.fixture(scope="session", autouse=True)
def _once_a_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        share_certificates(patch)
        share_statements(patch)
        yield


@pytest.fixture
def dear_passwords(cheap_passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost what they cost in real life."""
    monkeypatch.setattr(credentials, "_for_people", cheap_passwords)


def _make_schema(url: str) -> None:
    for package in ("devices", "ingest", "detectors", "alerts", "console"):
        import_module(f"{package}.tables")
    engine = open_engine(url)
    with writing(engine) as connection:
        metadata.create_all(connection)
        connection.execute(insert(metadata.tables["change_counter"]).values(one=1, last=0))
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at 2026-09-21 22:13:20 in Shanghai until the test moves it."""
    return ManualClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the whole schema; copied, never opened."""
    path = tmp_path_factory.mktemp("schema") / "template.db"
    _make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One private PostgreSQL cluster for the run."""
    server = Postgres.installed()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """A PostgreSQL database with the whole schema; only ever a template."""
    name = postgres.create()
    _make_schema(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database with the whole schema and `change_counter`'s row, on each engine in turn."""
    if request.param == "sqlite":
        path = tmp_path / "shouwang.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(request.getfixturevalue("postgres_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`, disposed at the end."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def influx_one() -> Iterator[InfluxOne]:
    """One private InfluxDB 1.x behind nginx for the run."""
    server = InfluxOne.installed()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start Mosquittos: `broker = mosquitto()` or `mosquitto(["acl_file …"])`; each has its own folder and port."""
    brokers: list[Mosquitto] = []

    def start(extra: Sequence[str] = ()) -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(brokers)}"
        folder.mkdir()
        broker = Mosquitto.installed(folder, extra)
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests recorded of themselves: the seed of a run under fire, and what it counted."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            recorded = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            if recorded and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {recorded}")
