"""What InfluxDB can't keep in one transaction with the readings: the applied offset and the counts, in a small file.

The intent is written before a request and settled after it. After a kill in between, the span of the intent is written
again, which changes nothing, and counted as it was going to be.
"""

from pathlib import Path
from typing import Any, NamedTuple

from core import snapshot
from core.journal import START, Offset
from ingest.store import Counts, Refused


class Intent(NamedTuple):
    """A span of the journal that is being written: its last offset, and the counts once it is."""

    upto: Offset
    counts: Counts


class Page(NamedTuple):
    """The ledger's content; `refused` are those of the last span that was settled."""

    applied: Offset = START
    counts: Counts = Counts(0, 0)
    intent: Intent | None = None
    refused: tuple[Refused, ...] = ()


class Ledger:
    """The page in the file `path`, durable when `write` returns; an empty one when the file is lost or damaged.

    Then the store is written again from the journal's tail, and the counts begin anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._page: Page | None = None

    def read(self) -> Page:
        """The page as it is on disk."""
        if self._page is None:
            self._page = self._load()
        return self._page

    def write(self, page: Page) -> None:
        """Replace the page."""
        snapshot.save(self._path, {"page": page}, {})
        self._page = page

    def _load(self) -> Page:
        try:
            found = snapshot.load(self._path)
        except snapshot.SnapshotDamaged:
            found = None
        return _page(found[0]["page"]) if found else Page()


def _page(kept: Any) -> Page:
    applied, counts, intent, refused = kept
    intended = Intent(Offset(*intent[0]), Counts(*intent[1])) if intent else None
    return Page(Offset(*applied), Counts(*counts), intended, tuple(Refused(*fields) for fields in refused))
