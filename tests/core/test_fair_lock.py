"""Writers of one SQLite take turns in the order in which they asked: one that always writes starves nobody."""

import threading
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text

from core.database import FairLock, open_engine, writing


def test_turns_come_in_the_order_asked_for() -> None:
    lock, order = FairLock(), []
    inside, threads = threading.Event(), []

    def work(number: int) -> None:
        with lock:
            order.append(number)

    with lock:
        for number in range(5):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            threads.append(thread)
            while len(lock._waiting) <= number:
                inside.wait(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_transaction_within_a_transaction_is_refused_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with writing(engine), pytest.raises(RuntimeError, match="already"), writing(engine):
        pass
    with writing(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_busy_writer_starves_nobody(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    ending, turns = threading.Event(), [0]

    def busy() -> None:
        while not ending.is_set():
            with writing(engine) as connection:
                connection.execute(text("INSERT INTO t VALUES (1)"))
                ending.wait(0.01)
            turns[0] += 1

    thread = threading.Thread(target=busy)
    thread.start()
    while not turns[0]:
        ending.wait(0.001)
    before, began = turns[0], monotonic()
    for _ in range(10):
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO t VALUES (2)"))
    ending.set()
    thread.join()
    assert turns[0] - before <= 12
    assert monotonic() - began < 30
    engine.dispose()
