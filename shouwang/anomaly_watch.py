"""Reads the journal for the models of normal, at its own pace, and journals what they find unusual.

It is no consumer that the journal waits for: what is gone before it was read is a gap in the models' past. Nothing that
fails here reaches the safety consumer, which only hears of it by events.
"""

import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from core.clock import HOUR, Clock
from core.journal import Entry, Journal, JournalError, Offset, Record, RecordKind
from ingest.follow import follow
from ingest.words import Event, encode
from shouwang.model_pages import ModelPages, Page, PagesRefused

_BATCH = 200
_PAGES_A_BATCH = 2
_WAITING = 8
_log = structlog.get_logger()


class Models(Protocol):
    """The models of normal with their budget, in memory."""

    def take(self, records: list[Record]) -> list[Event]:
        """What the records tell of, as events to be journalled; records come in the journal's order."""
        ...

    def places(self) -> list[tuple[str, int]]:
        """Every page of memory by model and number; those of a model that grows come at the end."""
        ...

    def page(self, model: str, number: int) -> bytes:
        """A copy of a page as it is now."""
        ...

    def notes(self) -> dict[str, bytes]:
        """The rest of the state, small; no older than any page that was copied before."""
        ...

    def restore(self, notes: dict[str, bytes], pages: Callable[[str], Iterable[Page]]) -> None:
        """Go on from what was saved; raises PagesRefused or ValueError."""
        ...


class _Save(NamedTuple):
    notes: dict[str, bytes]


class AnomalyWatch:
    """Feeds the models, and saves them piece by piece while they work: no batch waits for more than two pages."""

    def __init__(
        self, journal: Journal, clock: Clock, path: Path, make: Callable[[], Models], every: int = HOUR
    ) -> None:
        self._journal, self._clock, self._path, self._make, self._every = journal, clock, path, make, every
        self._unsaid: list[Event] = []
        self._left: list[tuple[str, int]] = []
        self._saved = 0
        self._saver: _Saver | None = None
        self.reached = 0

    def models(self) -> Models:
        """Models that know nothing yet."""
        return self._make()

    def run(self, ending: threading.Event) -> None:
        """Follow the journal from now on, or from where the saved models stood, until `ending`."""
        self._saved = self._clock.now()
        models, place = self._resume()
        try:
            for records in follow(self._journal, max(place, self._journal.tail()), ending, limit=_BATCH):
                if records:
                    self._unsaid += models.take(records)
                    place, self.reached = records[-1].offset, records[-1].time
                self._say()
                self._save_some(models, place)
            self._save_all(models, place)
        finally:
            self._release()

    def _resume(self) -> tuple[Models, Offset]:
        """The models with where they stand in the journal; new ones where nothing of use was saved."""
        models = self.models()
        try:
            pages = ModelPages(self._path)
        except PagesRefused as refusal:
            return self._anew(refusal)
        self._saver = _Saver(pages)
        try:
            notes = pages.notes()
            if "place" in notes:
                models.restore(notes, pages.pages)
                return models, min(_place(notes["place"]), self._journal.head())
        except (PagesRefused, ValueError) as refusal:
            return self._anew(refusal)
        return models, self._journal.head()

    def _anew(self, refusal: Exception) -> tuple[Models, Offset]:
        """Models that know nothing, and a file of their own beside what can't be used."""
        _log.warning("the models of normal begin anew", why=str(refusal))
        self._release()
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._saver = _Saver(ModelPages(self._path))
        return self.models(), self._journal.head()

    def _say(self) -> None:
        """Journal what was found; where the journal takes nothing it is tried again."""
        if not self._unsaid:
            return
        entries = [Entry(RecordKind.EVENT, encode(event)) for event in self._unsaid]
        try:
            self._journal.append(entries, self._clock.now())
        except JournalError as error:
            _log.warning("the journal takes no word of the models: trying again", why=str(error))
            return
        self._unsaid.clear()

    def _save_some(self, models: Models, place: Offset) -> None:
        """Copy the next pages of the round that is under way; begin one when it is due."""
        saver, now = self._saver, self._clock.now()
        if saver is None or saver.busy:
            return
        if not self._left:
            if 0 <= now - self._saved < self._every:
                return
            self._left, self._saved = models.places()[::-1], now
        for _ in range(min(_PAGES_A_BATCH, len(self._left))):
            model, number = self._left.pop()
            saver.take(Page(model, number, models.page(model, number)))
        if not self._left and not self._unsaid:
            saver.take(_Save(models.notes() | {"place": _packed(place)}))

    def _save_all(self, models: Models, place: Offset) -> None:
        """Everything at once, at an orderly end."""
        self._say()
        if self._saver is None or self._unsaid:
            return
        for model, number in models.places():
            self._saver.take(Page(model, number, models.page(model, number)))
        self._saver.take(_Save(models.notes() | {"place": _packed(place)}))

    def _release(self) -> None:
        if self._saver is not None:
            self._saver.close()
            self._saver = None


class _Saver:
    """Writes pages in a thread of its own, so that a slow disk holds up no reading."""

    def __init__(self, pages: ModelPages) -> None:
        self._pages = pages
        self._work: queue.Queue[Page | _Save | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="model pages", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether more would have to wait."""
        return self._work.qsize() > _WAITING - 1 - _PAGES_A_BATCH

    def take(self, piece: Page | _Save) -> None:
        """Write it when what came before is written."""
        self._work.put(piece)

    def close(self) -> None:
        """Write what is waiting and release the file."""
        self._work.put(None)
        self._thread.join()
        self._pages.close()

    def _run(self) -> None:
        failed = False
        while (piece := self._work.get()) is not None:
            try:
                if isinstance(piece, Page):
                    failed = failed or not self._put(piece)
                elif failed:
                    self._pages.undo()
                    failed = False
                else:
                    self._pages.commit(piece.notes)
            except OSError as error:
                _log.warning("the models of normal are not saved", why=str(error))

    def _put(self, page: Page) -> bool:
        try:
            self._pages.put(page)
        except OSError as error:
            _log.warning("the models of normal are not saved", why=str(error))
            self._pages.undo()
            return False
        return True


def _packed(place: Offset) -> bytes:
    return f"{place.partition} {place.n}".encode()


def _place(packed: bytes) -> Offset:
    partition, n = packed.split()
    return Offset(int(partition), int(n))
