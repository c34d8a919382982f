"""The real process, killed at random moments between a real Mosquitto and a strict robot, held to what is promised.

No reading is lost and each stands once; no alert or ticket is lost or doubled; no notice is missing, and none is sent
twice but those recorded as uncertain.
"""

import json
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from core.clock import MILLISECOND
from tests.e2e.town_under_fire import ROOT, PlatformProcess, Publisher, make_town
from tests.servers import accepts, free_port, wait_until

KILLS = 20
_NOTICE = re.compile(r"通知 (\d+)")


@pytest.fixture
def robot(tmp_path):
    """The robot as a process of its own; it does not deduplicate, because the real one doesn't."""
    port, log = free_port(), tmp_path / "robot.jsonl"
    fake = str(ROOT / "tests" / "fakes" / "wecom_robot.py")
    command = [sys.executable, fake, "--port", str(port), "--log", str(log), "--limit", "1000"]
    process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    wait_until(lambda: accepts(port), "the robot")
    yield port, log
    process.terminate()
    process.wait(10)


def rows(state: Path, statement: str) -> list[tuple]:
    with sqlite3.connect(f"file:{state / 'shouwang.db'}?mode=ro", uri=True) as connection:
        return connection.execute(statement).fetchall()


def settled(state: Path, leaks: int) -> bool:
    """Every leak has its alert, every alert is over, and every notice of a gas ticket has come to its end."""
    if rows(state, "SELECT count(*) FROM alert WHERE rule = 'gas.leak' AND state = 'closed'")[0][0] < leaks:
        return False
    open_notices = (
        "SELECT count(*) FROM notice JOIN ticket ON ticket.id = notice.ticket WHERE ticket.hazard = 'gas' AND "
        "(notice.state IN ('queued', 'sending') OR notice.state = 'uncertain' AND notice.claimed_by IS NOT NULL)"
    )
    return not rows(state, open_notices)[0][0]


@pytest.mark.timeout(400)
def test_killed_twenty_times_and_nothing_is_lost_or_doubled(mosquitto, robot, tmp_path, record_property):
    seed = random.SystemRandom().randrange(10**6)
    record_property("seed", seed)
    chance, state = random.Random(seed), tmp_path / "state"
    robot_port, robot_log = robot
    leaking, quiet = make_town(state)
    broker = mosquitto()
    platform = PlatformProcess(state, broker.port, robot_port)
    platform.start()  # its session must stand before anything is published
    wait_until(lambda: b"subscribed" in (state / "run.log").read_bytes(), "the first subscription", 60)
    publisher = Publisher(broker.port, leaking, quiet)
    publisher.start()
    time.sleep(chance.uniform(1, 4))
    platform.kill()
    for _ in range(KILLS - 1):
        platform.live_and_die(chance)
    platform.start()
    publisher.stop()
    wait_until(lambda: settled(state, len(publisher.leaks)), "the end of every alert and notice", 120)
    wait_until_journal_is_read(state)
    assert platform.stop() < 10
    readings_stand_once(state, publisher)
    alerts_and_tickets_stand_once(state, publisher)
    notices_are_accounted_for(state, robot_log)


def wait_until_journal_is_read(state: Path) -> None:
    """Until the store has acknowledged all but the newest seconds' records."""

    def behind() -> int:
        with sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True) as journal:
            statement = (
                "SELECT (SELECT max(n) FROM record WHERE kind = 1) - (SELECT n FROM consumer WHERE name = 'store')"
            )
            return journal.execute(statement).fetchone()[0]

    wait_until(lambda: behind() <= 0, "the store's consumer", 60)


def readings_stand_once(state: Path, publisher: Publisher) -> None:
    numbers = dict(rows(state, "SELECT number, device FROM series WHERE metric = 'gas_lel'"))
    with duckdb.connect(str(state / "readings.duckdb"), read_only=True) as store:
        stored = store.execute('SELECT series, "at", value FROM reading').fetchall()
    found = {(numbers[series], at // MILLISECOND): value for series, at, value in stored}
    assert len(found) == len(stored), "a reading stands twice"
    assert found == publisher.taken


def alerts_and_tickets_stand_once(state: Path, publisher: Publisher) -> None:
    alerts = rows(state, "SELECT subject_id, onset, ticket, paged, state FROM alert WHERE rule = 'gas.leak'")
    assert len(publisher.leaks) > 12, "the publisher made too few leaks"
    assert Counter((code, onset // MILLISECOND) for code, onset, *_ in alerts) == Counter(publisher.leaks)
    assert all(paged and state == "closed" for *_, paged, state in alerts)
    tickets = {number for (number,) in rows(state, "SELECT id FROM ticket WHERE hazard = 'gas'")}
    assert {ticket for _, _, ticket, *_ in alerts} == tickets, "a ticket without an alert, or an alert without a ticket"
    numbers = [number for (number,) in rows(state, "SELECT number FROM ticket ORDER BY id")]
    assert [int(number.split("-")[1]) for number in numbers] == list(range(1, len(numbers) + 1)), "a number is missing"
    logged = rows(state, "SELECT ticket, count(*) FROM ticket_log WHERE to_status = 'dispatched' GROUP BY ticket")
    assert tickets <= {ticket for ticket, _ in logged}
    changes = [number for (number,) in rows(state, "SELECT id FROM change ORDER BY id")]
    assert changes == list(range(1, len(changes) + 1)), "a page that resumes would miss a change"


def notices_are_accounted_for(state: Path, robot_log: Path) -> None:
    arrived = Counter(int(_NOTICE.search(line)[1]) for line in robot_log.read_text().splitlines() if json.loads(line))
    known = dict(rows(state, "SELECT id, state FROM notice"))
    assert arrived.keys() <= known.keys(), "the robot heard of a notice that nobody recorded"
    for number, status in known.items():
        if status in ("accepted", "acknowledged"):
            assert arrived[number] >= 1, f"notice {number} is recorded as accepted and never arrived"
    uncertain = {n for (n,) in rows(state, "SELECT DISTINCT notice FROM delivery WHERE outcome = 'uncertain'")}
    doubled = {number for number, count in arrived.items() if count > 1}
    assert doubled <= uncertain, "sent twice without being recorded as uncertain"
    assert max(arrived.values()) <= 2
    assert len(uncertain) <= KILLS, "more than one uncertain notice a kill"
    told = {alert for (alert,) in rows(state, "SELECT DISTINCT alert FROM notice")}
    leaks = {alert for (alert,) in rows(state, "SELECT id FROM alert WHERE rule = 'gas.leak'")}
    assert leaks <= told, "an alert of which nobody was told"
