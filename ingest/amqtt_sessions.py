"""amqtt's broker with sessions that keep their promises.

amqtt 0.12 gives a QoS 1 message up when its subscriber doesn't acknowledge it within 5 s or goes away, marks what it
queued for an absent session as retained, loses messages while somebody subscribes, sends every retained message to
everybody who connects, lets a refused login take over a session, and never misses a client that vanished. Here a
message stays with the session until it is acknowledged, and access is checked before anything changes. Its packets,
streams, retained messages and topic matching are used as they are.
"""
# mypy: disallow-subclassing-any=False

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

import structlog
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, MQTTError
from amqtt.mqtt.connack import IDENTIFIER_REJECTED, NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.puback import PubackPacket
from amqtt.session import INCOMING, OutgoingApplicationMessage, Session

_log = structlog.get_logger()
_WINDOW = 1_000
"""So many messages may be on their way to one subscriber, unacknowledged."""

BEHIND = 4_000
"""With so many messages waiting for one present subscriber nothing more is taken from anybody."""

Route = Callable[[Session, Any], Awaitable[bool]]


class Access(Protocol):
    """Who may connect and what they may do."""

    async def admits(self, username: str, password: str) -> bool:
        """Whether these are the credentials of an account."""
        ...

    def may(self, username: str, action: str, topic: str) -> bool:
        """Whether the account may "publish" to this topic or "subscribe" to this filter."""
        ...


class _Connection(BrokerProtocolHandler):
    """One client's connection: routes what comes before it acknowledges it, resends what wasn't acknowledged."""

    route: Route
    relieved: Callable[[Session], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._window = asyncio.Semaphore(_WINDOW)
        self._deliveries: set[asyncio.Task[None]] = set()

    def deliver(self, message: OutgoingApplicationMessage) -> None:
        """Send a message without waiting for it; its place is behind those given before."""
        task = asyncio.create_task(self._deliver(message))
        self._deliveries.add(task)
        task.add_done_callback(self._delivered)

    async def _deliver(self, message: OutgoingApplicationMessage) -> None:
        async with self._window:
            await self._handle_message_flow(message)
        self.relieved(self.session)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.debug("delivery broke off", why=repr(error))

    async def _handle_qos0_message_flow(self, app_message: Any) -> None:
        if app_message.direction == INCOMING:
            await self._take(app_message)
        else:
            await super()._handle_qos0_message_flow(app_message)

    async def _handle_qos1_message_flow(self, app_message: Any) -> None:
        if app_message.direction == INCOMING:
            if await self._take(app_message):
                await self._send_packet(PubackPacket.build(app_message.packet_id))
            return
        number = app_message.packet_id
        acknowledged = self._puback_waiters[number] = asyncio.get_running_loop().create_future()
        packet = app_message.build_publish_packet(dup=app_message.publish_packet is not None)
        try:
            await self._send_packet(packet)
            app_message.publish_packet = packet
            app_message.puback_packet = await acknowledged
        finally:
            self._puback_waiters.pop(number, None)

    async def handle_puback(self, puback: Any) -> None:
        """What is acknowledged never comes again, even when the connection ends in the same moment."""
        self.session.inflight_out.pop(puback.variable_header.packet_id, None)
        await super().handle_puback(puback)

    async def _take(self, message: Any) -> bool:
        """Route a message; one that breaks the protocol ends the connection."""
        routed = await self.route(self.session, message)
        if not routed:
            await self.handle_connection_closed()
        return routed

    async def _retry_deliveries(self) -> None:
        for message in [*self.session.inflight_in.values(), *self.session.inflight_out.values()]:
            self.deliver(message)

    def handle_read_timeout(self) -> None:
        """A client that was silent for longer than it promised has vanished: its connection ends, its will is due."""
        if self._reader_task:
            self._reader_task.cancel()

    async def stop(self) -> None:
        for task in self._deliveries:
            task.cancel()
        await super().stop()


class SessionBroker(Broker):
    """An amqtt broker whose sessions survive their connections, for accounts that `access` admits.

    Until the account `awaited` has subscribed to something, nothing is taken from any other: it would be acknowledged
    and lost.
    """

    def __init__(self, host: str, port: int, access: Access, awaited: str = "") -> None:
        listener = {"type": "tcp", "bind": f"{host}:{port}"}
        super().__init__({"listeners": {"default": listener}, "plugins": {}})
        self._access = access
        self._serving: dict[str, asyncio.Task[Any]] = {}
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._behind: set[str] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._awaited = awaited
        self._heeded = asyncio.Event()
        if not awaited:
            self._heeded.set()

    @property
    def listening_port(self) -> int:
        """The TCP port, known after `start`."""
        return int(self._servers["default"].instance.sockets[0].getsockname()[1])

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve a connection and close its socket, which amqtt leaves open when it is interrupted while closing."""
        task = _this_task()
        self._connections[task] = writer
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()
            del self._connections[task]

    async def _initialize_client_session(
        self, reader: Any, writer: Any, remote_address: str, remote_port: int
    ) -> tuple[_Connection, Session]:
        """Read CONNECT and admit or refuse the client; no session is touched before it is admitted."""
        try:
            connection, session = await _Connection.init_from_connect(reader, writer, self.plugins_manager)
            if refusal := await self._refusal(session):
                await ConnackPacket.build(0, refusal).to_stream(writer)
                raise MQTTError(f"{session.username} at {remote_address}:{remote_port} is refused with code {refusal}")
        except BaseException:
            await writer.close()
            raise
        connection.route, connection.relieved = self._route, self._relieve
        session.keep_alive += session.keep_alive // 2
        return connection, session

    async def _refusal(self, session: Session) -> int | None:
        """The CONNACK code that refuses this client, None when it is welcome."""
        if not session.username or not await self._access.admits(session.username, session.password or ""):
            return int(NOT_AUTHORIZED)
        if session.will_flag and not self._access.may(session.username, "publish", session.will_topic or ""):
            return int(NOT_AUTHORIZED)
        older, _ = self._sessions.get(session.client_id, (None, None))
        if older is not None and older.username != session.username:
            return int(IDENTIFIER_REJECTED)
        return None

    async def _handle_client_session(
        self, reader: Any, writer: Any, client_session: Session, handler: Any, *_listener: Any
    ) -> None:
        """Serve one connection from CONNACK to its end, after an older one of the same client has ended."""
        number = client_session.client_id
        while older := self._serving.get(number):
            older.cancel()
            await asyncio.wait([older])
        self._serving[number] = _this_task()
        session = await self._resume(client_session)
        handler.attach(session, reader, writer)
        self._sessions[number] = (session, handler)
        try:
            await handler.mqtt_connack_authorize(True)
            await handler.start()
            session.transitions.connect()
            await self._client_message_loop(session, handler)
        finally:
            if session.transitions.is_connected():
                await self._handle_disconnect(session, handler, _done(None))
            self._excuse(session)
            await self._stop_handler(handler)
            del self._serving[number]

    async def _resume(self, fresh: Session) -> Session:
        """The client's kept session with the new connection's will, or the fresh one when nothing is to be kept."""
        older, _ = self._sessions.get(fresh.client_id, (None, None))
        if older is None or older.clean_session or fresh.clean_session:
            await self._delete_session(fresh.client_id)
            return fresh
        for name in ("will_flag", "will_retain", "will_qos", "will_topic", "will_message", "keep_alive"):
            setattr(older, name, getattr(fresh, name))
        older.parent = 1
        return older

    async def _cleanup_session(self, client_id: str) -> None:
        if client_id not in self._serving:
            await super()._cleanup_session(client_id)

    async def _route(self, session: Session, message: Any) -> bool:
        """Pass a message on to its subscribers if its sender may send it; False when its topic breaks the protocol."""
        if session.username != self._awaited:
            await self._heeded.wait()
        while not self._room.is_set():
            await self._room.wait()
        return bool(await self._handle_message_delivery(session, None, _done(message)))

    def _relieve(self, session: Session) -> None:
        """Take messages again once every subscriber that is here is at most half as far behind as is allowed."""
        if session.client_id in self._behind and len(session.inflight_out) <= BEHIND // 2:
            self._excuse(session)

    def _excuse(self, session: Session) -> None:
        self._behind.discard(session.client_id)
        if not self._behind:
            self._room.set()

    async def _handle_subscription(self, client_session: Session, handler: Any, subscribe_waiter: Any) -> None:
        await super()._handle_subscription(client_session, handler, subscribe_waiter)
        if client_session.username == self._awaited:
            self._heeded.set()

    async def _topic_filtering(self, session: Session, topic: str, action: str) -> bool:
        return self._access.may(session.username, str(action), topic)

    async def _run_broadcast(self, _running_tasks: Any) -> None:
        while True:
            broadcast = await self._broadcast_queue.get()
            topic, data = broadcast["topic"], broadcast["data"]
            for session, qos in self._subscribers(topic):
                self._send(session, topic, data, min(qos, broadcast.get("qos", qos)), retain=False)

    def _subscribers(self, topic: str) -> list[tuple[Session, int]]:
        """Each session with a filter that matches, once, with the highest QoS it asked for."""
        found: dict[str, tuple[Session, int]] = {}
        for topic_filter, subscriptions in self._subscriptions.items():
            if self._matches(topic, topic_filter):
                for session, qos in subscriptions:
                    _, most = found.get(session.client_id, (session, 0))
                    found[session.client_id] = (session, max(qos, most))
        return list(found.values())

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        topic_filter, asked = subscription
        for topic, retained in self._retained_messages.items():
            if self._matches(topic, topic_filter):
                qos = asked if retained.qos is None else min(asked, retained.qos)
                self._send(session, topic, retained.data, qos, retain=True)

    def _send(self, session: Session, topic: str, data: bytes, qos: int, retain: bool) -> None:
        """Give a message to a session: sent now, or with QoS 1 and 2 when its client is back."""
        present = session.transitions.is_connected()
        if not present and (session.clean_session or not qos):
            return
        message = OutgoingApplicationMessage(None, topic, qos, data, retain)
        if qos:
            try:
                message.packet_id = session.next_packet_id
            except AMQTTError:
                _log.exception("broker queue full", client=session.client_id, topic=topic)
                return
            session.inflight_out[message.packet_id] = message
        if present and len(session.inflight_out) >= BEHIND:
            self._behind.add(session.client_id)
            self._room.clear()
        if present:
            self._get_handler(session).deliver(message)

    def end(self, usernames: Collection[str]) -> None:
        """End the connections of these accounts; their wills are due."""
        for number, task in self._serving.items():
            if self._sessions[number][0].username in usernames:
                task.cancel()

    async def shutdown(self) -> None:
        """End every connection, then the broker."""
        connections = dict(self._connections)
        for task, writer in connections.items():
            writer.transport.abort()
            task.cancel()
        if connections:
            await asyncio.wait(connections)
        await super().shutdown()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _done(result: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future
