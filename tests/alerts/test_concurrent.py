"""Detectors, consoles and senders at once: nobody waits for ever, nothing is lost, ids go up without a gap."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from threading import Event

from sqlalchemy import Connection, Engine, event

from alerts import event_tables
from alerts.changes import changes_after
from alerts.channels import Outcome
from alerts.claims import claim, record, take_over
from alerts.desk import apply_detections
from alerts.moves import MoveRefused
from alerts.notices import acknowledge
from alerts.sender import Sender
from alerts.unsent import expire, refuse_unknown
from core.clock import HOUR, SECOND
from core.database import reading, writing
from detectors.words import Change, Severity
from tests.alerts.desk_scene import RULES, Scene
from tests.alerts.notices.notice_rows import NOW, ScriptedChannel, owner, queue, to_person, to_robot

ROUNDS = 12
ORDER = ("notice", "delivery", "change_counter", "change")
"""In which order a transaction that holds no desk may change tables, and the desk at its end."""


@contextmanager
def writes(engine: Engine) -> Iterator[list[str]]:
    """The tables that statements change, in order."""
    changed: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        words = statement.split()
        if words[0] in ("UPDATE", "INSERT", "DELETE"):
            changed.append(words[1 if words[0] == "UPDATE" else 2].strip('"'))

    event.listen(engine, "before_cursor_execute", hear)
    yield changed
    event.remove(engine, "before_cursor_execute", hear)


def test_every_transaction_about_notices_changes_tables_in_one_order(engine: Engine) -> None:
    ticket = queue(engine, to_robot(), to_person("P-01"), to_person("P-02"), to_person("P-09", "pigeon"))
    channels = {"robot": ScriptedChannel(), "phone": ScriptedChannel("phone")}

    def robbed(connection: Connection) -> None:
        later = NOW + HOUR // 2
        take_over(connection, channels, owner(pid=99, host="other"), later, alive=(), keep=None)

    with writing(engine) as connection:
        taken = [claim(connection, channels, owner(), NOW, link_key=b"key") for _ in range(2)]
    assert all(taken)
    steps: list[Callable[[Connection], object]] = [
        lambda connection: record(connection, taken[0], Outcome("failed", "93000"), NOW),  # type: ignore[arg-type]
        robbed,
        lambda connection: acknowledge(connection, ticket, "P-01", NOW),
        lambda connection: refuse_unknown(connection, ["robot", "phone"], NOW),
        lambda connection: expire(connection, NOW + HOUR),
    ]
    for step in steps:
        with writing(engine) as connection, writes(engine) as changed:
            step(connection)
        assert changed
        assert changed == sorted(changed, key=ORDER.index)


def test_the_desk_takes_the_counter_last(scene: Scene) -> None:
    scene.detect("PLANT-1")
    with writes(scene.engine) as changed:
        scene.detect("PLANT-1", Change.UPDATED, severity=Severity.CRITICAL)
    assert changed[-2:] == ["change_counter", "change"]
    assert changed.count("change_counter") == 1
    with writes(scene.engine) as changed:
        scene.move("accept", "G17-01")
    assert changed[-2:] == ["change_counter", "change"]
    assert changed.count("change_counter") == 1


def test_detectors_consoles_and_senders_at_once(scene: Scene) -> None:
    devices = {"safety": ["PLANT-1", "FAR-1"], "anomaly": ["PLANT-2", "ROAD-1"]}
    rounds = {
        consumer: [
            scene.found(*(scene.detection(code, change, onset=turn) for code in codes))
            for turn in range(ROUNDS)
            for change in (Change.OPENED, Change.CLEARED)
        ]
        for consumer, codes in devices.items()
    }
    seen = [0]
    over = Event()

    def detect(consumer: str) -> None:
        for found in rounds[consumer]:
            with writing(scene.engine) as connection:
                now, upto = scene.clock.now(), found[-1].offset
                apply_detections(connection, scene.town, RULES, consumer, found, upto, now)

    def walk() -> None:
        for turn in range(ROUNDS * 4):
            for action, who in (("accept", "G17-01"), ("arrive", "G17-01"), ("handle", "G17-01"), ("check", "DISP-1")):
                with suppress(MoveRefused):
                    scene.move(action, who, 1 + turn % 3)

    def send(name: str) -> None:
        sender = Sender(scene.engine, [ScriptedChannel("phone")], scene.clock, owner(thread=name))
        for turn in range(ROUNDS * 4):
            sender.step(scene.clock.now() + turn * SECOND)

    def follow() -> None:
        while not over.is_set():
            with reading(scene.engine) as connection:
                seen.extend(change.id for change in changes_after(connection, seen[-1], 50))

    with ThreadPoolExecutor(6) as pool:
        page = pool.submit(follow)
        work = [pool.submit(detect, consumer) for consumer in rounds]
        work += [pool.submit(walk), pool.submit(send, "a"), pool.submit(send, "b")]
        for each in wait(work).done:
            over.set()
            each.result()
        page.result()

    ids = [row["id"] for row in scene.rows(event_tables.change)]
    assert ids == list(range(1, len(ids) + 1))
    assert seen == list(range(len(seen)))
    assert len(scene.alerts) == 4 * ROUNDS
