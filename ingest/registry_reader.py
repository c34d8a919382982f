"""Reads a newer registry away from the thread that judges: a million series take seconds, a database may be down."""

import threading
from collections import deque
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from devices.registry import Registry, RegistryError
from ingest.admission import Admission

_LOOK = 0.5  # s
_PAUSE = 10.0  # s
_log = structlog.get_logger()


class RegistryReader:
    """`ask` from any thread; what `taken` returns is whole, and as new as the last ask that could be answered."""

    def __init__(self, load: Callable[[], Registry], admission: Callable[[Registry], Admission]) -> None:
        self._load, self._admission = load, admission
        self._asked = threading.Event()
        self._ready: deque[Admission] = deque(maxlen=1)

    def ask(self) -> None:
        """The registry has changed."""
        self._asked.set()

    def taken(self) -> Admission | None:
        """What was read since the last call, None when there is nothing new."""
        return self._ready.pop() if self._ready else None

    def run(self, ending: threading.Event) -> None:
        """Read whenever it was asked for; a database that is down is asked again every ten seconds."""
        while not ending.is_set():
            if self._asked.wait(_LOOK) and not self.read():
                ending.wait(_PAUSE)

    def read(self) -> bool:
        """Read now; False when that failed and is still asked for."""
        self._asked.clear()
        try:
            self._ready.append(self._admission(self._load()))
        except (SQLAlchemyError, RegistryError) as error:
            _log.warning("registry not read: trying again", why=str(error))
            self._asked.set()
            return False
        return True
