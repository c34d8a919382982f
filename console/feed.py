"""Server-sent events from the change table: one poller a process, any number of followers, no gap on resuming."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.clock import MINUTE, Clock

POLL_S = 0.2
HEARTBEAT_S = 15.0
REMEMBERED = 4_096
PAGE = 500
PAUSE_S = 1.0
RECHECK = MINUTE

_log = structlog.get_logger()


class Event(NamedTuple):
    """One change as it is sent. `data` is plain JSON values."""

    id: int
    data: dict[str, Any]


ReadAfter = Callable[[int, int], Sequence[Event]]
"""Up to `limit` changes with a larger id, in order; blocking, run in a thread."""


class Feed:
    """Polls while somebody follows; every follower has its own place and catches up from memory or the database.

    Followers never hold each other up: a slow one is only further behind.
    """

    def __init__(self, read_after: ReadAfter, last_id: Callable[[], int], clock: Clock) -> None:
        self._read_after = read_after
        self._last_id = last_id
        self._clock = clock
        self._recent: deque[Event] = deque(maxlen=REMEMBERED)
        self._last = 0
        self._grown = asyncio.Condition()
        self._followed = asyncio.Event()
        self._followers = 0
        self._closed = False

    async def poll(self) -> None:
        """Look for changes until cancelled or closed."""
        while not self._closed:
            await self._followed.wait()
            try:
                found = await asyncio.to_thread(self._read_after, self._last, PAGE)
            except SQLAlchemyError as error:
                _log.warning("changes can't be read", error=str(error))
                await asyncio.sleep(PAUSE_S)
                continue
            if found:
                self._recent.extend(found)
                self._last = found[-1].id
                async with self._grown:
                    self._grown.notify_all()
            if len(found) < PAGE:
                await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Let every follower end, so that the server can stop."""
        self._closed = True
        self._followed.set()
        async with self._grown:
            self._grown.notify_all()

    async def follow(self, after: int | None, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The stream's bytes: the changes behind `after` (None: from now on), and a heartbeat with the server's time.

        A follower that has seen more than there is (the database was restored) is told to read everything again.
        Once a minute `allowed` (blocking) tells whether it may go on.
        """
        checked = self._clock.now()
        last = await asyncio.to_thread(self._last_id)
        place = last if after is None else min(after, last)
        if not self._followers:
            self._last = max(self._last, place)  # what nobody followed is read from the database when it is asked for
            self._recent.clear()
        self._followers += 1
        self._followed.set()
        try:
            yield self._heartbeat()
            if after is not None and after > last:
                yield _written("reset", {"id": last}, last)
            while not self._closed:
                if self._clock.now() - checked >= RECHECK:
                    checked = self._clock.now()
                    if not await asyncio.to_thread(allowed):
                        return
                events = await self._behind(place)
                for event in events:
                    yield _written("change", event.data, event.id)
                    place = event.id
                if not events and not await self._wait(place):
                    yield self._heartbeat()
        finally:
            self._followers -= 1
            if not self._followers:
                self._followed.clear()

    async def _behind(self, place: int) -> Sequence[Event]:
        if self._recent and self._recent[0].id <= place + 1:
            return [event for event in self._recent if event.id > place]
        return await asyncio.to_thread(self._read_after, place, PAGE)

    async def _wait(self, place: int) -> bool:
        """Until something stands behind `place`; False when only a heartbeat's time passed."""
        async with self._grown:
            try:
                await asyncio.wait_for(
                    self._grown.wait_for(lambda: self._closed or self._last > place),
                    HEARTBEAT_S,
                )
            except TimeoutError:
                return False
        return True

    def _heartbeat(self) -> bytes:
        return _written("heartbeat", {"now": self._clock.now()})


def _written(kind: str, data: object, number: int | None = None) -> bytes:
    """One event in the stream's format.

    >>> _written("change", {"kind": "alert"}, 7)
    b'id: 7\\nevent: change\\ndata: {"kind":"alert"}\\n\\n'
    """
    head = b"" if number is None else f"id: {number}\n".encode()
    return head + f"event: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
