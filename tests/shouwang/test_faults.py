"""Faults of the platform itself: at their limits, with hysteresis, said at each change, and the way to a ticket."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import insert

from alerts.tables import contact, person
from core.clock import MINUTE, SECOND, ManualClock, ShiftedClock
from core.database import open_engine, writing
from core.journal import START, Entry, JournalFull, Offset, RecordKind
from core.sqlite_journal import Quota, SqliteJournal
from detectors.rule_checks import FAULTS
from detectors.rules import load_packs
from ingest.duckdb_store import DuckDbStore
from ingest.store import Appended, StoreUnavailable
from ingest.words import Block, decode_event
from shouwang.faults import Fault, SelfWatch, faults, waiting_share
from shouwang.wiring import Platform
from tests.servers import wait_until
from tests.shouwang.small_platform import found_town, rows, running, small_settings, workday

GIGABYTE = 2**30
LIMIT = 1_000_000
BLOCK = [Entry(RecordKind.BLOCK, bytes(10_000), 100)]
TICK = [Entry(RecordKind.TICK, b"")]


class Stand:
    """A journal of a million bytes, a disk with as much room as is said, and the watch over both."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.free = ManualClock(), 100 * GIGABYTE
        quota = Quota(LIMIT, GIGABYTE, 0)
        consumers = ["safety", "store"]
        self.journal = SqliteJournal(folder / "journal.db", "town", consumers, quota, lambda _: self.free)
        self.broker_dropped: float | None = None
        self.watch = SelfWatch(self.journal, GIGABYTE, drops=lambda: self.broker_dropped)

    def append(self, entries: Sequence[Entry]) -> None:
        self.journal.append(entries, self.clock.now())

    def fill(self, share: float) -> None:
        """Append until the journal holds this share of its quota."""
        while self.journal.use().share < share:
            self.append(BLOCK)

    def read(self, *consumers: str) -> None:
        """These consumers have read all there is."""
        for consumer in consumers:
            self.journal.acknowledge(consumer, self.journal.head())

    def round(self, passed: int = 5 * SECOND) -> None:
        self.journal.flush()
        self.watch.look(self.clock.advance(passed))
        self.watch.say(self.clock.now())

    def said(self, event: str) -> list[bool]:
        events = [decode_event(r.payload) for r in self.journal.read(START, 10_000) if r.kind is RecordKind.EVENT]
        return [each.attributes["active"] for each in events if each.type == event]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.journal.close()


def test_every_fault_has_a_rule_and_every_rule_a_fault() -> None:
    known = {fault.event for fault in faults(GIGABYTE)}
    assert known <= set(FAULTS["platform"])
    assert set(FAULTS["platform"]) == {rule.event for rule in load_packs().rules.values() if rule.kind == "platform"}


@pytest.mark.parametrize("fault", faults(GIGABYTE), ids=lambda fault: fault.event)
def test_each_begins_at_its_limit_and_ends_beyond_its_recovery(fault: Fault) -> None:
    step = -0.01 if fault.below else 0.01
    for before in (None, False, True):
        assert fault.stands(fault.limit, before) is True
        assert fault.stands(fault.recovery - step, before) is False
        assert fault.stands(None, before) is before
        if fault.limit != fault.recovery:
            assert fault.stands(fault.limit - step, before) is before
            assert fault.stands(fault.recovery, before) is before


def test_a_backlog_is_said_at_each_change_only(stand: Stand) -> None:
    stand.round()
    assert stand.said("journal_quota") == [False]
    stand.fill(0.75)
    stand.round()
    assert stand.said("journal_quota") == [False], "not yet at the limit"
    stand.fill(0.82)
    stand.round()
    stand.round()
    assert stand.said("journal_quota") == [False, True]
    stand.journal.acknowledge("store", Offset(0, 6))
    stand.journal.acknowledge("safety", stand.journal.head())
    stand.round()
    assert stand.said("journal_quota") == [False, True], "between recovery and limit"
    stand.read("store")
    stand.round()
    assert stand.said("journal_quota") == [False, True, False]


def test_what_is_only_kept_for_replay_is_no_backlog(stand: Stand) -> None:
    stand.fill(0.9)
    stand.read("safety", "store")
    stand.round()
    assert stand.journal.use().share > 0.8
    assert stand.said("journal_quota") == [False]


def test_a_few_large_records_behind_many_small_ones_weigh_by_their_bytes(stand: Stand) -> None:
    for _ in range(5):
        stand.append(TICK * 1_000)
    stand.read("safety", "store")
    stand.journal.flush()
    stand.append(BLOCK * 60)
    use = stand.journal.use()
    assert 0.5 < waiting_share(stand.journal, use) < use.share


def test_dropped_readings_stand_for_ten_minutes(stand: Stand) -> None:
    stand.round()
    assert stand.said("readings_dropped") == [], "what was before the start is not known"
    stand.append(BLOCK * 100)
    stand.read("safety")
    stand.append(BLOCK)
    assert stand.journal.use().dropped_readings["store"] > 0
    stand.round()
    stand.read("safety", "store")
    for _ in range(9):
        stand.round(MINUTE)
    assert stand.said("readings_dropped") == [True]
    stand.round(MINUTE)
    stand.round(MINUTE)
    assert stand.said("readings_dropped") == [True, False]


def test_where_nothing_is_dropped_that_is_said_after_ten_minutes(stand: Stand) -> None:
    for _ in range(10):
        stand.round(MINUTE)
    assert stand.said("readings_dropped") == []
    stand.round(MINUTE)
    assert stand.said("readings_dropped") == [False]


def test_what_a_broker_drops_stands_for_ten_minutes(stand: Stand) -> None:
    """The broker counts since its own start, and what it dropped before ours is no news."""
    stand.round()
    stand.broker_dropped = 14_000
    stand.round()
    assert stand.said("broker_drops") == []
    stand.broker_dropped = 14_001
    stand.round()
    assert stand.said("broker_drops") == [True]
    stand.broker_dropped = 0  # it was started anew
    stand.round(MINUTE)
    stand.round(11 * MINUTE)
    assert stand.said("broker_drops") == [True, False]


def test_a_store_that_stands_still_is_behind_after_five_minutes(stand: Stand) -> None:
    stand.append(TICK)
    stand.round()
    for _ in range(4):
        stand.round(MINUTE)
    assert stand.said("store_behind") == [False]
    stand.round(MINUTE)
    assert stand.said("store_behind") == [False, True]
    stand.read("store")
    stand.append(TICK)
    stand.round(3 * MINUTE)
    assert stand.said("store_behind") == [False, True], "not yet caught up"
    stand.read("store")
    stand.round()
    assert stand.said("store_behind") == [False, True, False]


def test_what_is_unread_from_before_the_start_is_not_the_stores_fault(stand: Stand) -> None:
    stand.append(TICK)
    stand.clock.advance(60 * MINUTE)
    stand.round()
    assert stand.said("store_behind") == []
    for _ in range(4):
        stand.round(MINUTE)
    assert stand.said("store_behind") == []
    stand.round(MINUTE)
    assert stand.said("store_behind") == [True], "it had its time"


def test_a_disk_that_fills_is_told_before_the_reserve_is_reached(stand: Stand) -> None:
    for free in (2.1, 2.0, 2.4, 2.6):
        stand.free = int(free * GIGABYTE)
        stand.round()
    assert stand.said("disk_low") == [True, False], "2.1 is neither: nothing is known yet"


def test_a_restart_repeats_what_is_sure_and_ends_nothing_in_between(stand: Stand) -> None:
    stand.fill(0.82)
    stand.round()
    stand.journal.acknowledge("store", Offset(0, 6))
    stand.journal.acknowledge("safety", stand.journal.head())
    stand.watch = SelfWatch(stand.journal, GIGABYTE)
    stand.round()
    assert stand.said("journal_quota") == [True]
    assert stand.said("disk_low") == [False, False]


def test_a_full_journal_hears_it_as_soon_as_it_takes_records(stand: Stand) -> None:
    stand.append(BLOCK * 100)  # nobody has read it: nothing may be dropped
    with pytest.raises(JournalFull):
        stand.append(BLOCK)
    stand.round()
    stand.round()
    assert stand.said("journal_quota") == []
    stand.journal.acknowledge("safety", Offset(0, 20))
    stand.watch.say(stand.clock.advance(SECOND))
    assert stand.said("journal_quota") == [True]


ALERTS = "SELECT rule, state FROM alert WHERE subject_kind = 'platform' ORDER BY id"
QUOTA, DROPPED, BEHIND = "platform.journal_quota", "platform.readings_dropped", "platform.store_behind"


class Dam:
    """A readings store that takes nothing until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.open = False
        append = DuckDbStore.append

        def held(store: DuckDbStore, batch: Sequence[tuple[Offset, Block]]) -> Appended:
            if not self.open:
                raise StoreUnavailable("the test holds it up")
            return append(store, batch)

        patch.setattr(DuckDbStore, "append", held)


@pytest.fixture
def dam(monkeypatch: pytest.MonkeyPatch) -> Dam:
    """The store's dam, in a platform where everything that is done now and then is done at once."""
    monkeypatch.setattr("shouwang.housekeeping._INTERVAL", 0.05)
    monkeypatch.setattr("shouwang.housekeeping.TRIM_INTERVAL", SECOND // 5)
    monkeypatch.setattr("shouwang.watch._SNAPSHOT_INTERVAL", SECOND // 2)
    monkeypatch.setattr("ingest.pipeline._SNAPSHOT_INTERVAL", SECOND // 2)
    monkeypatch.setattr("ingest.dead_letter_writer._ACKNOWLEDGE_EVERY", SECOND // 2)
    monkeypatch.setattr("ingest.writer._LONGEST_PAUSE", 0.2)
    return Dam(monkeypatch)


def fill(platform: Platform, share: float) -> None:
    """Journal readings until the journal holds this share of its quota, or the quota took some away."""
    number = rows(platform, "SELECT number FROM series WHERE device = 'GAS-1' AND metric = 'gas_lel'")[0][0]
    while (use := platform.journal.use()).share < share and not use.dropped_readings["store"]:
        now = platform.clock.now()
        block = Block.of([number] * 500, [now + n for n in range(500)], [now] * 500, [1.0] * 500)
        try:
            platform.journal.append([Entry(RecordKind.BLOCK, block.to_bytes(), 500)], now)
        except JournalFull:
            time.sleep(0.05)  # the other consumers have still to read


def until(platform: Platform, *alerts: tuple[str, str]) -> None:
    wait_until(lambda: rows(platform, ALERTS) == list(alerts), f"the alerts {alerts}", 20)


def test_a_tiny_quota_raises_an_alert_for_the_dispatcher_that_ends_by_itself(tmp_path: Path, dam: Dam) -> None:
    clock = workday(10)
    assert isinstance(clock, ShiftedClock)
    settings = small_settings(tmp_path, journal={"quota_gb": 4_000_000 / GIGABYTE, "reserve_gb": 0})
    found_town(settings, clock)
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        dispatcher = {"code": "D-01", "name": "调度员 D-01", "role": "dispatcher", "shift": "all"}
        connection.execute(insert(person).values(dispatcher))
        connection.execute(insert(contact).values(owner_kind="person", owner="D-01", channel="phone", address="D-01"))
    engine.dispose()
    with running(settings, clock) as platform:
        fill(platform, 0.85)
        until(platform, (QUOTA, "open"))
        ticket = "SELECT status, team, station, site FROM ticket"
        assert rows(platform, ticket) == [("registered", None, None, None)]
        notice = "SELECT recipient, state FROM notice"
        wait_until(lambda: rows(platform, notice) == [("D-01", "accepted")], "the message on the phone", 20)
        fill(platform, 2.0)
        until(platform, (QUOTA, "open"), (DROPPED, "open"))
        clock.shift += 6 * MINUTE
        until(platform, (QUOTA, "open"), (DROPPED, "open"), (BEHIND, "open"))
        dam.open = True
        until(platform, (QUOTA, "closed"), (DROPPED, "open"), (BEHIND, "closed"))
        clock.shift += 11 * MINUTE
        until(platform, (QUOTA, "closed"), (DROPPED, "closed"), (BEHIND, "closed"))
        recovered = "SELECT status FROM ticket WHERE recovered_at IS NOT NULL ORDER BY id"
        assert rows(platform, recovered) == [("registered",), ("registered",), ("closed",)], "a mere warning is over"
        assert rows(platform, "SELECT DISTINCT closed_how FROM alert WHERE subject_kind = 'platform'") == [
            ("recovered",)
        ]


def test_tickets_without_a_next_step_are_a_fault_until_they_have_one(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    found: list[float | None] = [None]
    stand.watch = SelfWatch(stand.journal, GIGABYTE, unsure=lambda: found[0])
    stand.round()
    assert stand.said("escalation_unsure") == []
    for figure in (0.0, 2.0, 2.0, None, 0.0):
        found[0] = figure
        stand.round()
    assert stand.said("escalation_unsure") == [False, True, False]
