"""When false alarms are looked at: at the start, after each judged ticket, once a day."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import Engine, update

from alerts.changes import Happened, record_changes
from alerts.proposal_rows import list_proposals
from alerts.tables import alert
from core.clock import DAY, MINUTE, SECOND, ManualClock
from core.database import reading, writing
from ingest.duckdb_store import DuckDbStore
from ingest.store import Rows, StoreUnavailable
from shouwang.learning import Learning
from tests.alerts.proposal_scene import NOW, History


class Peaks:
    """A store's one method that is used here, over a history's readings; away while `away`."""

    def __init__(self, history: History) -> None:
        self.history, self.asked, self.away = history, 0, False

    def rows(self, series: npt.NDArray[np.int32], since: int, until: int) -> Rows:
        if self.away:
            raise StoreUnavailable("away")
        self.asked += 1
        at, value = self.history.readings(int(series[0]), since, until)
        return Rows(np.repeat(series, len(at)), np.array(at, np.int64), np.array(value))


@pytest.fixture
def learning(engine: Engine) -> tuple[Learning, Peaks]:
    with writing(engine) as connection:
        peaks = Peaks(History(connection))
    return Learning(engine, peaks, ManualClock(NOW)), peaks  # type: ignore[arg-type]


def put(engine: Engine, history: History, worst: Sequence[float], at: int = NOW - DAY) -> None:
    with writing(engine) as connection:
        for each in worst:
            history.put(connection, "false", each, at=at)


def test_after_a_label_and_once_a_day(engine: Engine, learning: tuple[Learning, Peaks]) -> None:
    work, peaks = learning
    assert work.step(NOW) == 0
    put(engine, peaks.history, (61.0, 62.0, 63.0, 64.0))
    assert (work.step(NOW + 1), peaks.asked) == (0, 0), "four are too few"
    put(engine, peaks.history, (65.0,), NOW - DAY + MINUTE)
    assert (work.step(NOW + 2), peaks.asked) == (1, 5)
    assert (work.step(NOW + 3), peaks.asked) == (0, 5), "nothing new was judged"
    assert (work.step(NOW + 2 + DAY), peaks.asked) == (0, 10)
    with reading(engine) as connection:
        (row,) = list_proposals(connection)
    assert row["change"] == {"limits": {"2": 66.0}}


def test_a_store_that_is_away_is_asked_again(engine: Engine, learning: tuple[Learning, Peaks]) -> None:
    work, peaks = learning
    put(engine, peaks.history, (61.0, 62.0, 63.0, 64.0, 65.0))
    peaks.away = True
    assert work.step(NOW) == 0
    peaks.away = False
    assert work.step(NOW + 1) == 0
    assert work.step(NOW + MINUTE) == 1


def test_while_nothing_happens_tickets_are_not_looked_at(engine: Engine, learning: tuple[Learning, Peaks]) -> None:
    work, peaks = learning
    put(engine, peaks.history, (61.0, 62.0, 63.0, 64.0))
    happened(engine)
    assert work.step(NOW) == 0
    put(engine, peaks.history, (65.0,), NOW - DAY + MINUTE)
    assert work.step(NOW + 1) == 0
    happened(engine)
    assert work.step(NOW + 2) == 1


def happened(engine: Engine) -> None:
    with writing(engine) as connection:
        record_changes(connection, NOW, [Happened("ticket", 1, {})])


def test_the_embedded_store_answers(engine: Engine, learning: tuple[Learning, Peaks], tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path / "readings.duckdb").open()
    put(engine, learning[1].history, (61.0, 62.0, 63.0, 64.0, 65.0))
    assert Learning(engine, store, ManualClock(NOW)).step(NOW) == 1, "a dwell needs no readings"
    store.close()


def test_what_chatters_is_looked_at_while_it_does(engine: Engine, learning: tuple[Learning, Peaks]) -> None:
    work, peaks = learning
    with writing(engine) as connection:
        for n in range(5):
            peaks.history.put(connection, "real", 61.0, at=NOW - (20 - n) * SECOND)
    assert work.step(NOW) == 0
    with writing(engine) as connection:
        connection.execute(update(alert).values(chattering=NOW - 20 * SECOND))
    assert work.step(NOW + 1) == 1
    with reading(engine) as connection:
        (row,) = list_proposals(connection)
    assert (row["rule"], row["scope"]) == ("noise.day", "N1")
    assert work.step(NOW + 1 + 5 * MINUTE) == 0, "it is open already"
