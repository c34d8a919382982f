"""Shutting out gateways that flood on, away from the thread that found it out."""

import threading
from collections import deque
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from core.clock import Clock
from core.database import writing
from core.journal import JournalError
from devices.gateways import UnknownGateway, disable_gateway

_LOOK = 0.5  # s
_log = structlog.get_logger()


class Disabling:
    """`ask` from any thread; a worker writes it into the registry, says so, and cuts the gateway's connection.

    `changed` journals the registry's new version; `cut` ends a gateway's connection at the broker. Whatever fails is
    tried again: done twice, nothing changes.
    """

    def __init__(self, engine: Engine, clock: Clock, changed: Callable[[], None], cut: Callable[[str], None]) -> None:
        self._engine, self._clock = engine, clock
        self._changed, self._cut = changed, cut
        self._asked: deque[tuple[str, str]] = deque()

    def ask(self, gateway: str, why: str) -> None:
        """The gateway must be shut out."""
        self._asked.append((gateway, why))

    def run(self, ending: threading.Event) -> None:
        """Do what is asked for until `ending`."""
        while not ending.wait(_LOOK):
            self.step()

    def step(self) -> None:
        """Do all that is asked for, as far as database and journal take it."""
        while self._asked:
            gateway, why = self._asked[0]
            try:
                with writing(self._engine) as connection:
                    disable_gateway(connection, gateway, why, self._clock.now())
                self._changed()
            except UnknownGateway:
                _log.info("a gateway that floods was retired meanwhile", gateway=gateway)
            except (SQLAlchemyError, JournalError) as error:
                _log.warning("gateway not shut out: trying again", gateway=gateway, why=str(error))
                return
            else:
                _log.error("gateway shut out", gateway=gateway, why=why)
            self._cut(gateway)
            self._asked.popleft()
