"""The whole platform, put together by the wiring, with a real broker, real files and gateways that publish to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from core.clock import HOUR, MILLISECOND, MINUTE, SECOND, ManualClock, ShiftedClock
from core.database import reading, writing
from core.journal import Entry, RecordKind
from core.lifecycle import PartFailed
from devices.credentials import issue_password
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol, set_state
from ingest.dead_letter_writer import ask_for_replay
from ingest.dead_letters import DeadLetter, list_dead_letters
from ingest.words import Block, Lost, Quality
from shouwang.settings import ROLES, ConsoleSettings
from shouwang.wiring import Platform, build
from tests.servers import wait_until
from tests.shouwang.small_platform import (
    controls,
    follow_registry,
    found_town,
    gateway,
    measure,
    opens,
    records,
    rows,
    running,
    small_settings,
    values,
    workday,
)

pytestmark = pytest.mark.long

WORKERS = (
    "pipeline",
    "safety",
    "store",
    "console",
    "housekeeping",
    "replays",
    "dead letters",
    "channel phone",
    "broker",
)
ALERTS = "SELECT subject_id, rule, state FROM alert ORDER BY id"
LEAK = ("GAS-1", "gas.leak", "open")


class Town:
    """A state folder with its settings, the gateways' passwords and a clock that starts at ten in the morning."""

    def __init__(self, folder: Path) -> None:
        self.clock: ShiftedClock = workday(10)
        self.settings = small_settings(folder)
        self.passwords = found_town(self.settings, self.clock)

    def leak(self, device: str = "GAS-1", level: float = 60.0) -> None:
        """The device has measured `level` for six seconds; the dwell of the rule is five."""
        with gateway(self.settings, "GW-1", self.passwords["GW-1"]) as client:
            now = self.clock.now()
            measure(client, device, level, now - 6 * SECOND)
            measure(client, device, level, now)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Platform]]:
    """One platform that runs for several tests; each has its own device or gateway."""
    town = Town(tmp_path_factory.mktemp("standing"))
    with running(town.settings, town.clock) as platform:
        yield town, platform


def until_alert(platform: Platform, state: str = "open") -> None:
    wait_until(lambda: rows(platform, ALERTS) == [(*LEAK[:2], state)], f"the alert {state}", 20)


def one_tick(platform: Platform) -> None:
    """Let detection see a tick that is still to come."""
    watch, until = platform.watch, platform.clock.now() + SECOND
    assert watch
    wait_until(lambda: watch.reached >= until, "a tick", 20)


def test_a_reading_goes_the_whole_way_to_a_phone(standing: tuple[Town, Platform]) -> None:
    town, platform = standing
    town.leak()
    wait_until(lambda: values(platform) == [60.0, 60.0], "the readings in the store", 20)
    until_alert(platform)
    ((number, status, team, station),) = rows(platform, "SELECT number, status, team, station FROM ticket")
    assert (status, team, station) == ("dispatched", "T-G02", "S1")
    wait_until(lambda: bool(rows(platform, "SELECT 1 FROM phone_message")), "the message on the phone", 20)
    ((person, message),) = rows(platform, "SELECT person, text FROM phone_message")
    assert person == "G02-01"
    assert "可燃气体" in message
    assert number.startswith("20260921")
    assert rows(platform, "SELECT state FROM notice") == [("accepted",)]
    hops = [platform.metrics.latencies[hop].percentiles()["p99"] for hop in ("journal", "alert", "ticket")]
    assert all(hop is not None for hop in hops)


def test_only_a_gateways_own_password_opens_and_a_new_one_ends_it(standing: tuple[Town, Platform]) -> None:
    town, platform = standing
    old = town.passwords["GW-2"]
    for code, password in (("GW-1", old), ("GW-2", ""), ("GW-9", ""), ("platform", old)):
        assert not opens(town.settings, code, password)
    assert opens(town.settings, "GW-2", old)
    with writing(platform.engine) as connection:
        town.passwords["GW-2"] = issue_password(connection, "GW-2")
    follow_registry(platform)
    wait_until(lambda: not opens(town.settings, "GW-2", old), "the end of the old password", 20)
    assert opens(town.settings, "GW-2", town.passwords["GW-2"])


def the_letter(platform: Platform, code: str) -> DeadLetter:
    """The only dead letter of this gateway, once it is there."""

    def letters() -> list[DeadLetter]:
        with reading(platform.engine) as connection:
            return list_dead_letters(connection, code)

    wait_until(lambda: letters() != [], "the dead letter", 20)
    (letter,) = letters()
    return letter


def test_nobody_publishes_in_anothers_name(standing: tuple[Town, Platform]) -> None:
    town, platform = standing
    with gateway(town.settings, "GW-2", town.passwords["GW-2"]) as client:
        measure(client, "GAS-1", 99.0, town.clock.now(), gateway="GW-1")
        measure(client, "GAS-1", 99.0, town.clock.now(), gateway="GW-2")
    assert the_letter(platform, "GW-2").reason == "foreign_device"
    blocks = [Block.from_bytes(record.payload) for record in records(platform) if record.kind is RecordKind.BLOCK]
    assert not [block for block in blocks if 99.0 in block.value]


def test_a_restart_goes_on_where_it_was(town: Town) -> None:
    with running(town.settings, town.clock) as first:
        town.leak()
        until_alert(first)
        wait_until(lambda: rows(first, "SELECT state FROM notice") == [("accepted",)], "the notice", 20)
    town.clock.shift += HOUR
    with running(town.settings, town.clock) as second:
        one_tick(second)
        town.leak()
        one_tick(second)
        assert rows(second, ALERTS) == [LEAK], "neither twice nor silent after an hour of our own downtime"
        assert rows(second, "SELECT count(*) FROM notice WHERE cause = 'dispatched'") == [(1,)]
        assert rows(second, "SELECT DISTINCT cause FROM notice WHERE cause <> 'dispatched'") == [("not_accepted",)]
        town.leak(level=2.0)
        until_alert(second, "closed")
        wait_until(lambda: sorted(values(second)) == [2.0] * 2 + [60.0] * 4, "the readings in the store", 20)


def test_after_a_kill_the_outage_began_at_the_last_tick(town: Town) -> None:
    last_tick = town.clock.now() + 10 * SECOND
    killed = build(town.settings, ManualClock(town.clock.now()), ())
    killed.journal.append([Entry(RecordKind.TICK, b"")], last_tick)
    killed.lifecycle.start()
    killed.lifecycle.stop()
    town.clock.shift += 30 * MINUTE
    with running(town.settings, town.clock) as platform:
        (lost,) = [control for control in controls(platform) if isinstance(control, Lost)]
        assert lost.at == last_tick
        town.leak()
        measured_while_down(town, platform)


def measured_while_down(town: Town, platform: Platform) -> None:
    """A reading of the outage's middle is not late: we were away, not the gateway."""
    with gateway(town.settings, "GW-1", town.passwords["GW-1"]) as client:
        measure(client, "GAS-1", 1.0, town.clock.now() - 15 * MINUTE)
    wait_until(lambda: len(values(platform)) == 3, "the reading of the outage", 20)
    blocks = [Block.from_bytes(record.payload) for record in records(platform) if record.kind is RecordKind.BLOCK]
    (quality,) = [quality for block in blocks for quality in block.quality[block.value == 1.0]]
    assert not int(quality) & Quality.AGED


def test_damaged_snapshots_are_made_up_from_the_journal(town: Town) -> None:
    with running(town.settings, town.clock) as first:
        town.leak()
        until_alert(first)
    for name in ("gate.snapshot", "safety.snapshot"):
        (town.settings.state / name).write_bytes(b"damaged")
    with running(town.settings, town.clock) as second:
        town.leak(level=2.0)
        until_alert(second, "closed")


def test_a_journal_that_was_moved_away_is_begun_anew_and_nothing_new_is_taken_for_old(town: Town) -> None:
    with running(town.settings, town.clock) as first:
        town.leak(level=2.0)
        wait_until(lambda: values(first) == [2.0, 2.0], "the readings in the store", 20)
    for file in town.settings.state.glob("journal.db*"):
        file.unlink()
    with running(town.settings, town.clock) as second:
        town.leak()
        until_alert(second)
        wait_until(lambda: sorted(values(second)) == [2.0, 2.0, 60.0, 60.0], "the new readings in the store", 20)


def enrol_gas(platform: Platform, code: str) -> None:
    """A gas detector more at GW-1, in service at once."""
    with writing(platform.engine) as connection:
        enrol(connection, load_device_types(), [NewDevice(code, "gas", "GW-1", "EN-1", state="in_service")])
    follow_registry(platform)


def test_maintenance_pages_nobody(standing: tuple[Town, Platform]) -> None:
    town, platform = standing
    now = town.clock.now()
    enrol_gas(platform, "GAS-3")
    with writing(platform.engine) as connection:
        set_state(connection, "GAS-3", "maintenance", now + HOUR, now)
    follow_registry(platform)
    one_tick(platform)
    town.leak("GAS-3")
    wait_until(lambda: len(values(platform, "GAS-3")) == 2, "the readings in the store", 20)
    one_tick(platform)
    assert rows(platform, "SELECT paged, ticket FROM alert WHERE subject_id = 'GAS-3'") == [(0, None)]


def workers() -> set[threading.Thread]:
    """The threads of platforms that run now."""
    return {thread for thread in threading.enumerate() if thread.name in WORKERS}


def test_it_stops_in_time_while_gateways_publish(town: Town) -> None:
    before = workers()
    platform = build(town.settings, town.clock)
    platform.lifecycle.start()
    assert platform.session
    session = platform.session
    wait_until(lambda: session.connected, "the platform's own session", 20)
    ending = threading.Event()

    def publish() -> None:
        with gateway(town.settings, "GW-1", town.passwords["GW-1"]) as client:
            while not ending.wait(0.001):
                client.publish("sw/v1/GW-1/GAS-1/telemetry", b'{"values":{"gas_lel":1}}', qos=1)

    publisher = threading.Thread(target=publish)
    publisher.start()
    assert platform.web
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.web.port}") as browser:
        assert browser.get("/").status_code in (200, 302, 303, 307)
        wait_until(lambda: len(records(platform)) > 100, "some records", 20)
        began = time.monotonic()
        platform.lifecycle.stop()
        assert time.monotonic() - began < 10
    ending.set()
    publisher.join()
    assert workers() - before == set()


def test_roles_in_two_processes_bring_an_alert_through(town: Town) -> None:
    first, second = ("ingest", "store"), ("detect", "dispatch", "console")
    with running(town.settings, town.clock, first) as taking, running(town.settings, town.clock, second) as acting:
        town.leak()
        until_alert(acting)
        wait_until(lambda: bool(rows(acting, "SELECT 1 FROM phone_message")), "the message on the phone", 20)
        wait_until(lambda: values(taking) == [60.0, 60.0], "the readings in the store", 20)
        assert acting.store is None, "one process owns the store's file"


def test_every_role_stands_in_a_process_of_its_own(town: Town) -> None:
    """Each starts without the others' parts, does its share, and stops without a task that failed."""
    settings = town.settings.model_copy(update={"canary_s": 1.0})
    with ExitStack() as processes:
        role = {one: processes.enter_context(running(settings, town.clock, (one,))) for one in ROLES}
        town.leak()
        until_alert(role["detect"])
        wait_until(lambda: bool(rows(role["dispatch"], "SELECT 1 FROM phone_message")), "the message on the phone", 20)
        wait_until(lambda: values(role["store"]) == [60.0, 60.0], "the readings in the store", 20)
        canary = role["ingest"].canary
        assert canary, "the process that hears the broker sends it"
        wait_until(lambda: (beats := canary.standing()) is not None and not beats.hop, "a beat", 15)
        assert [one for one, platform in role.items() if platform.canary] == ["ingest"]
        failed = [
            (one, sample.labels["task"], sample.value)
            for one, platform in role.items()
            for family in platform.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "shouwang_task_failures_total"
        ]
    assert failed == []


def test_what_was_refused_comes_in_after_enrolment_at_its_own_time(
    standing: tuple[Town, Platform],
) -> None:
    town, platform = standing
    sent_at = town.clock.now()
    with gateway(town.settings, "GW-1", town.passwords["GW-1"]) as client:
        measure(client, "GAS-2", 7.0, sent_at)
    letter = the_letter(platform, "GW-1")
    assert (letter.reason, letter.readings) == ("unknown_device", 1)
    enrol_gas(platform, "GAS-2")
    with writing(platform.engine) as connection:
        assert ask_for_replay(connection, [letter.id], town.clock.now()) == 1
    wait_until(lambda: values(platform, "GAS-2") == [7.0], "the reading in the store", 20)
    blocks = [Block.from_bytes(record.payload) for record in records(platform) if record.kind is RecordKind.BLOCK]
    (at,) = [at for block in blocks for at in block.at[block.value == 7.0]]
    assert at // MILLISECOND == sent_at // MILLISECOND
    wait_until(lambda: the_letter(platform, "GW-1").replayed_at is not None, "the letter's mark", 20)


def test_a_port_that_is_taken_stops_what_had_started(town: Town) -> None:
    before = workers()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        console = ConsoleSettings(port=taken.getsockname()[1])
        platform = build(town.settings.model_copy(update={"console": console}), town.clock)
        with pytest.raises(PartFailed, match="choose another"):
            platform.lifecycle.start()
    assert workers() - before == set()
