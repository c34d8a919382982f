"""The models of normal in a platform: labels of its database move them, their word stands there for the pages."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from alerts.anomaly_labels import read_view
from core.clock import ManualClock
from core.database import reading, writing
from core.journal import Offset, Record, RecordKind
from core.sqlite_journal import SqliteJournal
from shouwang.anomalies import anomaly_watch
from shouwang.reading_settings import AnomalySettings
from shouwang.settings import Settings
from tests.detectors.stage import START, Device, registry_of

TOWN = registry_of((Device("GAS-1", "gas"),))


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    return SqliteJournal(tmp_path / "journal.db", "town", ["safety"])


def test_the_models_word_stands_in_the_database_and_one_that_is_away_stops_nothing(
    engine: Engine, journal: SqliteJournal, tmp_path: Path
) -> None:
    settings = Settings(state=tmp_path, anomaly=AnomalySettings(per_hour=4))
    models = anomaly_watch(settings, journal, engine, ManualClock(START), lambda: TOWN).models()
    tick = Record(Offset(0, 1), START, RecordKind.TICK, b"")
    assert models.take([tick]) == []
    with reading(engine) as connection:
        view = read_view(connection)
    assert view is not None
    assert (view["per_hour"], view["series"], view["learning"], view["held_back"]) == (
        4,
        view["series"],
        view["series"],
        [],
    )
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE anomaly_label"))
        connection.execute(text("DROP TABLE anomaly_view"))
    assert models.take([tick._replace(time=START + 120_000_000)]) == []
