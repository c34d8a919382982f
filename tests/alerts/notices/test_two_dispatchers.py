"""Two dispatch processes on one PostgreSQL, one of them killed in the middle of a request, again and again.

No notice is missing, and none arrives twice but those recorded as uncertain; lists become uncertain as a whole.
"""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine, select

from alerts.notices import enqueue
from alerts.tables import delivery, notice
from core.clock import SystemClock
from core.database import open_engine, reading, writing
from tests.alerts.notices.notice_rows import put_alert, put_ticket, put_town, to_robot
from tests.servers import Postgres, accepts, free_port, wait_until

ROOT = Path(__file__).parents[3]
LIMIT, SENDERS, KEYS, EACH = 4, 2, 2, 6
_NOTICE = re.compile(r"通知 (\d+)")
_PROCESS = """
import sys, threading
from alerts.channels import Limit
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.owners import this_process
from alerts.sender import Sender
from core.clock import MINUTE, SystemClock
from core.database import open_engine
from shouwang.senders import sending

url, robot, limit, senders = sys.argv[1:]
clock, engine = SystemClock(), open_engine(url)
started = clock.now()
for place in range(int(senders)):
    channel = WecomRobot("robot", open_client(), "http://c", robot)
    channel.limits = (Limit(int(limit), MINUTE),)
    sender = Sender(engine, [channel], clock, this_process("dispatch", started, f"robot {place}"))
    threading.Thread(target=sending(sender, clock), args=(threading.Event(),)).start()
"""


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A strict robot as a process of its own: it keeps a message, answers slowly, and deduplicates nothing."""
    port, log = free_port(), tmp_path / "robot.jsonl"
    fake = str(ROOT / "tests" / "fakes" / "wecom_robot.py")
    command = [sys.executable, fake, "--port", str(port), "--log", str(log), "--limit", str(LIMIT), "--delay", "0.2"]
    process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    wait_until(lambda: accepts(port), "the robot")
    yield f"http://127.0.0.1:{port}", log
    process.terminate()
    process.wait(10)


@pytest.fixture
def shared(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """The URL of one PostgreSQL database for both processes."""
    name = postgres.create(postgres_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.mark.timeout(300)
def test_one_of_two_killed_three_times(shared: str, robot: tuple[str, Path], record_property: Any) -> None:
    under_fire(3, shared, robot, record_property)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_one_of_two_killed_a_hundred_times(shared: str, robot: tuple[str, Path], record_property: Any) -> None:
    under_fire(100, shared, robot, record_property)


def under_fire(kills: int, url: str, robot: tuple[str, Path], record_property: Any) -> None:
    """Queue, wait until one of the two has a request under way, kill it, start it again; in the end count."""
    chance = random.Random(seed := random.SystemRandom().randrange(10**6))
    record_property("seed", seed)
    engine = open_engine(url)
    with writing(engine) as connection:
        put_town(connection)
    two = [_start(url, robot[0]) for _ in range(2)]
    batches = 0
    try:
        for _ in range(kills):
            victim = chance.randrange(2)
            batches = _wait_for_request(engine, two[victim].pid, batches)
            sleep(chance.random() * 0.2)
            two[victim].kill()
            two[victim].wait(10)
            two[victim] = _start(url, robot[0])
        wait_until(lambda: not _left(engine), "the end of what was queued", 180)
    finally:
        for process in two:
            process.kill()
            process.wait(10)
    record_property("counts", _check(engine, robot[1], kills, batches))
    engine.dispose()


def _start(url: str, robot: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", _PROCESS, url, robot, str(LIMIT), str(SENDERS)]
    return subprocess.Popen(command, cwd=ROOT)


def _wait_for_request(engine: Engine, pid: int, batches: int) -> int:
    """Queue whenever nothing waits, until the process has a request under way; how many batches were queued in all."""
    until = monotonic() + 60
    while not _requests_of(engine, pid):
        assert monotonic() < until, "the process sends nothing"
        if not _waiting(engine):
            _queue(engine, batches)
            batches += 1
        sleep(0.02)
    return batches


def _waiting(engine: Engine) -> bool:
    with reading(engine) as connection:
        return connection.execute(select(notice.c.id).where(notice.c.state == "queued").limit(1)).first() is not None


def _queue(engine: Engine, turn: int) -> None:
    """News of dangers and of others for two robots of their own; who else there is to tell is a step later."""
    now = SystemClock().now()
    with writing(engine) as connection:
        for number in range(KEYS * EACH):
            place = turn * KEYS * EACH + number
            ticket = put_ticket(
                connection, place, dispatched_at=now, severity=4 if number % 2 else 3, life_safety=bool(number % 2)
            )
            alert = put_alert(connection, ticket, subject_id=f"GAS-{place}")
            to = to_robot(f"key-{turn}-{number % KEYS}")
            enqueue(connection, ticket, alert, [to], "dispatched", now, now)


def _requests_of(engine: Engine, pid: int) -> int:
    mine = notice.c.claimed_by.like(f"%:{pid}:%")
    with reading(engine) as connection:
        return len(connection.execute(select(notice.c.id).where(notice.c.state == "sending", mine)).all())


def _left(engine: Engine) -> bool:
    under_way = notice.c.state.in_(("queued", "sending")) | notice.c.claimed_by.is_not(None)
    with reading(engine) as connection:
        return connection.execute(select(notice.c.id).where(under_way).limit(1)).first() is not None


def _check(engine: Engine, log: Path, kills: int, batches: int) -> str:
    arrived: Counter[int] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        arrived.update({int(number) for number in _NOTICE.findall(json.loads(line)["content"])})
    with reading(engine) as connection:
        told = connection.execute(select(notice)).all()
        tries = connection.execute(select(delivery)).all()
    lost = [each for each in tries if each.outcome == "uncertain"]
    assert len(told) == batches * KEYS * EACH
    assert {each.outcome for each in tries} <= {"accepted", "uncertain"}, "over no limit, refused by nobody"
    assert len(lost) <= kills * SENDERS, "more than one message a sender a kill"
    assert lost, "nothing was killed in the middle of a request"
    for each in told:
        assert each.state in ("accepted", "uncertain")
        assert each.state == "uncertain" or arrived[each.id] >= 1, f"notice {each.id} never arrived"
        assert each.state == "accepted" or each.repeated or not each.life_safety, "a danger is repeated once"
        assert arrived[each.id] <= 1 + each.repeated, f"notice {each.id} came again and nothing says so"
    several = sum(each.notices > 1 for each in tries)
    assert several, "no message listed several"
    uncertain = sum(each.state == "uncertain" or each.repeated for each in told)
    return f"{len(told)} notices in {len(tries)} messages, {several} lists, {len(lost)} lost, {uncertain} uncertain"
