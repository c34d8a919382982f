"""A fleet of simulated gateways that publish over real MQTT what `devices.simulated` measures."""

import asyncio
import heapq
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiomqtt
import msgspec
import structlog

from core.clock import MILLISECOND, SECOND, Clock
from devices.simulated import Incident, SimulatedDevice
from ingest.formats.items import Measured

_ENTRIES = 50
_KEEPALIVE = 20  # s
_EXCEPTION_INTERVAL = SECOND
_AFTER = 2 * SECOND
_log = structlog.get_logger()


@dataclass
class SimulatedGateway:
    """One gateway: its credentials, its devices with their intervals (µs), and when it dies (0: never)."""

    code: str
    password: str
    devices: list[tuple[SimulatedDevice, int]]
    dies_at: int = 0


@dataclass
class Published:
    """What the broker acknowledged."""

    messages: int = 0
    readings: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, readings: int) -> None:
        """One more message with so many readings."""
        with self.lock:
            self.messages += 1
            self.readings += readings


class Fleet:
    """All gateways of a simulation, in a thread of its own. A device with an incident reports every second.

    Readings carry the time at which they are published. Stopping lets every publication under way be acknowledged, so
    that the counts are exact. `trust`: what makes a broker's certificate good, where it is reached by TLS.
    """

    name = "simulated gateways"

    def __init__(
        self,
        host: str,
        port: int,
        gateways: Sequence[SimulatedGateway],
        incidents: Mapping[str, Sequence[Incident]],
        clock: Clock,
        published: Published,
        on_connect: Callable[[], None] = lambda: None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._trust = trust
        self._host, self._port = host, port
        self._gateways = gateways
        self._incidents = incidents
        self._clock = clock
        self._published = published
        self._on_connect = on_connect
        self._announced: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        self._ending.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._gateway(gateway) for gateway in self._gateways))

    async def _gateway(self, gateway: SimulatedGateway) -> None:
        """Connect, publish until the end or the gateway's death, and connect again after a fault."""
        while not self._ending.is_set():
            with suppress(aiomqtt.MqttError):
                if await self._session(gateway):
                    return
            await asyncio.sleep(1)

    async def _session(self, gateway: SimulatedGateway) -> bool:
        """One connection; True when the gateway is done for good."""
        status = f"sw/v1/{gateway.code}/status"
        will = aiomqtt.Will(status, b"offline", qos=1, retain=True)
        client = aiomqtt.Client(
            self._host,
            self._port,
            username=gateway.code,
            password=gateway.password,
            identifier=gateway.code,
            will=will,
            keepalive=_KEEPALIVE,
            timeout=30,
            tls_context=self._trust,
        )
        async with client:
            await client.publish(status, b"online", qos=1, retain=True)
            self._on_connect()
            await self._publish_all(client, gateway)
            if self._ending.is_set():
                return True
            _drop(client)  # dies without a goodbye: the broker sends its will
            return True

    async def _publish_all(self, client: aiomqtt.Client, gateway: SimulatedGateway) -> None:
        due = self._first_due(gateway)
        while not self._ending.is_set():
            now = self._clock.now()
            if gateway.dies_at and now >= gateway.dies_at:
                return
            ready: list[SimulatedDevice] = []
            while due and due[0][0] <= now:
                at, place = heapq.heappop(due)
                device, interval = gateway.devices[place]
                ready.append(device)
                heapq.heappush(due, (self._next(device, at, interval, now), place))
            for start in range(0, len(ready), _ENTRIES):
                await self._send(client, gateway.code, ready[start : start + _ENTRIES])
            await self._send_events(client, gateway, now)
            pause = min(due[0][0] - self._clock.now(), SECOND // 2) if due else SECOND // 2
            await asyncio.sleep(max(pause, 0) / SECOND)

    def _first_due(self, gateway: SimulatedGateway) -> list[tuple[int, int]]:
        """Spread over each device's interval, by its code, so that not all report at once."""
        now = self._clock.now()
        due = []
        for place, (device, interval) in enumerate(gateway.devices):
            phase = interval * (sum(device.code.encode()) * 7919 % 997) // 997
            due.append((now if device.code in self._incidents else now + phase, place))
        heapq.heapify(due)
        return due

    def _next(self, device: SimulatedDevice, at: int, interval: int, now: int) -> int:
        """When a device reports next: after its interval; while something happens to it, at once and every second."""
        following = at + interval
        for incident in self._incidents.get(device.code, ()):
            if incident.start <= now < incident.start + incident.span + _AFTER:
                following = min(following, at + _EXCEPTION_INTERVAL)
            elif incident.start > now:
                following = min(following, incident.start)
        return max(following, now)

    async def _send(self, client: aiomqtt.Client, gateway: str, devices: Iterable[SimulatedDevice]) -> None:
        now = self._clock.now() // MILLISECOND * MILLISECOND
        entries = [Measured(device.code, dict(self._values(device, now)), now // MILLISECOND) for device in devices]
        await client.publish(f"sw/v1/{gateway}/telemetry", msgspec.json.encode({"readings": entries}), qos=1)
        self._published.count(sum(len(entry.values) for entry in entries))

    def _values(self, device: SimulatedDevice, at: int) -> dict[str, float]:
        return device.values(at, self._incidents.get(device.code, ()))

    async def _send_events(self, client: aiomqtt.Client, gateway: SimulatedGateway, now: int) -> None:
        for device, _ in gateway.devices:
            for incident in self._incidents.get(device.code, ()):
                for event in incident.events():
                    if (device.code, event.at) in self._announced[gateway.code] or event.at > now:
                        continue
                    body = {"t": event.at // MILLISECOND, "type": event.type, "attributes": event.attributes}
                    await client.publish(f"sw/v1/{gateway.code}/{device.code}/event", msgspec.json.encode(body), qos=1)
                    self._announced[gateway.code].add((device.code, event.at))
                    self._published.count(0)


def _drop(client: aiomqtt.Client) -> None:
    """Cut the connection without a goodbye."""
    connection = client._client.socket()
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
