"""SIGKILL at each point between a claim and its record: what may have arrived is uncertain, what is recorded is not."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, select, update

from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.hushing import drop_waiting
from alerts.notices import acknowledge
from alerts.owners import LEASE, this_process
from alerts.sender import Sender
from alerts.tables import notice, person
from core.clock import SECOND, SystemClock
from core.database import open_engine, writing
from tests.alerts.notices.notice_rows import deliveries, notices, owner, queue, to_robot
from tests.fakes.wecom_robot import WecomRobot as FakeRobot

_ROOT = Path(__file__).parents[3]
_PROCESS = """
import os, signal, sys
from sqlalchemy import event
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.owners import this_process
from alerts.sender import Sender
from core.clock import SystemClock
from core.database import open_engine

url, robot, point = sys.argv[1:]
clock, engine, sent = SystemClock(), open_engine(url), []

def die_at(here):
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)

class Watched(WecomRobot):
    def send(self, notice):
        die_at("claimed")
        outcome = super().send(notice)
        sent.append(outcome)
        die_at("answered")
        return outcome

@event.listens_for(engine, "commit")
def committing(_):
    if sent:
        die_at("before the commit of the result")

me = this_process("dispatch", clock.now())
sender = Sender(engine, [Watched("robot", open_client(), "http://c", robot)], clock, me)
while not sender.step(clock.now()):
    pass
die_at("recorded")
"""


class _Left(NamedTuple):
    """What a kill at a point leaves: messages that arrived then, states, and those after a successor's turns."""

    arrived: int
    outcomes: list[str]
    grave: tuple[int, str]
    other: tuple[int, str]


_POINTS = {
    "claimed": _Left(0, ["sending"], (1, "accepted"), (0, "uncertain")),
    "answered": _Left(1, ["sending"], (2, "accepted"), (1, "uncertain")),
    "before the commit of the result": _Left(1, ["sending"], (2, "accepted"), (1, "uncertain")),
    "recorded": _Left(1, ["accepted"], (1, "accepted"), (1, "accepted")),
}


@pytest.mark.parametrize("life_safety", [True, False], ids=["grave", "other"])
@pytest.mark.parametrize("point", _POINTS)
def test_what_a_kill_there_leaves(engine: Engine, database_url: str, point: str, life_safety: bool) -> None:
    left, now = _POINTS[point], SystemClock().now()
    queue(engine, to_robot(), now=now, due_at=now, life_safety=life_safety, severity=4 if life_safety else 3)
    with FakeRobot() as robot:
        assert _run(database_url, robot.url, point) == -signal.SIGKILL
        assert len(robot.messages) == left.arrived
        assert [tried.outcome for tried in deliveries(engine)] == left.outcomes
        _successor(database_url, robot.url)
        arrived, state = left.grave if life_safety else left.other
        assert len(robot.messages) == arrived
    (row,) = notices(engine)
    lost = left.outcomes == ["sending"]
    assert (row.state, row.repeated) == (state, lost and life_safety)
    assert [tried.outcome for tried in deliveries(engine)] == [
        "uncertain" if lost else "accepted",
        *(["accepted"] if lost and life_safety else []),
    ]


def _run(url: str, robot: str, point: str) -> int:
    command = [sys.executable, "-c", _PROCESS, url, robot, point]
    return subprocess.run(command, cwd=_ROOT, timeout=60, check=False).returncode


def _successor(url: str, robot: str) -> None:
    """Another sender takes over whatever is left."""
    clock, engine = SystemClock(), open_engine(url)
    sender = Sender(
        engine, [WecomRobot("robot", open_client(), "http://c", robot)], clock, this_process("dispatch", clock.now())
    )
    for _ in range(3):
        sender.step(clock.now())
    engine.dispose()


@pytest.mark.parametrize("how", ["accepted", "hushed"])
def test_what_was_settled_while_a_sender_died_with_it_ends_with_its_lease(
    engine: Engine, database_url: str, how: str
) -> None:
    clock = SystemClock()
    now = clock.now()
    queue(engine, to_robot(), now=now, due_at=now, life_safety=True, severity=4)
    with FakeRobot() as robot:
        assert _run(database_url, robot.url, "answered") == -signal.SIGKILL
        with writing(engine) as connection:
            if how == "accepted":
                connection.execute(update(person).values(team="T-01"))
                member = connection.execute(select(person.c.code)).scalars().first()
                about = connection.execute(select(notice.c.ticket)).scalar_one()
                assert acknowledge(connection, about, str(member), now) == 1
            else:
                assert drop_waiting(connection, now) == 1
        successor = Sender(engine, [WecomRobot("robot", open_client(), "http://c", robot.url)], clock, owner(pid=2))
        successor.recover(now + LEASE - SECOND)
        assert [tried.outcome for tried in deliveries(engine)] == ["sending"]
        successor.recover(now + LEASE + SECOND * 5)
    (tried,) = deliveries(engine)
    assert (tried.outcome, tried.code) == ("uncertain", "lease_over")
    assert tried.finished_at
