"""Telling systemd how a service stands: ready, alive, and in words; nothing where nobody asked for it."""

import os
import socket
from contextlib import suppress

_ADDRESS = "NOTIFY_SOCKET"
_PATIENCE = 1.0  # s


def notify(state: str) -> None:
    """Send `state` (lines such as READY=1, WATCHDOG=1, STATUS=…) where the service's supervisor listens.

    The protocol is that of sd_notify(3). Whether anybody heard it is not known, nor needed: nothing waits for it.
    """
    address = os.environ.get(_ADDRESS, "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.settimeout(_PATIENCE)
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.send(state.encode())
