"""Whom a broker outside this process lets in: it follows the registry while the platform runs."""

import threading
from collections.abc import Callable

import structlog

from devices.registry import Registry
from ingest.mqtt import BrokerAddress
from shouwang.broker_control import DynamicSecurity, PluginRefused
from shouwang.short_session import BrokerSilent

_TIMEOUT = 3.0  # s
_LOOK, _PAUSE = 0.5, 10.0  # s
_log = structlog.get_logger()


class Standings:
    """Who is shut out, brought to a broker whose accounts can be changed live (Mosquitto's dynamic security plugin).

    Where they can't, the gate refuses what a disabled gateway sends until somebody exports the accounts anew.
    """

    def __init__(self, address: BrokerAddress, registry: Callable[[], Registry]) -> None:
        self._address, self._registry = address, registry
        self._newest: Registry | None = None
        self._brought: frozenset[str] | None = None

    def read(self) -> Registry:
        """The registry as it is now, which `run` brings to the broker."""
        return self.follow(self._registry())

    def follow(self, registry: Registry) -> Registry:
        """Take this registry as the newest."""
        self._newest = registry
        return registry

    def cut(self, code: str) -> None:
        """End the connection of a gateway that was shut out."""
        try:
            with DynamicSecurity(self._address, timeout=_TIMEOUT) as plugin:
                plugin.bring(self._registry(), code)
        except OSError as error:
            _log.warning("the broker still lets the gateway in: `shouwang broker export` and reload it, or "
                         "`shouwang broker sync`", gateway=code, why=str(error))  # fmt: skip

    def run(self, ending: threading.Event) -> None:
        """Follow the registry until `ending`; a broker that is not there is tried again."""
        while not ending.wait(_LOOK):
            if not self.step():
                ending.wait(_PAUSE)

    def step(self) -> bool:
        """Bring to the broker who is shut out, if that changed since the last time; False when it is not there."""
        registry = self._newest
        disabled = frozenset(row.code for row in registry.town_gateways if row.disabled_at) if registry else None
        if registry is None or disabled == self._brought:
            return True
        try:
            with DynamicSecurity(self._address, timeout=_TIMEOUT) as plugin:
                for step in plugin.restand(registry):
                    _log.info("told the broker", step=str(step))
        except (BrokerSilent, PluginRefused) as error:
            _log.info("the broker's accounts can't be changed live: after a change `shouwang broker export` and reload",
                      why=str(error))  # fmt: skip
        except OSError as error:
            _log.warning("the broker was not told who is shut out: trying again", why=str(error))
            return False
        self._brought = disabled
        return True
