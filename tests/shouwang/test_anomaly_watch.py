"""The models of normal follow the journal on their own: what they find is journalled, what they know is kept."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from core.clock import HOUR, SECOND, ManualClock
from core.journal import Entry, JournalError, Offset, Record, RecordKind
from core.sqlite_journal import SqliteJournal
from ingest.words import Event, decode_event
from shouwang.anomaly_watch import AnomalyWatch
from shouwang.model_pages import ModelPages, Page, PagesRefused

T = 1_800_000_000 * SECOND


class Counting:
    """Models that count ticks by tens into three pages, and find every fifth tick unusual."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.seen: list[Offset] = []

    def take(self, records: list[Record]) -> list[Event]:
        found = []
        for record in records:
            if record.kind == RecordKind.TICK:
                self.seen.append(record.offset)
                self.counts[len(self.seen) % 3] += 1
                if sum(self.counts) % 5 == 0:
                    found.append(Event("model", "GAS-1", "readings", record.time, record.time, {"active": True}))
        return found

    def places(self) -> list[tuple[str, int]]:
        return [("count", number) for number in range(3)]

    def page(self, _model: str, number: int) -> bytes:
        return str(self.counts[number]).encode()

    def notes(self) -> dict[str, bytes]:
        return {"sum": str(sum(self.counts)).encode()}

    def restore(self, notes: dict[str, bytes], pages: Callable[[str], Iterable[Page]]) -> None:
        for page in pages("count"):
            self.counts[page.number] = int(page.body)
        if sum(self.counts) > int(notes["sum"]):
            raise PagesRefused("pages of a later time than the notes")


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(T)
        self.journal = SqliteJournal(folder / "journal.db", "town", ["safety"])
        self.made: list[Counting] = []

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.journal.append([Entry(RecordKind.TICK, b"")], self.clock.advance(SECOND))

    def events(self) -> list[Event]:
        records = self.journal.read(Offset(0, 0), 10_000)
        return [decode_event(record.payload) for record in records if record.kind == RecordKind.EVENT]

    def watch(self, every: int = HOUR) -> AnomalyWatch:
        def make() -> Counting:
            self.made.append(Counting())
            return self.made[-1]

        return AnomalyWatch(self.journal, self.clock, self.folder / "models.db", make, every)

    def run(self, watch: AnomalyWatch, until: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        ending = threading.Event()
        thread = threading.Thread(target=watch.run, args=(ending,))
        thread.start()
        wait_for(lambda: bool(self.made))
        time.sleep(0.05)  # it has asked where the journal ends
        meanwhile()
        try:
            wait_for(until)
        finally:
            ending.set()
            thread.join(10)
        assert not thread.is_alive()


def wait_for(held: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not held():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_found_is_journalled(scene: Scene) -> None:
    scene.ticks(3)  # from before: models that know nothing begin with the present
    scene.run(scene.watch(), lambda: len(scene.events()) == 2, lambda: scene.ticks(10))
    assert [event.kind for event in scene.events()] == ["model", "model"]
    assert scene.made[0].counts == [3, 4, 3]


def test_it_goes_on_where_it_ended_orderly(scene: Scene) -> None:
    scene.run(scene.watch(), lambda: len(scene.events()) == 1, lambda: scene.ticks(7))
    wait_for(lambda: len(scene.made[0].seen) == 7)
    scene.ticks(3)
    scene.run(scene.watch(), lambda: len(scene.events()) == 2)
    assert sum(scene.made[1].counts) == 10
    assert scene.made[0].seen[-1] < scene.made[1].seen[0]


def test_it_is_saved_while_it_works(scene: Scene) -> None:
    """So that a kill costs no more than what came since; a copy taken in between is whole."""
    copies: list[dict[str, bytes]] = []

    def work() -> None:
        for _ in range(30):
            scene.ticks(2)
            time.sleep(0.01)

    def saved() -> bool:
        pages = ModelPages(scene.folder / "models.db")
        copies.append(pages.notes() | {str(page.number): page.body for page in pages.pages("count")})
        pages.close()
        return "sum" in copies[-1]

    scene.run(scene.watch(every=SECOND), saved, work)
    kept = next(copy for copy in copies if "sum" in copy)
    assert sum(int(kept[str(number)]) for number in range(3)) <= int(kept["sum"])


@pytest.mark.parametrize("damage", ["not a database at all, " * 100, "another version"])
def test_a_file_of_no_use_is_begun_anew(scene: Scene, damage: str) -> None:
    file = scene.folder / "models.db"
    if damage == "another version":
        with sqlite3.connect(file) as other:
            other.execute("PRAGMA user_version=99")
    else:
        file.write_text(damage)
    scene.run(scene.watch(), lambda: len(scene.events()) == 1, lambda: scene.ticks(5))
    scene.run(scene.watch(), lambda: len(scene.made) == 3 and sum(scene.made[-1].counts) == 5)


def test_where_the_journal_takes_nothing_it_is_said_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    append, refused = scene.journal.append, []

    def full(entries: list[Entry], now: int) -> Offset:
        if entries[0].kind == RecordKind.EVENT and len(refused) < 3:
            refused.append(entries)
            raise JournalError("no room")
        return append(entries, now)

    monkeypatch.setattr(scene.journal, "append", full)
    scene.run(scene.watch(), lambda: len(scene.events()) == 1, lambda: scene.ticks(5))
    assert len(refused) == 3


def test_what_was_trimmed_is_a_gap(scene: Scene) -> None:
    scene.run(scene.watch(), lambda: len(scene.made[0].seen) == 4, lambda: scene.ticks(4))
    scene.ticks(6)
    head = scene.journal.head()
    scene.journal.acknowledge("safety", head)
    scene.clock.advance(400 * 24 * HOUR)
    scene.journal.trim(scene.clock.now())
    scene.ticks(1)
    scene.run(scene.watch(), lambda: bool(scene.made[1].seen))
    assert sum(scene.made[1].counts) >= 5
