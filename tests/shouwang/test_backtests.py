"""Backtests are run by the platform that owns the store, in a process of their own, and survive what kills it."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from typer.testing import CliRunner

from core.clock import DAY, MINUTE, SECOND, Clock
from core.database import reading, writing
from core.journal import Offset
from detectors.backtest_requests import (
    INTERRUPTED,
    INTERRUPTED_TWICE,
    RequestRefused,
    cancel,
    list_requests,
    recover,
    request,
    requested,
    result_of,
)
from detectors.tables import backtest
from devices.device_types import load_device_types
from ingest.store import ReadingStore
from ingest.words import Block
from shouwang import backtests
from shouwang.backtest_process import Job
from shouwang.backtests import BacktestFailed, Backtests, BacktestStopped, conduct
from shouwang.cli import app
from shouwang.role_lock import RoleLocks
from shouwang.rules_at_start import rules_at_start
from shouwang.settings import Settings
from shouwang.stores import open_readings
from shouwang.wiring import open_database
from tests.influx_server import InfluxOne, make_buckets
from tests.servers import wait_until
from tests.shouwang.command_line import run
from tests.shouwang.small_platform import found_town, running, small_settings, workday

pytestmark = pytest.mark.long

STRICTER = "overrides:\n  - {rule: gas.leak, device: GAS-1, limits: {warning: 5, alarm: 25, critical: 50}}\n"
BROKEN = "overrides:\n  - {rule: gas.leak, device: GAS-1, limits: {warnin: 5}}\n"


class Stored:
    """A small town with an hour of GAS-1's readings: 0 %, then 6 % from minute 20 to 30, then 60 % to 40, then 0 %."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock: Clock = workday(10)
        self.settings: Settings = small_settings(folder, **options)
        found_town(self.settings, self.clock)
        self.until = self.clock.now() // MINUTE * MINUTE
        self.since = self.until - 60 * MINUTE
        self.engine = open_database(self.settings)
        rules_at_start(self.engine, self.settings.rules, load_device_types(), self.clock.now())
        with self.engine.connect() as connection:
            asked = "SELECT number FROM series WHERE device = 'GAS-1' AND metric = 'gas_lel'"
            self.series = int(connection.exec_driver_sql(asked).scalar_one())
        levels = [0.0] * 20 + [6.0] * 10 + [60.0] * 10 + [0.0] * 20
        at = [self.since + n * MINUTE for n in range(60)]
        filled = self.store()
        filled.append([(Offset(0, 1), Block.of([self.series] * 60, at, [t + SECOND for t in at], levels))])
        filled.close()

    def store(self) -> ReadingStore:
        return open_readings(self.settings, self.engine)

    def job(self, text: str = STRICTER, **changes: Any) -> Job:
        span: dict[str, Any] = {"since": self.since, "until": self.until, "sites": (), "now": self.clock.now()}
        return Job(self.settings, text, **{**span, **changes})

    def ask(self, text: str = STRICTER, sites: tuple[str, ...] = ()) -> int:
        with writing(self.engine) as connection:
            return request(connection, text, self.since, self.until, list(sites), "root", self.clock.now())


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    made = Stored(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def store(stored: Stored) -> Iterator[ReadingStore]:
    opened = stored.store()
    yield opened
    opened.close()


def test_a_process_of_its_own_judges_what_is_stored(stored: Stored, store: ReadingStore) -> None:
    heard: list[int] = []
    result = conduct(stored.job(), store, threading.Event(), heard.append)
    assert (result.readings, result.today.alerts, result.tried.alerts) == (60, 1, 1)
    assert (result.today.tickets, result.tried.tickets) == (1, 1)
    assert result.lead_s.earlier == 1
    assert result.lead_s.median == pytest.approx(600, abs=2)
    assert result.changed == ["gas.leak"]
    assert heard[-1] == 100
    assert list(stored.settings.state.glob("backtest-*")) == []


def test_a_server_is_read_by_the_process_itself(influx_one: InfluxOne, tmp_path: Path) -> None:
    address = make_buckets(influx_one.address("backtest"))
    url = f"influx+{address.base.replace('://', f'://{address.token}@')}/{address.org}/{address.bucket}"
    stored = Stored(tmp_path, store=SecretStr(url))
    store = stored.store()
    result = conduct(stored.job(), store, threading.Event())
    store.close()
    stored.engine.dispose()
    assert (result.readings, result.today.alerts, result.tried.alerts) == (60, 1, 1)
    assert result.lead_s.median == pytest.approx(600, abs=2)


def test_an_empty_span_finds_nothing_and_an_unknown_site_is_told(stored: Stored, store: ReadingStore) -> None:
    before = stored.job(since=stored.since - DAY, until=stored.since - DAY + MINUTE)
    result = conduct(before, store, threading.Event())
    assert (result.readings, result.today.alerts, result.tried.alerts) == (0, 0, 0)
    with pytest.raises(BacktestFailed, match="NOWHERE"):
        conduct(stored.job(sites=("NOWHERE",)), store, threading.Event())


def test_bad_rules_are_told_with_line_and_column(stored: Stored, store: ReadingStore) -> None:
    with pytest.raises(BacktestFailed, match=r"tried\S*:2:\d+"):
        conduct(stored.job(BROKEN), store, threading.Event())


def test_a_process_that_is_killed_or_too_slow_fails_and_a_stop_ends_it(stored: Stored, store: ReadingStore) -> None:
    def kill(process: BaseProcess) -> None:
        os.kill(process.pid or 0, signal.SIGKILL)

    with pytest.raises(BacktestFailed, match="process_ended"):
        conduct(stored.job(), store, threading.Event(), began=kill)
    with pytest.raises(BacktestFailed, match="too_slow"):
        conduct(stored.job(), store, threading.Event(), longest_s=0.0)
    ending = threading.Event()
    with pytest.raises(BacktestStopped):
        conduct(stored.job(), store, ending, began=lambda _: ending.set())


def test_a_running_backtest_that_is_cancelled_ends_at_once_and_the_next_one_runs(
    stored: Stored, store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "_ASK", 0.0)
    first, second = stored.ask(), stored.ask()
    worker = Backtests(stored.engine, store, stored.settings, stored.clock)
    running = threading.Thread(target=worker.step, args=(threading.Event(),))
    running.start()
    wait_until(lambda: _state(stored, first) == "running", "the first one to run", 20)
    with writing(stored.engine) as connection:
        assert cancel(connection, first, "root", stored.clock.now())
    running.join(20)
    assert _state(stored, first) == "cancelled"
    assert list(stored.settings.state.glob("backtest-*")) == []
    assert worker.step(threading.Event())
    assert _state(stored, second) == "done"


def _state(stored: Stored, number: int) -> str:
    with reading(stored.engine) as connection:
        found = requested(connection, number)
    return found.state if found else ""


def test_the_worker_runs_what_waits_and_keeps_results_and_errors(stored: Stored, store: ReadingStore) -> None:
    good, bad = stored.ask(), stored.ask(sites=("NOWHERE",))
    worker = Backtests(stored.engine, store, stored.settings, stored.clock)
    assert worker.step(threading.Event())
    assert worker.step(threading.Event())
    assert not worker.step(threading.Event())
    with reading(stored.engine) as connection:
        result, failed = result_of(connection, good), requested(connection, bad)
        assert [row.state for row in list_requests(connection, 9)] == ["failed", "done"]
    assert result is not None
    assert result.tried.alerts == 1
    assert failed is not None
    assert "NOWHERE" in failed.error


def test_a_stop_gives_a_backtest_back(stored: Stored, store: ReadingStore) -> None:
    number, ending = stored.ask(), threading.Event()
    worker = Backtests(stored.engine, store, stored.settings, stored.clock)
    stopping = threading.Timer(0.1, ending.set)
    stopping.start()
    worker.step(ending)
    stopping.join()
    with reading(stored.engine) as connection:
        row = requested(connection, number)
    assert row is not None
    assert row.state == "waiting"


def test_what_a_killed_platform_left_running_runs_again_once(stored: Stored) -> None:
    number = stored.ask()
    states = []
    for _ in range(2):
        with writing(stored.engine) as connection:
            connection.execute(update(backtest).values(state="running"))
            assert recover(connection, stored.clock.now()) == 1
            states.append(connection.execute(select(backtest.c.state, backtest.c.error)).one())
    assert [tuple(state) for state in states] == [("waiting", INTERRUPTED), ("failed", INTERRUPTED_TWICE)]
    with reading(stored.engine) as connection:
        row = requested(connection, number)
    assert row is not None
    assert row.over


def test_a_span_that_holds_nothing_is_refused(stored: Stored) -> None:
    now = stored.clock.now()
    spans = {"empty_span": (now, now), "span_too_long": (now - 500 * DAY, now)}
    for reason, (since, until) in spans.items():
        with writing(stored.engine) as connection, pytest.raises(RequestRefused) as refused:
            request(connection, STRICTER, since, until, [], "root", now)
        assert refused.value.reason == reason
    with writing(stored.engine) as connection, pytest.raises(RequestRefused):
        request(connection, STRICTER, now + DAY, now + 2 * DAY, [], "root", now)
    with reading(stored.engine) as connection:
        assert list_requests(connection, 9) == []


def test_a_running_platform_takes_requests(stored: Stored) -> None:
    with running(stored.settings, stored.clock):
        number = stored.ask()

        def done() -> bool:
            with reading(stored.engine) as connection:
                row = requested(connection, number)
            return row is not None and row.over

        wait_until(done, "the backtest", 60)
    with reading(stored.engine) as connection:
        row = requested(connection, number)
    assert row is not None
    assert row.state == "done", row.error


def test_the_command_asks_a_running_platform(stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = tmp_path / "tried.yaml"
    pack.write_text(STRICTER, encoding="utf-8")
    monkeypatch.setenv("SHOUWANG_STATE", str(stored.settings.state))
    monkeypatch.chdir(tmp_path)
    span = ["--from", "2026-09-21T09:00", "--to", "2026-09-21T10:00"]
    with running(stored.settings, stored.clock):
        done = CliRunner().invoke(app, ["backtest", "--rules", str(pack), *span, "--json"])
        assert done.exit_code == 0, done.output
    printed = done.stdout[done.stdout.index("{\n") :]  # behind what the platform logs in the same process
    assert json.JSONDecoder().raw_decode(printed)[0]["tried"]["alerts"] == 1
    with reading(stored.engine) as connection:
        assert [row.asked_by for row in list_requests(connection, 9)] == ["command line"]


def test_the_command_does_it_without_a_platform(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "tried.yaml"
    pack.write_text(STRICTER, encoding="utf-8")
    monkeypatch.setenv("SHOUWANG_STATE", str(stored.settings.state))
    monkeypatch.chdir(tmp_path)
    span = ["--from", "2026-09-21T09:00", "--to", "2026-09-21T10:00"]
    done = CliRunner().invoke(app, ["backtest", "--rules", str(pack), *span, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tried"]["alerts"] == 1
    shown = CliRunner().invoke(app, ["backtest", "--rules", str(pack), *span])
    assert "现行规则" in shown.stdout
    english = CliRunner().invoke(app, ["backtest", "--rules", str(pack), *span, "--language", "en", "--site", "EN-1"])
    assert "Rules in force" in english.stdout
    pack.write_text(BROKEN, encoding="utf-8")
    wrong = CliRunner().invoke(app, ["backtest", "--rules", str(pack), *span])
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith(f"{pack}:2:")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--rules": "absent.yaml"}, "does not exist"),
        ({"--from": "2026-09-22"}, "--from must be before --to"),
        ({"--from": "2025-01-01"}, "longer than 400 days"),
        ({"--from": "21.9.2026"}, "is no local date or time"),
        ({"--to": "9999-12-31"}, "is no local date or time"),
        ({"--from": "2026-09-21T09:00+00:00"}, "is no local date or time"),
        ({"--site": "NOWHERE"}, "no device stands at NOWHERE"),
        ({"--language": "fr"}, "choose zh or en"),
        ({"--from": "2026-09-20T09:00", "--to": "2026-09-20T10:00"}, "没有已存的读数"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value),
)
def test_the_command_says_what_makes_no_backtest(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    (tmp_path / "tried.yaml").write_text(STRICTER, encoding="utf-8")
    monkeypatch.setenv("SHOUWANG_STATE", str(stored.settings.state))
    monkeypatch.chdir(tmp_path)
    options = {"--rules": "tried.yaml", "--from": "2026-09-21T09:00", "--to": "2026-09-21T10:00", **changes}
    failed = run(
        "backtest", *(word for option in options.items() for word in option), fails=2 if "exist" in said else 1
    )
    assert said in failed.stderr


def test_the_command_without_a_state_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tried.yaml").write_text(STRICTER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    span = ("--from", "2026-09-21T09:00", "--to", "2026-09-21T10:00")
    assert "run `shouwang init`" in run("backtest", "--rules", "tried.yaml", *span, fails=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tried.yaml"]


def test_the_command_ends_when_somebody_cancels_it(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tried.yaml").write_text(STRICTER, encoding="utf-8")
    monkeypatch.setenv("SHOUWANG_STATE", str(stored.settings.state))
    monkeypatch.chdir(tmp_path)
    locks = RoleLocks(stored.settings.state)
    locks.take(["store"])  # as a platform that is busy with others would

    def cancel_it() -> None:
        def cancelled() -> bool:
            with writing(stored.engine) as connection:
                return cancel(connection, 1, "root", stored.clock.now())

        wait_until(cancelled, "a backtest to cancel", 30)

    other = threading.Thread(target=cancel_it)
    other.start()
    span = ("--from", "2026-09-21T09:00", "--to", "2026-09-21T10:00")
    assert "cancelled by root" in run("backtest", "--rules", "tried.yaml", *span, fails=1).stderr
    other.join()
    locks.release()
