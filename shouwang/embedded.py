"""The broker inside the platform, for demonstrations and development: who may connect and where each may publish."""

import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from devices.credentials import verify
from devices.registry import Registry
from ingest.embedded_broker import Check, EmbeddedBroker, own_topics
from ingest.mqtt import BrokerAddress
from ingest.routes import Routes
from ingest.topic_rights import Rights, gateway_rights, town_rights
from shouwang.kept_secrets import kept_secret

PLATFORM = "platform"
_SECRET_FILE = "embedded-broker.secret"


def platform_password(state: Path) -> str:
    """The platform's own password at the embedded broker: made once, readable by its owner only."""
    return kept_secret(state / _SECRET_FILE)


class _Accounts(NamedTuple):
    """The gateways as the broker last heard of them: hashes of those that may connect, who may not, who may what."""

    hashes: Mapping[str, str]
    barred: frozenset[str]
    rights: Mapping[str, Rights]

    @classmethod
    def of(cls, registry: Registry, client_id: str) -> "_Accounts":
        rows = registry.gateways.values()
        return cls(
            {row.code: row.password_hash for row in rows if not row.disabled_at},
            frozenset(row.code for row in rows if row.disabled_at),
            town_rights(Routes(registry), registry.gateways, client_id).gateways,
        )


class EmbeddedBrokerPart:
    """Starts before the platform's session and stops after it. `gateways` overrides the registered credentials."""

    name = "embedded broker"

    def __init__(self, url: str, state: Path, registry: Callable[[], Registry], gateways: Check | None = None) -> None:
        self._password = platform_password(state)
        self._registry = registry
        self._gateways = gateways or self._registered
        self._accounts = _Accounts({}, frozenset(), {})
        parts = urlsplit(url)
        rights = own_topics(PLATFORM, self._rights)
        self._broker = EmbeddedBroker(
            self._check, rights, parts.port or 1883, parts.hostname or "127.0.0.1", awaited=PLATFORM
        )
        self.url = f"mqtt://{PLATFORM}:{self._password}@{parts.hostname or '127.0.0.1'}:{parts.port or 1883}"

    def _check(self, username: str, password: str) -> bool:
        if username == PLATFORM:
            return hmac.compare_digest(password.encode(), self._password.encode())
        return username not in self._accounts.barred and self._gateways(username, password)

    def _registered(self, username: str, password: str) -> bool:
        gateway = self._registry().gateways.get(username)
        if gateway is None or gateway.disabled_at or not gateway.password_hash:
            return False
        return verify(gateway.password_hash, password)

    def _rights(self, username: str) -> Rights:
        return self._accounts.rights.get(username) or gateway_rights(username)

    def follow(self) -> Registry:
        """The registry as it is now.

        Whoever connects from now on is checked against it; a gateway that lost its password, got a new one, was
        disabled or retired is disconnected.
        """
        registry = self._registry()
        before, self._accounts = self._accounts, _Accounts.of(registry, BrokerAddress.client_id)
        after = self._accounts.hashes
        self._broker.kick([code for code, password_hash in before.hashes.items() if after.get(code) != password_hash])
        return registry

    def disable(self, code: str) -> None:
        """Disconnect a gateway that was disabled and let it in no more; `follow` lets it in once it is enabled."""
        self._accounts = self._accounts._replace(barred=self._accounts.barred | {code})
        self._broker.kick([code])

    def start(self) -> None:
        self._accounts = _Accounts.of(self._registry(), BrokerAddress.client_id)
        self._broker.start()

    def stop(self, timeout: float) -> None:
        self._broker.stop(timeout)
