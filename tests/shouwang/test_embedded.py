"""The embedded broker follows the registry: the same accounts and rights as an outside one is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.embedded_broker import Check
from shouwang.embedded import PLATFORM, EmbeddedBrokerPart, platform_password
from tests.servers import free_port, wait_until
from tests.shouwang.exported_broker import Account, a_gateway, registry_of

A, B = a_gateway("GW-A", "pa"), a_gateway("GW-B", "pb")


class Town:
    """A registry that changes, and the embedded broker that follows it."""

    def __init__(self, folder: Path, gateways: Check | None = None) -> None:
        self.registry = registry_of(A, B)
        self.folder, self.port = folder, free_port()
        self.part = EmbeddedBrokerPart(f"embedded://127.0.0.1:{self.port}", folder, lambda: self.registry, gateways)
        self.part.start()

    def becomes(self, *gateways: object) -> None:
        self.registry = registry_of(*gateways)  # type: ignore[arg-type]
        assert self.part.follow() is self.registry

    def gateway(self, code: str = "GW-A", password: str = "pa") -> Account:
        return Account(self.port, code, password)

    def admits(self, code: str = "GW-A", password: str = "pa") -> bool:
        with self.gateway(code, password) as account:
            return account.admitted


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    towns: list[Town] = []

    def start(gateways: Check | None = None) -> Town:
        towns.append(Town(tmp_path, gateways))
        return towns[-1]

    yield start
    for town in towns:
        town.part.stop(10)


def test_each_has_its_own_topics_only(start: Callable[..., Town]) -> None:
    town = start()
    password = platform_password(town.folder)
    with Account(town.port, PLATFORM, password) as platform, town.gateway() as a:
        platform.subscribe("sw/v1/#")
        assert a.subscribe("#", "sw/v1/GW-B/rejects", "sw/v1/GW-A/rejects") == [False, False, True]
        a.publish("sw/v1/GW-B/telemetry", b"forged")
        a.publish("sw/v1/GW-A/telemetry", b"own")
        wait_until(lambda: bool(platform.heard), "the own message")
        assert platform.heard == [("sw/v1/GW-A/telemetry", b"own")]


@pytest.mark.parametrize(
    "now",
    [
        [replace(A, disabled_at=7), B],
        [replace(A, password_hash=""), B],
        [a_gateway("GW-A", "new"), B],
        [B],
    ],
    ids=["disabled", "revoked", "new password", "retired"],
)
def test_who_is_shut_out_is_cut_off_and_stays_out(start: Callable[..., Town], now: list[object]) -> None:
    town = start()
    with town.gateway() as a, town.gateway("GW-B", "pb") as b:
        assert a.admitted
        town.becomes(*now)
        wait_until(lambda: a.cut, "the end of its connection", 20)
        assert not b.cut
    assert not town.admits()
    assert town.admits("GW-B", "pb")
    town.becomes(A, B)
    assert town.admits()


def test_the_one_with_a_new_password_comes_back_with_it(start: Callable[..., Town]) -> None:
    town = start()
    assert town.admits()
    town.becomes(a_gateway("GW-A", "new"), B)
    assert town.admits("GW-A", "new")


def test_a_change_elsewhere_cuts_nobody_off(start: Callable[..., Town]) -> None:
    town = start()
    with Account(town.port, PLATFORM, platform_password(town.folder)) as platform, town.gateway() as a:
        platform.subscribe("sw/v1/#")
        town.becomes(A, B, a_gateway("GW-C", "pc"))
        assert town.admits("GW-C", "pc")
        a.publish("sw/v1/GW-A/telemetry", b"still here")
        assert not a.cut


def test_disabled_at_once_without_a_look_into_the_registry(start: Callable[..., Town]) -> None:
    town = start()
    with town.gateway() as a:
        town.part.disable("GW-A")
        wait_until(lambda: a.cut, "the end of its connection", 20)
    assert not town.admits()


def test_a_disabled_gateway_is_out_whoever_checks_passwords(start: Callable[..., Town]) -> None:
    town = start(lambda _user, _password: True)
    assert town.admits("GW-A", "anything")
    town.becomes(replace(A, disabled_at=7), B)
    assert not town.admits("GW-A", "anything")


def test_an_older_hash_still_lets_in(start: Callable[..., Town]) -> None:
    from devices.credentials import hash_password

    town = start()
    town.becomes(replace(A, password_hash=hash_password("pa")), B)
    assert town.admits()
