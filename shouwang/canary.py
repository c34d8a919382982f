"""The canary: a reading of the platform's own, sent to the broker every few seconds and looked for at each hop."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from core.clock import MILLISECOND, SECOND, Clock
from core.journal import Journal
from core.lifecycle import Worker
from devices.canary import BEAT, CANARY
from ingest.formats.items import Measured
from ingest.formats.v1 import PREFIX, telemetry
from ingest.mqtt import BrokerAddress, sign_in
from ingest.store import ReadingStore, StoreError
from ingest.writer import StoreWriter

TOPIC = f"{PREFIX}{CANARY}/telemetry"
_KEEPALIVE = 30  # s
_LOOK = 1.0  # s
_KEPT = 100
_log = structlog.get_logger()


class Standing(NamedTuple):
    """How long no beat went the whole way (s), and the first hop that none of them passed; "" while they all do."""

    age: float
    hop: str


class Hop(NamedTuple):
    """A stage of the way; `newest` is the time (µs) of the newest beat that passed, None while that says nothing."""

    name: str
    newest: Callable[[], int | None]


def standing(hops: Sequence[tuple[str, int | None]], began: int, now: int, limit: int) -> Standing | None:
    """What the hops' newest beats say; times in µs, `limit` how old the newest may be.

    None while none passed since `began` and the limit's time is not over: a start neither ends a fault nor makes one.

    >>> standing([("broker", 95), ("journal", 90), ("detection", None)], began=0, now=100, limit=30)
    Standing(age=1e-05, hop='')
    >>> standing([("broker", 95), ("journal", 60)], began=0, now=100, limit=30).hop
    'journal'
    >>> standing([("broker", 0), ("journal", 0)], began=80, now=100, limit=30) is None
    True
    """
    told = [(name, newest) for name, newest in hops if newest is not None]
    oldest = min((newest for _, newest in told), default=now)
    if oldest < began and now - began < limit:
        return None
    late = next((name for name, newest in told if now - max(newest, began) >= limit), "")
    return Standing((now - max(oldest, began)) / SECOND, late)


class Passage:
    """The beats that were journalled, to be looked for behind the journal: (time, when and where that was seen)."""

    def __init__(self, journal: Journal, beat: Callable[[], int]) -> None:
        self._journal, self._beat = journal, beat
        self._seen: deque[tuple[int, int, int]] = deque([(0, 0, 0)], maxlen=_KEPT)
        self._stored = 0

    def look(self, now: int) -> None:
        """Note a beat that was journalled since the last look."""
        beat = self._beat()
        if beat not in (0, self._seen[-1][0]):  # an earlier one where the clock was set back
            self._seen.append((beat, now, self._journal.head().n))

    def journalled(self) -> int:
        """The newest beat that is in the journal."""
        return self._seen[-1][0]

    def detected(self, reached: int) -> int:
        """The newest beat that detection has gone past, which has come to the time `reached`."""
        return next((at for at, seen, _ in reversed(self._seen) if seen <= reached), 0)

    def stored(self, store: ReadingStore, series: int) -> int | None:
        """The newest beat of those that the store's consumer says are stored; None when they are, or it says nothing.

        A store that is away or behind is another fault's matter: here is only seen what it took and does not have.
        """
        acknowledged = self._journal.acknowledged(StoreWriter.consumer).n
        due = next((at for at, _, n in reversed(self._seen) if n <= acknowledged), 0)
        if due in (0, self._stored):
            return None
        try:
            point = store.latest([series]).get(series)
        except StoreError:
            return None
        if point is None or point.at < due:
            return self._stored
        self._stored = due
        return None


class Canary:
    """Sends a beat every `interval` µs, on a connection of its own, and knows how far the beats came.

    `hops` are what lies behind the broker, in their order; `look` is called before they are asked. `beats` is how many
    the broker took.
    """

    name = "canary"

    def __init__(
        self, address: BrokerAddress, clock: Clock, interval: int, look: Callable[[int], None], hops: Sequence[Hop]
    ) -> None:
        self.beats = 0
        self._address, self._clock, self._interval = address, clock, interval
        self._look, self._hops = look, [Hop("broker", lambda: self._taken), *hops]
        self._sent: deque[tuple[int, paho.MQTTMessageInfo]] = deque()
        self._taken = self._due = self._number = 0
        self._began = self._looked = 0
        self._standing: Standing | None = None
        self._late = ""
        self._worker: Worker | None = None
        self._client = self._make_client()

    @property
    def limit(self) -> int:
        """How old the newest beat that went the whole way may be, µs."""
        return 3 * self._interval

    def _make_client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{self._address.client_id}-canary")
        sign_in(client, self._address)
        client.reconnect_delay_set(1, 15)
        return client

    def start(self) -> None:
        self._client.connect_async(self._address.host, self._address.port, _KEEPALIVE)
        self._client.loop_start()
        self._worker = Worker("canary beats", self._run)
        self._worker.start()

    def stop(self, timeout: float) -> None:
        """End, after the broker has answered for what was sent; a second time it does nothing."""
        if self._worker is None:
            return
        self._worker.stop(timeout)
        self._worker = None
        for _, message in self._sent:
            if self._client.is_connected():
                with suppress(RuntimeError):  # the connection ended just now
                    message.wait_for_publish(timeout)
        self._settle()
        self._client.disconnect()
        self._client.loop_stop()

    def standing(self) -> Standing | None:
        """How the beats fared at the last look; None when that is not known yet."""
        return self._standing

    def _run(self, ending: threading.Event) -> None:
        while not ending.wait(min(_LOOK, self._interval / SECOND / 10)):
            self.step(self._clock.now())

    def step(self, now: int) -> None:
        """Send what is due, and see how far the beats came."""
        if not 0 <= now - self._looked < self._interval:  # the first look, or time jumped: what was before says nothing
            self._began = self._due = now
        self._looked = now
        if now >= self._due and self._client.is_connected():
            self._send(now)
            self._due = now + self._interval
        self._settle()
        self._look(now)
        newest = [(hop.name, hop.newest()) for hop in self._hops]
        self._standing = standing(newest, self._began, now, self.limit)
        self._tell()

    def _send(self, now: int) -> None:
        at = now // MILLISECOND * MILLISECOND
        self._number += 1
        beat = Measured(CANARY, {BEAT: self._number}, at // MILLISECOND)
        message = self._client.publish(TOPIC, telemetry([beat]), qos=1)
        if message.rc is MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._sent.append((at, message))

    def _settle(self) -> None:
        """Take up what the broker has answered for."""
        while self._sent and self._sent[0][1].is_published():
            self._taken, _ = self._sent.popleft()
            self.beats += 1

    def _tell(self) -> None:
        """Say it in the log too: where detection itself stands still, no alert will."""
        late = self._standing.hop if self._standing else self._late
        if late and late != self._late:
            _log.error("the canary is missed: readings may not go the whole way", not_past=late, topic=TOPIC)
        elif self._late and not late:
            _log.info("the canary goes the whole way again")
        self._late = late
