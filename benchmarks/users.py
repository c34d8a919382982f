"""Dispatchers at the console, a process of its own: PORT USERS SECONDS. Each does what the hall's page does.

It signs in, reads the shapes once, follows the changes, asks for the state every two seconds, and for state and queue
300 ms after a change, 1.5 to 2.5 s after it did so last. Prints a line when all are signed in, and at the end
one of JSON: requests, and how long they took.
"""

import asyncio
import json
import random
import sys
import time

import httpx
import numpy as np

from benchmarks.platform import PASSWORD

_EVERY, _AFTER_CHANGE, _AGAIN = 2.0, 0.3, (1.5, 2.5)  # s


class User:
    """One dispatcher's page; `took` collects the seconds of each request."""

    def __init__(self, base: str, name: str, took: list[float]) -> None:
        self._name, self._took = name, took
        self._client = httpx.AsyncClient(base_url=base, headers={"Origin": base}, timeout=20)
        self._changed = asyncio.Event()

    async def sign_in(self) -> None:
        """Open a session."""
        answer = await self._client.post("/signin", data={"username": self._name, "password": PASSWORD})
        if answer.status_code != 303:
            raise RuntimeError(f"{self._name} can't sign in: {answer.status_code}")

    async def work(self) -> None:
        """Until cancelled."""
        await self._get("/")
        await self._get("/api/v1/shapes")
        try:
            async with asyncio.TaskGroup() as tasks:
                for task in (self._look(), self._follow(), self._refresh()):
                    tasks.create_task(task)
        finally:
            await self._client.aclose()

    async def _get(self, path: str) -> None:
        began = time.monotonic()
        answer = await self._client.get(path)
        answer.raise_for_status()
        self._took.append(time.monotonic() - began)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._get("/api/v1/state")

    async def _follow(self) -> None:
        async with self._client.stream("GET", "/api/v1/changes", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line == "event: change":
                    self._changed.set()

    async def _refresh(self) -> None:
        refreshed = 0.0
        while True:
            await self._changed.wait()
            await asyncio.sleep(max(_AFTER_CHANGE, refreshed + random.uniform(*_AGAIN) - time.monotonic()))
            self._changed.clear()
            refreshed = time.monotonic()
            await self._get("/api/v1/state")
            await self._get("/queue")


async def crowd(port: int, users: int, seconds: int) -> list[float]:
    """So many users for so long; the seconds that each request took."""
    took: list[float] = []
    base = f"http://127.0.0.1:{port}"
    everybody = [User(base, f"user-{number}", took) for number in range(users)]
    for user in everybody:  # one after the other: that passwords are dear to check is not what is measured
        await user.sign_in()
    print("signed in", flush=True)
    working = [asyncio.create_task(user.work()) for user in everybody]
    done, _ = await asyncio.wait(working, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    return took


def main() -> None:
    """Work, and print what it took."""
    port, users, seconds = (int(argument) for argument in sys.argv[1:4])
    took = asyncio.run(crowd(port, users, seconds))
    percentiles = {f"p{p}": round(float(np.percentile(took, p)) * 1_000, 1) for p in (50, 99)} if took else None
    print(json.dumps({"users": users, "requests": len(took), "request_ms": percentiles}))


if __name__ == "__main__":
    main()
