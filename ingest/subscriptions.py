"""What a persistent session is subscribed to, kept in a file: a filter of an earlier run must not stay for ever."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

_log = structlog.get_logger()


class Change(NamedTuple):
    """Topic filters to subscribe to and to unsubscribe from."""

    new: list[str]
    gone: list[str]


class Subscriptions:
    """The wanted topic filters, and those that the broker may still hold for the session.

    A filter is written down before it is asked for and struck out when it was let go, so that a kill in between leaves
    nothing unknown at the broker. Without a file, or with one that can't be written, it knows only of this run.
    """

    def __init__(self, wanted: Iterable[str], file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._wanted = list(wanted)
        self._file = file
        self._held = self._written = self._read()
        self._asked: set[str] = set()

    @property
    def wanted(self) -> Sequence[str]:
        """What the session must be subscribed to, in order."""
        return self._wanted

    def want(self, wanted: Iterable[str]) -> None:
        """Want these from now on; `begin` tells what that changes."""
        with self._lock:
            self._wanted = list(wanted)

    def begin(self, anew: bool) -> Change:
        """What must be done at the broker; written down first. `anew`: the connection is new, ask for all."""
        with self._lock:
            wanted = set(self._wanted)
            new = [topic for topic in self._wanted if anew or topic not in self._asked]
            self._asked = wanted
            gone = sorted(self._held - wanted)
            self._keep(self._held | wanted)
            return Change(new, gone)

    def let_go(self, topics: Iterable[str]) -> None:
        """The broker holds these no longer."""
        with self._lock:
            self._keep((self._held - set(topics)) | set(self._wanted))

    def _keep(self, held: set[str]) -> None:
        self._held = held
        if self._file is None or held == self._written:
            return
        unfinished = self._file.with_name(self._file.name + ".part")
        try:
            unfinished.write_bytes(msgspec.json.encode(sorted(held)))
            unfinished.replace(self._file)
        except OSError as error:  # to hear is worth more than to let go after a kill
            _log.warning("subscriptions not written down", why=str(error))
        else:
            self._written = held

    def _read(self) -> set[str]:
        if self._file is None or not self._file.exists():
            return set()
        try:
            return set(msgspec.json.decode(self._file.read_bytes(), type=list[str]))
        except (msgspec.DecodeError, OSError) as error:
            _log.warning("earlier subscriptions not known", why=str(error))
            return set()
