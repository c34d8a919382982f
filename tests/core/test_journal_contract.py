"""What every journal keeps; and what the SQLite journal does at its quota, at a full disk and in two processes."""

import contextlib
import sqlite3
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from core.clock import DAY, HOUR, MINUTE, SECOND
from core.journal import START, Entry, JournalError, JournalFull, Offset, RecordKind, RegistryMismatch
from core.sqlite_journal import Quota, SqliteJournal

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def journal(tmp_path: Path):
    journal = SqliteJournal(tmp_path / "journal.db", "town", ["store", "safety"])
    yield journal
    journal.close()


def blocks(n: int, size: int = 10) -> list[Entry]:
    return [Entry(RecordKind.BLOCK, bytes([i % 256]) * size, weight=4) for i in range(n)]


def test_records_come_back_in_order_with_kind_and_time(journal):
    end = journal.append([Entry(RecordKind.BLOCK, b"a"), Entry(RecordKind.EVENT, b"b")], NOW)
    journal.append([Entry(RecordKind.TICK, b"")], NOW + SECOND)
    records = journal.read(START, 10)
    assert [(r.kind, r.payload) for r in records] == [
        (RecordKind.BLOCK, b"a"),
        (RecordKind.EVENT, b"b"),
        (RecordKind.TICK, b""),
    ]
    assert [r.time for r in records] == [NOW, NOW, NOW + SECOND]
    assert records[1].offset == end
    assert journal.read(end, 10)[0].kind is RecordKind.TICK
    assert journal.head() == records[-1].offset


def test_time_never_goes_backwards(journal):
    journal.append(blocks(1), NOW)
    journal.append(blocks(1), NOW - HOUR)
    assert [r.time for r in journal.read(START, 9)] == [NOW, NOW]


def test_time_goes_on_after_the_clock_was_set_back_and_meets_it_again(journal):
    """Detectors live by the journal's time: were it to stand still, nothing held would pass its dwell."""
    tick = [Entry(RecordKind.TICK, b"")]
    for second in range(12 * 60):
        journal.append(tick, NOW - MINUTE * (second > 0) + second * SECOND)
    times = [r.time for r in journal.read(START, 999)]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps[0] == 0
    assert set(steps[1:]) == {900_000, SECOND}
    assert times[-1] == NOW - MINUTE + 719 * SECOND


def test_reading_behind_the_cache_and_in_it_gives_the_same(journal):
    for _ in range(20):
        journal.append(blocks(50), NOW)
    whole, place = [], START
    while batch := journal.read(place, 37):
        whole += batch
        place = batch[-1].offset
    assert [r.offset.n for r in whole] == list(range(1, 1001))


def test_what_was_appended_is_there_after_reopening(journal, tmp_path):
    journal.append(blocks(3), NOW)
    journal.acknowledge("store", Offset(0, 2))
    journal.close()
    again = SqliteJournal(tmp_path / "journal.db", "town")
    assert len(again.read(START, 10)) == 3
    assert again.acknowledged("store") == Offset(0, 2)
    assert again.last_time() == NOW
    again.close()


def test_another_registry_is_refused(journal, tmp_path):
    with pytest.raises(RegistryMismatch, match="belongs to registry town"):
        SqliteJournal(tmp_path / "journal.db", "another town")


def test_a_file_that_is_no_journal_is_told_by_its_name(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"this is no database, " * 300)
    with pytest.raises(JournalError, match=r"journal\.db can't be opened"):
        SqliteJournal(tmp_path / "journal.db", "town")


def test_waiting_ends_when_a_record_comes(journal):
    assert not journal.wait(START, 0.01)
    threading.Timer(0.05, lambda: journal.append(blocks(1), NOW)).start()
    assert journal.wait(START, 5)


def test_a_reader_of_another_process_waits_only_at_the_head(journal, tmp_path):
    """A backlog that another process writes is read at full speed."""
    other = SqliteJournal(tmp_path / "journal.db", "town")
    journal.append(blocks(200), NOW)
    begun, place = time.monotonic(), START
    while other.wait(place, 0.2):
        place = other.read(place, 1)[-1].offset
    assert place == journal.head()
    assert time.monotonic() - begun < 5, "a wait of 0.2 s at each would be forty"
    other.close()


def test_trimming_reads_only_what_goes(journal):
    """A day of records is kept for replay; looking for its end must not hold up the writer."""
    journal.append(blocks(5_000), NOW)
    journal.acknowledge("store", journal.head())
    journal.acknowledge("safety", journal.head())
    steps = []
    journal._connection.set_progress_handler(lambda: steps.append(1), 100)
    journal.trim(NOW + HOUR)
    assert len(steps) < 20


def test_two_openings_append_to_one_order(journal, tmp_path):
    other = SqliteJournal(tmp_path / "journal.db", "town")
    journal.append(blocks(2), NOW)
    other.append(blocks(2), NOW + 1)
    journal.append(blocks(2), NOW + 2)
    assert [r.offset.n for r in journal.read(START, 10)] == [1, 2, 3, 4, 5, 6]
    assert [r.offset.n for r in journal.read(Offset(0, 4), 10)] == [5, 6]
    assert [r.offset.n for r in other.read(START, 10)] == [1, 2, 3, 4, 5, 6]
    assert other.head() == journal.head()
    other.close()


def test_what_anyone_still_needs_is_kept_and_the_span_for_replay_too(journal):
    journal.append(blocks(10), NOW)
    journal.acknowledge("store", Offset(0, 10))
    journal.acknowledge("safety", Offset(0, 4))
    assert journal.trim(NOW + 2 * DAY) == 4
    assert journal.tail() == Offset(0, 4)
    journal.acknowledge("safety", Offset(0, 10))
    assert journal.trim(NOW + HOUR) == 0, "within the span for replay"
    assert journal.trim(NOW + 2 * DAY) == 6
    assert journal.head() == Offset(0, 10), "offsets go on after everything was trimmed"
    assert journal.append(blocks(1), NOW) == Offset(0, 11)


def test_a_journal_begun_anew_goes_on_behind_what_others_have_applied(journal):
    journal.start_after(Offset(0, 5000))
    assert journal.append(blocks(2), NOW) == Offset(0, 5002)
    assert [r.offset.n for r in journal.read(START, 10)] == [5001, 5002]
    assert [r.offset.n for r in journal.read(Offset(0, 5000), 10)] == [5001, 5002]
    journal.start_after(Offset(0, 7))
    assert journal.append(blocks(1), NOW) == Offset(0, 5003), "never back"


def test_a_restored_journal_goes_on_behind_what_others_have_applied(journal):
    journal.append(blocks(3), NOW)
    journal.start_after(Offset(0, 100))
    assert journal.append(blocks(1), NOW) == Offset(0, 101)
    assert [r.offset.n for r in journal.read(START, 10)] == [1, 2, 3, 101]
    assert [r.offset.n for r in journal.read(Offset(0, 50), 10)] == [101]


def test_an_offset_never_goes_back(journal):
    journal.append(blocks(5), NOW)
    journal.acknowledge("store", Offset(0, 4))
    journal.acknowledge("store", Offset(0, 2))
    journal.trim(NOW)
    assert journal.acknowledged("store") == Offset(0, 4)


def test_at_the_quota_only_the_stores_backlog_is_dropped_and_counted(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db", "town", ["store", "safety"], Quota(limit=600_000, reserve=0))
    for i in range(100):
        journal.acknowledge("safety", journal.append(blocks(10, 1_000), NOW + i))
    use = journal.use()
    assert use.share < 1.05
    assert use.records < 1000
    assert use.dropped_readings == {"store": 4 * journal.tail().n, "safety": 0}
    assert journal.head() == Offset(0, 1000)
    journal.acknowledge("store", journal.head())
    journal.trim(NOW)
    assert journal.use().dropped_readings == use.dropped_readings, "back by itself"
    journal.close()


def test_at_the_quota_nothing_is_dropped_that_a_detector_needs(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db", "town", ["store", "safety"], Quota(limit=100_000, reserve=0))
    written = 0
    while written < 1_000:
        try:
            written = journal.append(blocks(10, 1_000), NOW).n
        except JournalFull:
            break
    assert 50 <= written < 200
    assert journal.trim(NOW) == 0
    assert len(journal.read(START, 1000)) == written
    assert journal.append([Entry(RecordKind.TICK, b"")], NOW).n == written + 1, "time goes on"
    journal.close()


def test_a_journal_full_of_what_detectors_need_refuses_until_they_have_read(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db", "town", ["store", "safety"], Quota(limit=100_000, reserve=0))
    with contextlib.suppress(JournalFull):
        while True:
            journal.append(blocks(10, 1_000), NOW)
    with pytest.raises(JournalFull, match="quota"):
        journal.append(blocks(1), NOW)
    journal.acknowledge("safety", journal.head())
    journal.trim(NOW)
    journal.append(blocks(1), NOW)
    journal.close()


def test_the_disks_reserve_is_left_to_the_alert_database(tmp_path):
    free = [10**10]
    journal = SqliteJournal(tmp_path / "j.db", "town", [], Quota(reserve=10**9), disk_free=lambda _: free[0])
    journal.append(blocks(1), NOW)
    free[0] = 10**8
    with pytest.raises(JournalFull, match="free"):
        journal.append(blocks(1), NOW)
    free[0] = 10**10
    assert journal.append(blocks(1), NOW) == Offset(0, 2)
    journal.close()


def test_a_full_disk_loses_nothing_and_ends_by_itself(journal):
    journal.append(blocks(1), NOW)
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(JournalFull):
        journal.append(blocks(100, 4_000), NOW)
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    assert journal.append(blocks(1), NOW) == Offset(0, 2)
    assert len(journal.read(START, 10)) == 2


def test_a_commit_is_synchronous(journal):
    assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert journal._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert sqlite3.sqlite_version_info >= (3, 35)


def test_a_locked_file_is_a_journal_error_and_costs_nothing(journal, tmp_path):
    journal._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.acknowledge("store", Offset(0, 1))
    with pytest.raises(JournalError, match="locked"):
        journal.append(blocks(1), NOW)
    with pytest.raises(JournalError, match="locked"):
        journal.trim(NOW)
    other.execute("ROLLBACK")
    assert journal.append(blocks(1), NOW) == Offset(0, 1)
    journal.trim(NOW)
    assert journal.acknowledged("store") == Offset(0, 1), "what could not be written is not forgotten"
    other.close()
