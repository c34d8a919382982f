"""Start and stop of long-lived parts: named, in order, last-in first-out, each thread under one supervisor."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import structlog

Work = Callable[[threading.Event], None]
"""Runs until the event is set; may raise, and is then run again."""

_log = structlog.get_logger()
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0


class PartFailed(Exception):
    """A part can't start; the text says why and what to do."""


class Part(Protocol):
    """Something that is started once and stopped once."""

    name: str

    def start(self) -> None:
        """Begin; raise when it can't."""
        ...

    def stop(self, timeout: float) -> None:
        """End within `timeout` seconds, finishing what is in hand."""
        ...


class Worker:
    """A named thread that runs `work` and, when it fails, runs it again after a growing pause.

    Work starts from its durable state each time, so that a failure loses nothing. This is the one place that catches
    every exception: a bug in one consumer must not take the others down.
    """

    def __init__(self, name: str, work: Work, on_failure: Callable[[str], None] | None = None) -> None:
        self.name = name
        self._work = work
        self._on_failure = on_failure
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                self._work(self._ending)
            except Exception:  # noqa: BLE001 - the task supervisor
                if time.monotonic() - began > _LONGEST_PAUSE:
                    pause = _FIRST_PAUSE  # it ran well for a while: this is a new fault
                _log.exception("task failed", task=self.name, again_in_s=pause)
                if self._on_failure:
                    self._on_failure(self.name)
            else:
                return
            self._ending.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def stop(self, timeout: float) -> None:
        self._ending.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            _log.warning("task did not end in time", task=self.name, timeout_s=timeout)


class Cleanup:
    """A part with nothing to start: `close` runs when everything started after it has stopped."""

    def __init__(self, name: str, close: Callable[[], None]) -> None:
        self.name = name
        self._close = close

    def start(self) -> None:
        pass

    def stop(self, timeout: float) -> None:  # noqa: ARG002 - the port's signature
        self._close()


class Lifecycle:
    """Parts in the order of their start; stopped last-in first-out within `drain` seconds in all."""

    def __init__(self, parts: list[Part], drain: float = 10.0) -> None:
        self._parts = parts
        self._drain = drain
        self._started: list[Part] = []

    def start(self) -> None:
        """Start all; when one can't, stop those that stand and raise."""
        for part in self._parts:
            try:
                part.start()
            except BaseException:
                self.stop()
                raise
            self._started.append(part)
            _log.info("started", part=part.name)

    def stop(self) -> None:
        """Stop what was started, in reverse; a part that fails to stop keeps no other from it, and is raised last."""
        parts, self._started = self._started, []
        until = time.monotonic() + self._drain
        with ExitStack() as stopping:
            for part in parts:
                stopping.callback(self._stop, part, until)

    def _stop(self, part: Part, until: float) -> None:
        """At most half of what is left, so that a part that hangs leaves time for those behind it."""
        part.stop(max(0.0, until - time.monotonic()) / 2)
        _log.info("stopped", part=part.name)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start, say that it is `ready`, wait for SIGTERM or SIGINT, and stop."""
        ending = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
        self.start()
        try:
            ready()
            while not ending.wait(0.5):
                pass
        finally:
            self.stop()


class Group:
    """A lifecycle as one part of another."""

    def __init__(self, name: str, lifecycle: Lifecycle) -> None:
        self.name = name
        self._lifecycle = lifecycle

    def start(self) -> None:
        self._lifecycle.start()

    def stop(self, timeout: float) -> None:  # noqa: ARG002 - the inner lifecycle has its own
        self._lifecycle.stop()
