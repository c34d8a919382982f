"""Mosquitto's dynamic security plugin: what it should hold, and the commands that bring it there.

Formats and commands as in the plugin's documentation (mosquitto.org/documentation/dynamic-security), tried with 2.0.11.
A client of ours says in its description which password of the registry it has, so that a later look can tell.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from devices.credentials import Pbkdf2Hash
from ingest.topic_rights import Rights
from shouwang.broker_accounts import BrokerAccount, BrokerTown
from shouwang.broker_export import stable_hash

PLATFORM_ROLE = "shouwang platform"
_MARK = "shouwang password "
_NO_PASSWORD = "none"
_ROLE = "gateway "
_EVERYTHING = ("#", "$CONTROL/dynamic-security/#")

Acl = tuple[str, str]
"""A plugin's acltype and topic that is allowed."""


class Client(NamedTuple):
    """A client as the plugin lists it."""

    username: str
    description: str
    disabled: bool
    roles: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        return self.description.startswith(_MARK)


class Held(NamedTuple):
    """What the plugin holds: clients by username, and the grants of each role."""

    clients: Mapping[str, Client]
    roles: Mapping[str, frozenset[Acl]]


class Step(NamedTuple):
    """A command to the plugin, and why."""

    command: Mapping[str, Any]
    why: str

    def __str__(self) -> str:
        name = self.command.get("username") or self.command.get("rolename")
        return f"{self.command['command']} {name}: {self.why}"


class SyncPlan(NamedTuple):
    """The steps to take, and the gateways whose password only a new one can bring to the broker."""

    steps: tuple[Step, ...]
    without_password: tuple[str, ...]


def grants(rights: Rights) -> frozenset[Acl]:
    """An account's rights as the plugin spells them."""
    return frozenset(
        [("publishClientSend", topic) for topic in rights.publish]
        + [(kind, topic) for topic in rights.subscribe for kind in ("subscribePattern", "publishClientReceive")]
    )


_PLATFORM = grants(Rights(_EVERYTHING, (*_EVERYTHING, "$SYS/#")))
"""The platform administers the broker: it could grant itself anything, and changing a role cuts its connection."""


def initial(town: BrokerTown, platform: str, platform_password: str) -> str:
    """The plugin's file for a broker that is new: every account with its hash, the platform as administrator."""
    clients = [_stored(platform, _mark(""), stable_hash(platform_password), False, PLATFORM_ROLE)]
    roles = [_role(PLATFORM_ROLE, _PLATFORM)]
    for account in town.accounts.values():
        known = account.fingerprint if account.password else ""
        shut = bool(_why_shut(account))
        clients.append(_stored(account.username, _mark(known), account.password, shut, role_of(account.username)))
        roles.append(_role(role_of(account.username), grants(account.rights)))
    default = {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True}
    whole = {"defaultACLAccess": default, "clients": clients, "groups": [], "roles": roles}
    return json.dumps(whole, indent=1) + "\n"


def _stored(username: str, mark: str, password: Pbkdf2Hash | None, disabled: bool, role: str) -> dict[str, Any]:
    stored: dict[str, Any] = {"username": username, "textdescription": mark, "roles": [{"rolename": role}]}
    if disabled:
        stored["disabled"] = True
    if password:
        stored |= {
            "password": b64encode(password.key).decode(),
            "salt": b64encode(password.salt).decode(),
            "iterations": password.iterations,
        }
    return stored


def role_of(username: str) -> str:
    """The name of a gateway's role."""
    return f"{_ROLE}{username}"


def _role(name: str, acls: frozenset[Acl]) -> dict[str, Any]:
    return {"rolename": name, "acls": _acls(acls)}


def _acls(acls: frozenset[Acl]) -> list[dict[str, Any]]:
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in sorted(acls)]


def _mark(fingerprint: str) -> str:
    return f"{_MARK}{fingerprint or _NO_PASSWORD}"


def plan_sync(held: Held, town: BrokerTown, platform: str) -> SyncPlan:
    """What makes the broker's accounts those of the registry; nothing when they are.

    An account whose password ended in the registry is disabled, for the broker still takes the old one. Clients and
    roles of others stay as they are, but a gateway's own.
    """
    steps = list(_for_platform(held, platform))
    for account in town.accounts.values():
        steps += steps_for(held, account)
    steps += _gone(held, town)
    without = [a.username for a in town.accounts.values() if a.fingerprint and not _knows(held, a)]
    return SyncPlan(tuple(steps), tuple(without))


def _for_platform(held: Held, platform: str) -> Iterator[Step]:
    if PLATFORM_ROLE not in held.roles:
        yield Step({"command": "createRole", **_role(PLATFORM_ROLE, _PLATFORM)}, "the broker is new to the platform")
    client = held.clients.get(platform)
    if client is not None and PLATFORM_ROLE not in client.roles:
        named = {"username": platform, "rolename": PLATFORM_ROLE}
        yield Step({"command": "addClientRole", **named}, "the platform reads all and answers")


def steps_for(held: Held, account: BrokerAccount) -> Iterator[Step]:
    """What makes one gateway's client and role those of the registry."""
    name, role, wanted = account.username, role_of(account.username), grants(account.rights)
    if role not in held.roles:
        yield Step({"command": "createRole", **_role(role, wanted)}, "it has no role yet")
    elif held.roles[role] != wanted:
        yield Step({"command": "modifyRole", **_role(role, wanted)}, "its topics changed")
    client = held.clients.get(name)
    if client is None:
        made = {"username": name, "textdescription": _mark(""), "roles": [{"rolename": role}]}
        yield Step({"command": "createClient", **made}, "the broker did not know it")
    elif client.roles != (role,):
        given = {"username": name, "roles": [{"rolename": role}]}
        yield Step({"command": "modifyClient", **given}, "a gateway has its own role alone")
    why = _why_shut(account) or _why_ended(client, account)
    if why and not (client and client.disabled):
        yield Step({"command": "disableClient", "username": name}, why)
    elif not why and client and client.disabled:
        yield Step({"command": "enableClient", "username": name}, "it may connect again")


def standing_steps(held: Held, town: BrokerTown) -> Iterator[Step]:
    """What lets in again, and shuts out, the clients that the broker knows, as the registry has it; nothing else."""
    for account in town.accounts.values():
        for step in steps_for(held, account) if account.username in held.clients else ():
            kind = step.command["command"]
            if kind == "enableClient" or (kind == "disableClient" and account.disabled):
                yield step


def _why_shut(account: BrokerAccount) -> str:
    if account.disabled:
        return "it is disabled"
    return "" if account.fingerprint else "it has no password"


def _why_ended(client: Client | None, account: BrokerAccount) -> str:
    """Why a client must not go on with the password that the broker has of it; without one it can't connect anyway."""
    if client is None or client.description in (_mark(""), _mark(account.fingerprint)):
        return ""
    return "the broker takes another password than its present one"


def _knows(held: Held, account: BrokerAccount) -> bool:
    client = held.clients.get(account.username)
    return client is not None and client.description == _mark(account.fingerprint)


def _gone(held: Held, town: BrokerTown) -> Iterator[Step]:
    for name, client in held.clients.items():
        if client.is_ours and PLATFORM_ROLE not in client.roles and name not in town.accounts:
            yield Step({"command": "deleteClient", "username": name}, "it is no gateway of the town any more")
    for role in held.roles:
        if role.startswith(_ROLE) and role.removeprefix(_ROLE) not in town.accounts:
            yield Step({"command": "deleteRole", "rolename": role}, "its gateway is gone")


def password_commands(username: str, password: str, fingerprint: str) -> list[dict[str, Any]]:
    """What gives a client the broker knows a new password; its connection ends."""
    return [
        {"command": "setClientPassword", "username": username, "password": password},
        {"command": "modifyClient", "username": username, "textdescription": _mark(fingerprint)},
    ]
