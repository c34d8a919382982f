"""Small pictures of photos, made when a page first shows them and kept for the next one."""

import threading
from collections import OrderedDict

from sqlalchemy import Engine

from alerts.photos import content_of
from alerts.pictures_sent import small_picture
from core.database import reading

MOST_KEPT = 500
"""Small pictures in memory, about 10 kB each."""


class Thumbnails:
    """The small pictures that were shown last; one is made at a time, so that many at once take no more memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._making = threading.Lock()

    def get(self, engine: Engine, number: int) -> tuple[str, bytes] | None:
        """A photo's media type and small picture; the photo as it came without Pillow, None for an unknown id."""
        with self._making:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            with reading(engine) as connection:
                found = content_of(connection, number)
            if found is None or (small := small_picture(found[1])) is None:
                return found
            self._kept[number] = ("image/jpeg", small)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[number]
