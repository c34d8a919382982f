"""Talking to Mosquitto's dynamic security plugin over MQTT, as the platform's account."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from devices.registry import Registry
from ingest.mqtt import BrokerAddress
from shouwang.broker_accounts import broker_town
from shouwang.dynamic_security import (
    Client,
    Held,
    Step,
    SyncPlan,
    password_commands,
    plan_sync,
    standing_steps,
    steps_for,
)
from shouwang.short_session import BrokerSilent, ShortSession

_COMMANDS = "$CONTROL/dynamic-security/v1"
_ANSWERS = "$CONTROL/dynamic-security/v1/response"
_AT_ONCE, _PAGE = 20, 200  # the plugin writes its whole file at each command


class PluginRefused(ConnectionError):
    """The plugin refused a command; the text says which and why."""


class DynamicSecurity:
    """A conversation with the plugin. Entering raises OSError when the broker can't be reached."""

    def __init__(self, address: BrokerAddress, timeout: float = 5.0) -> None:
        self._session = ShortSession(address, timeout)
        self._platform, self._client_id = address.username, address.client_id

    def __enter__(self) -> Self:
        self._session.__enter__()
        try:
            self._session.subscribe([_ANSWERS])
        except BrokerSilent:
            self._session.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self._session.__exit__(kind, error, t)

    def held(self) -> Held:
        """All clients and roles of the broker. Raises BrokerSilent where the plugin is not there."""
        clients = (Client(*_client(found)) for found in self._listed("listClients", "clients"))
        roles = {
            found["rolename"]: frozenset((acl["acltype"], acl["topic"]) for acl in found["acls"] if acl["allow"])
            for found in self._listed("listRoles", "roles")
        }
        return Held({client.username: client for client in clients}, roles)

    def plan(self, registry: Registry) -> SyncPlan:
        """What makes the broker's accounts those of the registry."""
        return plan_sync(self.held(), broker_town(registry, self._platform, self._client_id), self._platform)

    def restand(self, registry: Registry) -> list[Step]:
        """Bring to the broker which of its gateways are shut out; the steps that were taken."""
        steps = list(standing_steps(self.held(), broker_town(registry, self._platform, self._client_id)))
        self.take(steps)
        return steps

    def take(self, steps: Sequence[Step]) -> None:
        """Take these steps. Raises PluginRefused at the first that the plugin refuses."""
        self.run([step.command for step in steps])

    def bring(self, registry: Registry, code: str, password: str | None = None) -> None:
        """Bring one gateway's standing to the broker, and its new password where the registry has got one.

        Its connection ends when anything changes.
        """
        account = broker_town(registry, self._platform, self._client_id).accounts.get(code)
        if account is None:
            return
        self.take(list(steps_for(self.held(), account)))
        if password is not None:
            self.run(password_commands(code, password, account.fingerprint))
            self.take(list(steps_for(self.held(), account)))

    def run(self, commands: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Run commands, a handful in each message; their answers in order. Raises PluginRefused."""
        answers: list[Mapping[str, Any]] = []
        for start in range(0, len(commands), _AT_ONCE):
            answers += self._ask(commands[start : start + _AT_ONCE])
        return answers

    def _ask(self, commands: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        number = secrets.token_hex(8)
        asked = {"commands": [{**command, "correlationData": number} for command in commands]}
        self._session.publish(_COMMANDS, json.dumps(asked).encode())
        while True:
            _, told = self._session.hear()
            answers = json.loads(told)["responses"]
            if any(answer.get("correlationData") == number for answer in answers):
                break
        for command, answer in zip(commands, answers, strict=True):
            if "error" in answer:
                named = command.get("username") or command.get("rolename") or ""
                raise PluginRefused(f"the broker refused {command['command']} {named}: {answer['error']}")
        return list(answers)

    def _listed(self, command: str, name: str) -> Iterator[Mapping[str, Any]]:
        offset = 0
        while True:
            asked = {"command": command, "verbose": True, "count": _PAGE, "offset": offset}
            (answer,) = self.run([asked])
            found = answer["data"][name]
            yield from found
            offset += len(found)
            if not found or offset >= answer["data"]["totalCount"]:
                return


def _client(found: Mapping[str, Any]) -> tuple[str, str, bool, tuple[str, ...]]:
    roles = tuple(role["rolename"] for role in found.get("roles", ()))
    return found["username"], found.get("textdescription", ""), bool(found.get("disabled")), roles
