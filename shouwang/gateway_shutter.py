"""Shutting a gateway out while the platform runs: in the registry, then at the broker, and it stays shut."""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import Engine

from core.clock import Clock
from core.database import reading, writing
from devices.gateways import UnknownGateway, disable_gateway, list_gateways
from devices.tables import registry as registry_table
from ingest.mqtt import BrokerAddress
from ingest.words import Control, RegistryChanged
from shouwang.broker_control import DynamicSecurity, PluginRefused

_log = structlog.get_logger()
_LOOK = 0.5  # s


class BrokerAccounts(Protocol):
    """The broker's way to shut an account out."""

    def disable(self, code: str) -> None:
        """Disconnect a gateway and let it in no more. Raises OSError when the broker does not do it."""
        ...


class DynamicAccounts:
    """A Mosquitto with the dynamic security plugin."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address

    def disable(self, code: str) -> None:
        with DynamicSecurity(self._address) as plugin:
            plugin.run([{"command": "disableClient", "username": code}])


class _Order(NamedTuple):
    gateway: str
    why: str


class GatewayShutter:
    """Disables gateways on request, each once; `run` is a worker's, `disable` may be called from any thread.

    The registry is written first: what the broker does not do, for want of a live way or because it is away, the gate
    does from then on, which refuses all that a disabled gateway sends.
    """

    def __init__(
        self, engine: Engine, clock: Clock, control: Callable[[Control], None], accounts: BrokerAccounts
    ) -> None:
        self._engine, self._clock = engine, clock
        self._control, self._accounts = control, accounts
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()

    def disable(self, gateway: str, why: str) -> None:
        """Ask for a gateway to be shut out; returns at once."""
        self._orders.put(_Order(gateway, why))

    def run(self, ending: threading.Event) -> None:
        """Shut out what an earlier run left to do, then whatever is asked for."""
        with reading(self._engine) as connection:
            shut = [row.code for row in list_gateways(connection) if row.disabled_at]
        for code in shut:
            self._at_broker(code)
        while not ending.is_set():
            try:
                order = self._orders.get(timeout=_LOOK)
            except queue.Empty:
                continue
            self._shut(order)

    def _shut(self, order: _Order) -> None:
        try:
            with writing(self._engine) as connection:
                changed = disable_gateway(connection, order.gateway, order.why, self._clock.now())
                version = connection.execute(registry_table.select()).one().version
        except UnknownGateway:
            return  # retired meanwhile
        if not changed:
            return
        _log.error("gateway disabled", gateway=order.gateway, why=order.why)
        self._control(RegistryChanged(version))
        self._at_broker(order.gateway)

    def _at_broker(self, code: str) -> None:
        try:
            self._accounts.disable(code)
        except PluginRefused as refused:
            _log.warning("the broker has no such account to disable", gateway=code, why=str(refused))
        except OSError as error:
            _log.warning(
                "the gateway is refused at the gate only: export the broker's files anew and reload it, or use its "
                "dynamic security",
                gateway=code,
                why=str(error),
            )
