"""The worker that sends pictures: drawn in another process, and only where somebody takes them."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, update

from alerts.curves import Curve
from alerts.sender import Sender
from alerts.tables import alert
from core.clock import SECOND, ManualClock
from core.database import writing
from shouwang import picture_work
from shouwang.picture_work import Draughtsman, picturing
from tests.alerts.notices.notice_rows import NOW, ScriptedChannel, owner, queue, to_robot
from tests.alerts.notices.test_picturing import Painter

CURVE = Curve("示例化工0123厂", [NOW - SECOND, NOW], [1.0, 2.0], "%LEL")


@pytest.fixture
def draughtsman() -> Iterator[Draughtsman]:
    made = Draughtsman(threading.Event())
    yield made
    made.close()


class Store:
    """A readings store of one series."""

    def rows(self, series: Any, since: int, until: int) -> Any:
        return SimpleNamespace(at=np.array([NOW - SECOND, NOW]), value=np.array([20.0, 52.0]))


def test_a_process_that_broke_is_replaced(draughtsman: Draughtsman) -> None:
    assert (draughtsman.draw(CURVE, NOW, "zh") or b"").startswith(b"\x89PNG")
    process = draughtsman._process
    assert process is not None
    for each in list(process._processes.values()):
        each.kill()
        each.join()
    assert draughtsman.draw(CURVE, NOW, "zh") is None
    assert draughtsman.draw(CURVE, NOW, "en") is not None


def test_nobody_waits_for_a_picture_when_the_platform_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ending = threading.Event(), threading.Event()

    def submit(*_: object) -> Future[bytes]:
        begun.set()
        return Future()

    slow = SimpleNamespace(submit=submit, shutdown=lambda **_: None)
    monkeypatch.setattr(picture_work, "ProcessPoolExecutor", lambda *_, **__: slow)
    drawn: list[bytes | None] = []
    worker = threading.Thread(target=lambda: drawn.append(Draughtsman(ending).draw(CURVE, NOW, "zh")))
    worker.start()
    assert begun.wait(10)
    assert worker.is_alive()
    ending.set()
    worker.join(10)
    assert drawn == [None]


def test_the_worker_sends_what_it_drew(engine: Engine, clock: ManualClock) -> None:
    channel = Painter()
    queue(engine, to_robot())
    with writing(engine) as connection:
        connection.execute(update(alert).values(series=3))
    Sender(engine, [channel], clock, owner()).step(clock.now())
    clock.advance(5 * SECOND)
    work = picturing(engine, [channel, ScriptedChannel("sms")], Store(), clock, "zh")  # type: ignore[arg-type]
    assert work is not None
    ending = threading.Event()
    worker = threading.Thread(target=work, args=(ending,))
    worker.start()
    for _ in range(1000):
        if channel.pictures:
            break
        ending.wait(0.02)
    ending.set()
    worker.join(10)
    assert [png[:4] for _, png in channel.pictures] == [b"\x89PNG"]


def test_nobody_draws_for_nobody(engine: Engine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = Store()
    assert picturing(engine, [ScriptedChannel("sms")], store, clock, "zh") is None
    monkeypatch.setattr(picture_work, "can_draw", lambda: False)
    assert picturing(engine, [Painter()], store, clock, "zh") is None
