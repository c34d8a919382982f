"""The stream of changes: order, resuming without a gap, heartbeats, many followers, the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from console import feed as feed_module
from console.feed import Event, Feed
from core.clock import HOUR, ManualClock


class Source:
    """Changes in memory, as the table would hold them."""

    def __init__(self) -> None:
        self.rows: list[Event] = []
        self.reads = 0

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            self.rows.append(Event(len(self.rows) + 1, {"n": len(self.rows) + 1}))

    def read_after(self, seen: int, limit: int) -> list[Event]:
        self.reads += 1
        return self.rows[seen : seen + limit]

    def last(self) -> int:
        return len(self.rows)


def run(scenario: Callable[[Feed, Source, ManualClock], Coroutine[None, None, None]]) -> None:
    async def around() -> None:
        source, clock = Source(), ManualClock()
        feed = Feed(source.read_after, source.last, clock)
        task = asyncio.create_task(feed.poll())
        try:
            await asyncio.wait_for(scenario(feed, source, clock), 20)
        finally:
            await feed.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(around())


async def ids(stream: AsyncIterator[bytes], count: int) -> list[int]:
    found: list[int] = []
    async for part in stream:
        if part.startswith(b"id: "):
            found.append(int(part.split(b"\n")[0][4:]))
        if len(found) == count:
            break
    return found


def always() -> bool:
    return True


def test_a_new_follower_hears_what_comes_from_now_on() -> None:
    async def scenario(feed: Feed, source: Source, _: ManualClock) -> None:
        source.add(5)
        stream = feed.follow(None, always)
        assert b"heartbeat" in await anext(stream)
        source.add(2)
        assert await ids(stream, 2) == [6, 7]

    run(scenario)


def test_a_follower_resumes_without_a_gap_however_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "REMEMBERED", 3)

    async def scenario(feed: Feed, source: Source, _: ManualClock) -> None:
        source.add(1_200)
        stream = feed.follow(2, always)
        waiting = asyncio.create_task(ids(stream, 1_250))
        await asyncio.sleep(0.3)
        source.add(52)
        assert await waiting == list(range(3, 1_253))

    run(scenario)


def test_followers_share_one_poller_and_do_not_hold_each_other_up() -> None:
    async def scenario(feed: Feed, source: Source, _: ManualClock) -> None:
        slow = feed.follow(None, always)
        await anext(slow)
        fast = [feed.follow(None, always) for _ in range(20)]
        for stream in fast:
            await anext(stream)
        source.reads = 0
        waiting = [asyncio.create_task(ids(stream, 3)) for stream in fast]
        source.add(3)
        assert await asyncio.gather(*waiting) == [[1, 2, 3]] * 20
        assert source.reads < 60
        assert await ids(slow, 3) == [1, 2, 3]

    run(scenario)


def test_a_quiet_stream_has_heartbeats_with_the_servers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.05)

    async def scenario(feed: Feed, source: Source, clock: ManualClock) -> None:
        stream = feed.follow(None, always)
        await anext(stream)
        clock.advance(5)
        beat = (await anext(stream)).split(b"data: ")[1]
        assert json.loads(beat) == {"now": clock.now()}

    run(scenario)


def test_a_follower_ahead_of_a_restored_database_is_told_to_read_anew() -> None:
    async def scenario(feed: Feed, source: Source, _: ManualClock) -> None:
        source.add(3)
        stream = feed.follow(99, always)
        await anext(stream)
        assert await anext(stream) == b'id: 3\nevent: reset\ndata: {"id":3}\n\n'
        source.add()
        assert await ids(stream, 1) == [4]

    run(scenario)


def test_a_stream_ends_when_its_session_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.05)

    async def scenario(feed: Feed, source: Source, clock: ManualClock) -> None:
        stream = feed.follow(None, lambda: False)
        await anext(stream)
        clock.advance(HOUR)
        assert [part async for part in stream if b"change" in part] == []

    run(scenario)


def test_closing_ends_every_stream() -> None:
    async def scenario(feed: Feed, source: Source, _: ManualClock) -> None:
        streams = [feed.follow(None, always) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(ids(stream, 1)) for stream in streams]
        await asyncio.sleep(0.05)
        await feed.close()
        assert await asyncio.gather(*waiting) == [[], [], []]

    run(scenario)
