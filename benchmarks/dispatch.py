"""Tickets a second, alert to request, a storm with life-safety in it, and the queue's query, on SQLite and PostgreSQL.

`python -m benchmarks.dispatch [--database sqlite|postgresql]` from the root. The storm: 10,000 alerts in 10 s, 500 of
them life-safety over all 50 grids, each with a robot that takes 20 messages a minute at a server of its own process.
A life-safety alert's time runs from when the detection was due until the server took the first message that names it.
"""

import argparse
import json
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from sqlalchemy import Engine, func, insert, select, update

from alerts import event_tables, tables
from alerts.desk import apply_detections
from alerts.town_view import TownView, load_town_view
from benchmarks.dispatch_senders import sending_threads
from benchmarks.dispatch_town import DEVICES, GRIDS, RULES, SITES, Alarm, fill_town
from console.worklist import Filter
from console.worklist import queue as read_queue
from core.clock import MILLISECOND, SECOND, SHANGHAI, ShiftedClock, moment_of
from core.database import open_engine, reading, writing
from core.journal import Offset
from detectors.words import Found
from shouwang.migrate import migrate
from tests.servers import Postgres, files_folder, free_port

ALERTS, LIFE_SAFETY, SPREAD = 10_000, 500, 10 * SECOND
STEADY, STEADY_RATE = 400, 20
TICKETS, OPEN_TICKETS, QUERIES = 2_000, 10_000, 50
_BATCH, _PATIENCE_S = 64, 90
_ROBOT = Path(__file__).parents[1] / "tests" / "fakes" / "wecom_robot.py"
_NOTICE = re.compile(r"通知 (\d+)")
_MONDAY_TEN = moment_of(datetime(2026, 9, 21, 10, tzinfo=SHANGHAI))


_CLOCK = ShiftedClock.starting_at(_MONDAY_TEN)  # the hour decides who is told


class Desk:
    """Applies what came in since, as the safety consumer does: all that waits, so many at once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.waiting: queue.SimpleQueue[Alarm | None] = queue.SimpleQueue()
        self.done = 0
        with reading(engine) as connection:
            self._town: TownView = load_town_view(connection)

    def run(self) -> None:
        """Until it is told None."""
        ended = False
        while not ended:
            came = [self.waiting.get()]
            while len(came) < _BATCH and not self.waiting.empty():
                came.append(self.waiting.get())
            ended = None in came
            self.apply([alarm for alarm in came if alarm])

    def apply(self, alarms: Sequence[Alarm]) -> None:
        """One transaction."""
        if not alarms:
            return
        now = _CLOCK.now()
        found = [
            Found(Offset(0, self.done + place + 1), now, alarm.detection(now)) for place, alarm in enumerate(alarms)
        ]
        self.done += len(alarms)
        with writing(self.engine) as connection:
            apply_detections(connection, self._town, RULES, "safety", found, found[-1].offset, now)


def tickets_per_s(engine: Engine) -> tuple[float, float]:
    """Tickets a second, each of an alert of its own, from detections in tens; and its ratio to bare inserts."""
    desk = Desk(engine)
    alarms = [Alarm(0, f"D-{number}", rule) for rule in ("gas", "noise") for number in range(SITES)][:TICKETS]
    began = time.monotonic()
    for start in range(0, len(alarms), 10):
        desk.apply(alarms[start : start + 10])
    took = time.monotonic() - began
    with reading(engine) as connection:
        made = connection.execute(select(func.count()).select_from(tables.ticket)).scalar_one()
    return made / took, made / took / _bare_inserts(engine)


def _bare_inserts(engine: Engine) -> float:
    """Rows a second that are inserted into the event table, ten a transaction."""
    rows, began = 2_000, time.monotonic()
    for start in range(0, rows, 10):
        with writing(engine) as connection:
            made = [
                {"id": -1 - start - n, "at": 0, "kind": "alert", "id_of": n, "what": {"action": "bench"}}
                for n in range(10)
            ]
            for row in made:
                connection.execute(insert(event_tables.change), row)
    return rows / (time.monotonic() - began)


@contextmanager
def robot_server(folder: Path) -> Iterator[tuple[str, Path]]:
    """A strict robot's server as a process of its own; its URL and the log of what it took."""
    port, log = free_port(), folder / "messages.jsonl"
    command = [sys.executable, str(_ROBOT), "--port", str(port), "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()


@contextmanager
def senders(engine: Engine, url: str) -> Iterator[None]:
    """The dispatch role at work: threads of this process on SQLite, on PostgreSQL a process as in service."""
    if engine.dialect.name != "postgresql":
        with sending_threads(engine, url, _CLOCK):
            yield
        return
    database = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.dispatch_senders", database, url, str(_CLOCK.shift)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


def storm_alarms(seed: int = 7) -> list[Alarm]:
    """Life-safety over all grids in turn, the rest anywhere, in random order and evenly spread over the time."""
    chance = random.Random(seed)
    devices = list(range(DEVICES))
    chance.shuffle(devices)
    of_grid = [[number for number in devices if number % SITES % GRIDS == grid] for grid in range(GRIDS)]
    grave = [(of_grid[number % GRIDS].pop(), "gas") for number in range(LIFE_SAFETY)]
    devices = [number for left in of_grid for number in left]
    chance.shuffle(devices)
    kinds = grave + [(number, "noise") for number in devices[: ALERTS - LIFE_SAFETY]]
    chance.shuffle(kinds)
    return [Alarm(place * SPREAD // ALERTS, f"D-{device}", rule) for place, (device, rule) in enumerate(kinds)]


class Played(NamedTuple):
    """When each device's alarm was due (µs), and when a message first named it; what writing it all took, in s."""

    due: dict[str, int]
    named: dict[str, int]
    applied: float
    bare: float

    def took(self, devices: Iterable[str]) -> list[float]:
        """s from an alarm's due time until the provider took the first request that names it."""
        return [(self.named[each] - self.due[each]) / SECOND for each in devices if each in self.named]


def play(engine: Engine, folder: Path, alarms: Sequence[Alarm], grave: int) -> Played:
    """Let alarms come when they are due, with all senders at work, until `grave` dangers to life are named."""
    desk = Desk(engine)
    due: dict[str, int] = {}
    folder = Path(tempfile.mkdtemp(dir=folder))  # the server's log is this play's alone
    with robot_server(folder) as (url, log), senders(engine, url):
        bare = _bare_sending(engine, url)
        working = threading.Thread(target=desk.run)
        working.start()
        began = _CLOCK.now() + SECOND
        for alarm in alarms:
            due[alarm.device] = began + alarm.after
            while (wait := due[alarm.device] - _CLOCK.now()) > 0:
                time.sleep(wait / SECOND)
            desk.waiting.put(alarm)
        desk.waiting.put(None)
        working.join()
        applied = (_CLOCK.now() - began) / SECOND
        return Played(due, _named(engine, log, grave), applied, bare)


def steady(engine: Engine, folder: Path) -> dict[str, Any]:
    """On a busy hour's worst minute: danger to life at each grid in turn, twenty a second."""
    alarms = [Alarm(n * SECOND // STEADY_RATE, f"D-{n}", "gas") for n in range(STEADY)]
    played = play(engine, folder, alarms, STEADY)
    took = played.took(played.due)
    p99 = float(np.percentile(took, 99))
    return {
        "alert_to_request_p99_s": round(p99, 3),
        "alert_to_request_p50_s": round(float(np.percentile(took, 50)), 3),
        "alert_to_bare_sending": round(p99 / played.bare, 1),
    }


def storm(engine: Engine, folder: Path) -> dict[str, Any]:
    """How long until a life-safety alert is named, at p99, and how many alerts nobody named or that are lost."""
    alarms = storm_alarms()
    played = play(engine, folder, alarms, LIFE_SAFETY)
    grave = {alarm.device for alarm in alarms if alarm.rule == "gas"}
    with reading(engine) as connection:
        kept = connection.execute(select(func.count()).select_from(tables.alert)).scalar_one()
        states = connection.execute(select(tables.notice.c.state, func.count()).group_by(tables.notice.c.state)).all()
        made = connection.execute(select(func.count()).select_from(tables.ticket)).scalar_one()
    p50, p99 = (float(np.percentile(played.took(grave), p)) for p in (50, 99))
    return {
        "storm_life_safety_p99_s": round(p99, 3),
        "storm_life_safety_p50_s": round(p50, 3),
        "storm_to_bare_sending": round(p99 / played.bare, 1),
        "storm_dropped": ALERTS - kept + len(grave - played.named.keys()),
        "storm_applied_s": round(played.applied, 1),
        "storm_tickets": made,
        "storm_notices": dict(tuple(row) for row in states),
    }


def _bare_sending(engine: Engine, url: str) -> float:
    """p99 of one committed row and one request to the server, by themselves, in s: what the storm is compared with."""
    took = []
    with httpx.Client(limits=httpx.Limits(max_keepalive_connections=0)) as client:
        for number in range(100):
            began = time.monotonic()
            with writing(engine) as connection:
                row = {"id": -1 - number, "at": 0, "kind": "alert", "id_of": 0, "what": {}}
                connection.execute(insert(event_tables.change), row)
            message = {"msgtype": "text", "text": {"content": "bench"}}
            client.post(f"{url}/cgi-bin/webhook/send", params={"key": f"bench-{number}"}, json=message)
            took.append(time.monotonic() - began)
    return float(np.percentile(took, 99))


def _named(engine: Engine, log: Path, grave: int) -> dict[str, int]:
    """When the first message named each device's life-safety alert; waits for those that are missing."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        taken: dict[int, int] = {}
        for line in log.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            for number in _NOTICE.findall(message["content"]):
                taken.setdefault(int(number), message["time"] + _CLOCK.shift)
        joined = select(tables.notice.c.id, tables.alert.c.subject_id).join(
            tables.alert, tables.alert.c.id == tables.notice.c.alert
        )
        with reading(engine) as connection:
            found = connection.execute(joined.where(tables.alert.c.life_safety, tables.notice.c.channel == "robot"))
            told = [(row.subject_id, taken[row.id]) for row in found if row.id in taken]
        named: dict[str, int] = {}
        for device, at in told:
            named[device] = min(at, named.get(device, at))
        if len(named) >= grave or time.monotonic() > until:
            return named
        time.sleep(0.5)


def queue_query_ms(engine: Engine) -> tuple[float, float]:
    """The slowest of ten of the queue's first page with 10,000 open tickets, ms; and its ratio to a count of them."""
    with writing(engine) as connection:
        row = connection.execute(select(tables.ticket).limit(1)).mappings().one()
        kept = {name: value for name, value in row.items() if name not in ("id", "number", "queue_by")}
        have = connection.execute(select(func.count()).select_from(tables.ticket)).scalar_one()
        more = [{**kept, "number": f"B{n}", "done_by": kept["done_by"] + n} for n in range(OPEN_TICKETS - have)]
        connection.execute(insert(tables.ticket), more)
        connection.execute(update(tables.ticket).values(status="dispatched"))
    asked, counted = [], []
    with reading(engine) as connection:
        for _ in range(QUERIES):
            began = time.monotonic()
            assert len(read_queue(connection, Filter())) > 0
            asked.append(time.monotonic() - began)
            began = time.monotonic()
            connection.execute(select(func.count()).select_from(tables.ticket)).scalar_one()
            counted.append(time.monotonic() - began)
    slow, base = (float(np.percentile(took, 90)) * SECOND / MILLISECOND for took in (asked, counted))
    return slow, slow / base


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Iterator[Engine]]:
    """Fresh databases with a town, one after the other."""
    server = Postgres.installed() if kind == "postgresql" else None
    if server:
        server.start()

    def fresh() -> Iterator[Engine]:
        for number in range(9):
            url = server.url(server.create()) if server else f"sqlite:///{folder / f'{number}.db'}"
            engine = open_engine(url)
            migrate(engine)
            with writing(engine) as connection:
                fill_town(connection)
            yield engine
            engine.dispose()

    try:
        yield fresh()
    finally:
        if server:
            server.stop()


def measure(kind: str) -> dict[str, Any]:
    """All four on one kind of database."""
    folder = Path(tempfile.mkdtemp(prefix="sw-dispatch-", dir=files_folder()))
    try:
        with databases(kind, folder) as fresh:
            rate, rate_ratio = tickets_per_s(next(fresh))
            timely = steady(next(fresh), folder)
            stormed = next(fresh)
            told = storm(stormed, folder)
            asked, asked_ratio = queue_query_ms(stormed)
    finally:
        shutil.rmtree(folder)
    return {
        "database": kind,
        "tickets_per_s": round(rate, 1),
        "tickets_to_bare_inserts": round(rate_ratio, 4),
        **timely,
        **told,
        "queue_query_ms": round(asked, 2),
        "queue_to_count": round(asked_ratio, 2),
    }


def main() -> None:
    """Print one JSON line for each database, and one with the worse of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    only = parser.parse_args().database
    measured = [measure(kind) for kind in ("sqlite", "postgresql") if only in (None, kind)]
    for each in measured:
        print(json.dumps({"benchmark": "dispatch", **each}, ensure_ascii=False), flush=True)
    if len(measured) > 1:
        worst = {
            "tickets_per_s": min,
            "alert_to_request_p99_s": max,
            "storm_life_safety_p99_s": max,
            "storm_dropped": max,
            "queue_query_ms": max,
        }
        print(
            json.dumps(
                {"benchmark": "dispatch", **{name: of(each[name] for each in measured) for name, of in worst.items()}}
            )
        )


if __name__ == "__main__":
    main()
