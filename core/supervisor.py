"""Telling systemd how a service stands: ready, alive, and in words; nothing where nobody asked for it."""

import os
import socket

_ADDRESS = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Send `state` (lines such as READY=1, WATCHDOG=1, STATUS=…) where the service's supervisor listens.

    The protocol is that of sd_notify(3). Whether anybody heard it is not known, nor needed.
    """
    address = os.environ.get(_ADDRESS, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.send(state.encode())
