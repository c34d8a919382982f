"""The broker inside the platform, for demonstrations and development: who may connect and where each may publish."""

import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from devices.credentials import verify
from devices.registry import Registry
from ingest.embedded_broker import Check, EmbeddedBroker, own_topics

PLATFORM = "platform"
_SECRET_FILE = "embedded-broker.secret"


def platform_password(state: Path) -> str:
    """The platform's own password at the embedded broker: made once, readable by its owner only."""
    file = state / _SECRET_FILE
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_urlsafe(24))
    return file.read_text()


class EmbeddedBrokerPart:
    """Starts before the platform's session and stops after it. `gateways` overrides the registered credentials."""

    name = "embedded broker"

    def __init__(self, url: str, state: Path, registry: Callable[[], Registry], gateways: Check | None = None) -> None:
        self._password = platform_password(state)
        self._registry = registry
        self._gateways = gateways or self._registered
        parts = urlsplit(url)
        self._broker = EmbeddedBroker(
            self._check, own_topics(PLATFORM), parts.port or 1883, parts.hostname or "127.0.0.1"
        )
        self.url = f"mqtt://{PLATFORM}:{self._password}@{parts.hostname or '127.0.0.1'}:{parts.port or 1883}"

    def _check(self, username: str, password: str) -> bool:
        if username == PLATFORM:
            return hmac.compare_digest(password.encode(), self._password.encode())
        return self._gateways(username, password)

    def _registered(self, username: str, password: str) -> bool:
        gateway = self._registry().gateways.get(username)
        return gateway is not None and bool(gateway.password_hash) and verify(gateway.password_hash, password)

    def follow(self) -> Registry:
        """The registry as it is now; whoever connects from now on is checked against it."""
        self._broker.forget_credentials()
        return self._registry()

    def start(self) -> None:
        self._broker.start()

    def stop(self, timeout: float) -> None:
        self._broker.stop(timeout)
