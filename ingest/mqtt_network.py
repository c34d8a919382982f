"""The thread that keeps a paho client connected and carries its packets."""

import select
import socket
import threading
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
import structlog

from core.lifecycle import Worker

_LOOK = 200  # ms; how long a connection on which nothing happens is left alone
_GOODBYE, _GOODBYE_LOOK = 20, 50  # looks, ms each
_READ, _WRITE = select.POLLIN | select.POLLHUP | select.POLLERR, select.POLLOUT
_log = structlog.get_logger()


class Network:
    """Connects a client, again and again with growing pauses (`first` to `longest` s), and says goodbye at the end.

    It is used instead of paho's own thread because that one is woken by a system call for every packet that another
    thread queues, at each of which the queueing thread gives up the interpreter: thousands of acknowledgements a second
    then wait their turn behind whatever else computes. This one is woken once for all that waits.
    """

    def __init__(self, client: paho.Client, first: float, longest: float) -> None:
        self._client = client
        self._first, self._longest = first, longest
        self._bell: socket.socket | None = None
        self._worker = Worker("mqtt network", self._run)

    def start(self, host: str, port: int, keepalive: int) -> None:
        """Begin to connect; returns at once."""
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._client.on_socket_register_write = self._ring
        self._client.connect_async(host, port, keepalive)
        self._worker.start()

    def stop(self, timeout: float) -> None:
        """Disconnect and end the thread."""
        self._worker.stop(timeout)
        self._client.on_socket_register_write = None
        if self._bell is not None:
            self._ear.close()
            self._bell.close()
            self._bell = None

    def _ring(self, *_: Any) -> None:
        """Something waits to be written."""
        bell = self._bell
        if bell is not None:
            with suppress(OSError):  # it rings already, or the work has just ended
                bell.send(b"!")

    def _run(self, ending: threading.Event) -> None:
        pause = self._first
        while not ending.is_set():
            stood = self._connect() and self._talk(ending)
            pause = self._first if stood else min(2 * pause, self._longest)
            ending.wait(pause)

    def _connect(self) -> bool:
        try:
            self._client.reconnect()
        except (OSError, ValueError) as error:
            _log.warning("broker not reached: trying again", why=str(error))
            return False
        return True

    def _talk(self, ending: threading.Event) -> bool:
        """Read and write until the connection or the work ends; whether the broker had let us in."""
        client, poller, stood = self._client, select.poll(), False
        poller.register(self._ear, select.POLLIN)
        while (connection := client.socket()) is not None:
            if ending.is_set():
                self._say_goodbye()
                return True
            self._turn(poller, connection)
            stood = stood or client.is_connected()
        return stood

    def _turn(self, poller: select.poll, connection: Any) -> None:
        """Wait for something to happen, and do what there is to do."""
        client = self._client
        place = connection.fileno()
        if place < 0:
            client.loop_misc()
            return
        poller.register(place, _READ | (_WRITE if client.want_write() else 0))
        buffered = connection.pending() if hasattr(connection, "pending") else 0
        happened = dict(poller.poll(0 if buffered else _LOOK))
        if self._ear.fileno() in happened:
            self._hear()
        if buffered or happened.get(place, 0) & ~_WRITE:
            client.loop_read()
        if client.want_write() and client.socket() is not None:
            client.loop_write()
        client.loop_misc()
        if client.socket() is None:
            poller.unregister(place)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            self._ear.recv(4096)

    def _say_goodbye(self) -> None:
        client, poller = self._client, select.poll()
        client.disconnect()
        for _ in range(_GOODBYE):
            if (connection := client.socket()) is None:
                return
            poller.register(connection, _WRITE)
            poller.poll(_GOODBYE_LOOK)
            client.loop_write()
