"""How a consumer reads the journal: in order, from its own place, for as long as it runs."""

import threading
from collections.abc import Iterator

from core.journal import Journal, Offset, Record

_WAIT = 0.1  # s


def follow(journal: Journal, after: Offset, ending: threading.Event, limit: int = 500) -> Iterator[list[Record]]:
    """Batches of up to `limit` records behind `after`, an empty one when nothing came for a while, until `ending`."""
    place = after
    while not ending.is_set():
        records = journal.read(place, limit) if journal.wait(place, _WAIT) else []
        if records:
            place = records[-1].offset
        yield records
