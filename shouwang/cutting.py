"""Ending the connection of a gateway that was shut out, at a broker outside this process."""

from collections.abc import Callable

import structlog

from devices.registry import Registry
from ingest.mqtt import BrokerAddress
from shouwang.broker_control import DynamicSecurity

_TIMEOUT = 3.0  # s
_log = structlog.get_logger()


def cutting(address: BrokerAddress, registry: Callable[[], Registry]) -> Callable[[str], None]:
    """What brings a gateway's standing to the broker, as far as its accounts can be changed live.

    Where they can't, the gate refuses what the gateway sends until somebody exports the accounts anew.
    """

    def cut(code: str) -> None:
        try:
            with DynamicSecurity(address, timeout=_TIMEOUT) as plugin:
                plugin.bring(registry(), code)
        except OSError as error:
            _log.warning("the broker still lets the gateway in: `shouwang broker export` and reload it, or "
                         "`shouwang broker sync`", gateway=code, why=str(error))  # fmt: skip

    return cut
