"""The embedded MQTT 3.1.1 broker, for the demo and for development: one thread, 127.0.0.1, sessions in memory.

Its PUBACK to a gateway precedes the journal, and what it holds dies with the process: a town runs a real broker.
"""

import asyncio
import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from amqtt.errors import BrokerError

from core.lifecycle import PartFailed
from ingest.amqtt_sessions import SessionBroker
from ingest.topic_rights import Rights, gateway_rights

Check = Callable[[str, str], bool]
"""Whether a username and a password belong together; may be slow, is called in a thread of its own."""
May = Callable[[str, str, str], bool]
"""Whether a username may "publish" to a topic or "subscribe" to a filter; must be fast."""

_log = structlog.get_logger()
_START_S = 10.0


def own_topics(platform: str, rights: Callable[[str], Rights] = gateway_rights) -> May:
    """The account `platform` may do all, any other what its rights say: the same that a real broker is told.

    >>> may = own_topics("platform")
    >>> may("GW-0001", "publish", "sw/v1/GW-0001/telemetry"), may("GW-0001", "publish", "sw/v1/GW-0002/telemetry")
    (True, False)
    """

    def may(username: str, action: str, topic: str) -> bool:
        return username == platform or rights(username).allow(action, topic)

    return may


class Doorkeeper:
    """Admits accounts by `check`, remembering pairs that passed by a keyed hash, and asks `may` what they may do."""

    def __init__(self, check: Check, may: May) -> None:
        self._check = check
        self.may = may
        self._key = secrets.token_bytes(32)
        self._admitted: set[bytes] = set()
        self._checking = ThreadPoolExecutor(1, "broker-check")

    async def admits(self, username: str, password: str) -> bool:
        account = hashlib.blake2b(f"{username}\0{password}".encode(), key=self._key).digest()
        if account in self._admitted:
            return True
        admitted = await asyncio.get_running_loop().run_in_executor(self._checking, self._check, username, password)
        if admitted:
            self._admitted.add(account)
        return admitted

    def forget(self) -> None:
        """Ask `check` again about everybody who connects from now on."""
        self._admitted.clear()

    def close(self) -> None:
        self._checking.shutdown(cancel_futures=True)


class EmbeddedBroker:
    """A part of the process that is a broker; with `port` 0 it takes a free one, which `port` tells after `start`.

    It takes nothing from anybody before the account `awaited`, if one is named, has subscribed.
    """

    name = "broker"

    def __init__(self, check: Check, may: May, port: int = 0, host: str = "127.0.0.1", awaited: str = "") -> None:
        self._host, self._port, self._awaited = host, port, awaited
        self._doorkeeper = Doorkeeper(check, may)
        self._opened: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; waits for `start`."""
        return self._opened.result(_START_S)

    def start(self) -> None:
        """Listen; PartFailed when the port is taken."""
        for chatty in ("amqtt", "transitions"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        self._thread.start()
        try:
            self._opened.result(_START_S)
        except BrokerError as error:
            raise PartFailed(f"the embedded broker can't listen on {self._host}:{self._port}: {error}") from error

    def stop(self, timeout: float = 10.0) -> None:
        """End every connection and the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(timeout)
        self._doorkeeper.close()

    def forget_credentials(self) -> None:
        """Check every account anew at its next connection, because passwords have changed."""
        self._doorkeeper.forget()

    def kick(self, usernames: Collection[str]) -> None:
        """End the connections of these accounts; each that comes back is checked anew."""
        self._doorkeeper.forget()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._broker.end, frozenset(usernames))

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        self._ending = asyncio.Event()
        broker = self._broker = SessionBroker(self._host, self._port, self._doorkeeper, self._awaited)
        try:
            await broker.start()
        except BrokerError as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(broker.listening_port)
        await self._ending.wait()
        await broker.shutdown()


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A connection that broke off in the middle of a packet is everyday."""
    _log.debug("broker connection broke off", why=context.get("message"), error=repr(context.get("exception")))
