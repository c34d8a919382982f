"""What a broker should know of the town: an account a gateway, and what each may do."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from devices.credentials import Pbkdf2Hash
from devices.registry import GatewayRow, Registry
from ingest.routes import Routes
from ingest.topic_rights import Rights, town_rights


class BrokerAccount(NamedTuple):
    """A gateway's account: `password` is None when it has none, or one that is hashed as only we can read it.

    `fingerprint` tells one password of the gateway from another without telling anything about it; empty: it has none.
    """

    username: str
    password: Pbkdf2Hash | None
    fingerprint: str
    disabled: bool
    rights: Rights

    @property
    def admitted(self) -> bool:
        """May it connect to a broker that reads our hashes?"""
        return self.password is not None and not self.disabled


class BrokerTown(NamedTuple):
    """All accounts by username, the platform's rights, and what an operator should mend."""

    accounts: Mapping[str, BrokerAccount]
    platform: Rights
    problems: tuple[str, ...]


def broker_town(registry: Registry, platform: str, client_id: str) -> BrokerTown:
    """The accounts of a registry's gateways at a broker where the platform is the user `platform`."""
    rows = {row.code: row for row in registry.town_gateways}
    routes = Routes(registry)
    rights = town_rights(routes, rows, client_id)
    problems = [f"{code}: {why}" for code, why in routes.problems.items() if code not in routes.dialects]
    problems += [f"{code}: {why}" for code, why in rights.problems]
    reserved = {platform, client_id}
    problems += [f"{code}: the code is the platform's own; it gets no account" for code in rows if code in reserved]
    accounts = {code: _account(row, rights.gateways[code]) for code, row in rows.items() if code not in reserved}
    problems += [
        f"{account.username}: its password is hashed as no broker reads it: `shouwang gateway password "
        f"{account.username}` gives it a new one"
        for account in accounts.values()
        if account.fingerprint and account.password is None
    ]
    return BrokerTown(accounts, rights.platform, tuple(problems))


def _account(row: GatewayRow, rights: Rights) -> BrokerAccount:
    password = Pbkdf2Hash.parse(row.password_hash)
    return BrokerAccount(row.code, password, fingerprint(row.password_hash), bool(row.disabled_at), rights)


def fingerprint(password_hash: str) -> str:
    """64 bits that tell this hash from another; empty for no password."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16] if password_hash else ""
