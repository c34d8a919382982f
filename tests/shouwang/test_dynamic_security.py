"""The plan that brings a broker's accounts to the registry's, and a real Mosquitto that takes it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices.credentials import hash_generated, hash_password
from devices.registry import Registry
from shouwang.broker_accounts import broker_town
from shouwang.broker_control import DynamicSecurity, PluginRefused
from shouwang.broker_export import find_plugin
from shouwang.dynamic_security import Client, Held, SyncPlan, grants, plan_sync, role_of
from shouwang.short_session import BrokerSilent
from tests.servers import wait_until
from tests.shouwang.exported_broker import (
    CLIENT_ID,
    PLATFORM,
    Account,
    ExportedBroker,
    a_gateway,
    exported,
    registry_of,
)

A, B = a_gateway("GW-A", "pa"), a_gateway("GW-B", "pb")
NOBODY = Held({}, {})


def planned(held: Held, *gateways: Any) -> SyncPlan:
    return plan_sync(held, broker_town(registry_of(*gateways), PLATFORM, CLIENT_ID), PLATFORM)


def told(plan: SyncPlan) -> list[str]:
    return [str(step) for step in plan.steps]


def holding(*gateways: Any, **clients: Client) -> Held:
    """What a broker holds that has these gateways as they are registered."""
    town = broker_town(registry_of(*gateways), PLATFORM, CLIENT_ID)
    own = {
        name: Client(name, f"shouwang password {account.fingerprint or 'none'}", not account.admitted, (role_of(name),))
        for name, account in town.accounts.items()
    }
    roles = {role_of(name): grants(account.rights) for name, account in town.accounts.items()}
    return Held({**own, **clients}, {**roles, "shouwang platform": frozenset()})


def test_a_broker_that_holds_the_town_needs_nothing() -> None:
    assert planned(holding(A, B), A, B) == SyncPlan((), ())


def test_a_broker_that_is_new_gets_all_and_lacks_the_passwords() -> None:
    plan = planned(NOBODY, A)
    assert told(plan) == [
        "createRole shouwang platform: the broker is new to the platform",
        "createRole gateway GW-A: it has no role yet",
        "createClient GW-A: the broker did not know it",
    ]
    assert plan.without_password == ("GW-A",)


@pytest.mark.parametrize(
    ("how", "why", "without"),
    [
        ({"disabled_at": 7}, "it is disabled", ()),
        ({"password_hash": ""}, "it has no password", ()),
        ({"password_hash": hash_generated("new")}, "the broker takes another password than its present one", ("GW-A",)),
    ],
)
def test_who_may_not_connect_is_disabled_once(how: dict[str, object], why: str, without: tuple[str, ...]) -> None:
    now = replace(A, **how)
    plan = planned(holding(A, B), now, B)
    assert told(plan) == [f"disableClient GW-A: {why}"]
    assert plan.without_password == without
    held = holding(A, B)
    shut = held.clients["GW-A"]._replace(disabled=True)
    assert planned(held._replace(clients={**held.clients, "GW-A": shut}), now, B).steps == ()


def test_who_may_connect_again_is_enabled() -> None:
    held = holding(A)
    shut = {"GW-A": held.clients["GW-A"]._replace(disabled=True)}
    assert told(planned(held._replace(clients=shut), A)) == ["enableClient GW-A: it may connect again"]


def test_a_gateway_that_is_gone_is_deleted_and_what_others_made_stays() -> None:
    hand_made = Client("bridge", "made by hand", False, ("bridge",))
    held = holding(A, B, bridge=hand_made)
    held = held._replace(roles={**held.roles, "bridge": frozenset()})
    assert told(planned(held, A)) == [
        "deleteClient GW-B: it is no gateway of the town any more",
        "deleteRole gateway GW-B: its gateway is gone",
    ]


def test_a_gateway_has_its_own_role_alone_with_its_own_topics() -> None:
    held = holding(A)
    widened = held._replace(
        clients={"GW-A": held.clients["GW-A"]._replace(roles=(role_of("GW-A"), "admin"))},
        roles={**held.roles, role_of("GW-A"): frozenset({("publishClientSend", "#")})},
    )
    assert told(planned(widened, A)) == [
        "modifyRole gateway GW-A: its topics changed",
        "modifyClient GW-A: a gateway has its own role alone",
    ]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ExportedBroker]:
    with exported(tmp_path / "broker", registry_of(A, B), plugin=find_plugin()) as running:
        yield running


def gateway(broker: ExportedBroker, code: str, password: str) -> Account:
    return Account(broker.plan.gateways.port, code, password)


def sync(broker: ExportedBroker, registry: Registry) -> SyncPlan:
    with DynamicSecurity(broker.address) as plugin:
        plan = plugin.plan(registry)
        plugin.take(plan.steps)
    return plan


def test_the_first_file_lets_everybody_in_and_syncing_changes_nothing(broker: ExportedBroker) -> None:
    assert sync(broker, registry_of(A, B)) == SyncPlan((), ())
    with gateway(broker, "GW-A", "pa") as a, Account(broker.plan.platform.port, PLATFORM, broker.address.password) as p:
        assert a.admitted
        assert p.subscribe("sw/v1/#") == [True]
        assert a.subscribe("#", "sw/v1/GW-B/rejects", "sw/v1/GW-A/rejects", "$CONTROL/#") == [False, False, True, False]
        a.publish("sw/v1/GW-B/telemetry", b"forged")
        a.publish("$CONTROL/dynamic-security/v1", b'{"commands":[{"command":"disableClient","username":"GW-B"}]}')
        a.publish("sw/v1/GW-A/telemetry", b"own")
        p.publish("sw/v1/GW-A/rejects", b"why")
        wait_until(lambda: bool(a.heard) and len(p.heard) == 2, "what is allowed")
        assert a.heard == [("sw/v1/GW-A/rejects", b"why")]
        assert p.heard == [("sw/v1/GW-A/telemetry", b"own"), ("sw/v1/GW-A/rejects", b"why")]
    with (
        gateway(broker, "GW-B", "pb") as b,
        gateway(broker, "GW-B", "guess") as stranger,
        gateway(broker, "", "") as no,
    ):
        assert (b.admitted, stranger.admitted, no.admitted) == (True, False, False)


def test_a_disabled_gateway_is_out_at_once_and_stays_out(broker: ExportedBroker) -> None:
    with gateway(broker, "GW-A", "pa") as a, gateway(broker, "GW-B", "pb") as b:
        shut = registry_of(replace(A, disabled_at=7), B)
        assert told(sync(broker, shut)) == ["disableClient GW-A: it is disabled"]
        wait_until(lambda: a.cut, "the end of its connection", 20)
        assert sync(broker, shut).steps == ()
        assert not b.cut
    with gateway(broker, "GW-A", "pa") as again:
        assert not again.admitted
    assert told(sync(broker, registry_of(A, B))) == ["enableClient GW-A: it may connect again"]
    with gateway(broker, "GW-A", "pa") as again:
        assert again.admitted


def test_a_new_password_works_live_and_the_old_one_ends(broker: ExportedBroker) -> None:
    now = registry_of(replace(A, password_hash=hash_generated("new")), B)
    with gateway(broker, "GW-A", "pa") as connected:
        with DynamicSecurity(broker.address) as plugin:
            plugin.bring(now, "GW-A", "new")
        wait_until(lambda: connected.cut, "the end of the old password's connection", 20)
    with gateway(broker, "GW-A", "pa") as old, gateway(broker, "GW-A", "new") as renewed:
        assert (old.admitted, renewed.admitted) == (False, True)
    assert sync(broker, now) == SyncPlan((), ())


def test_a_town_of_gateways_comes_and_goes(broker: ExportedBroker) -> None:
    town = registry_of(A, B, *(a_gateway(f"GW-{n}", "p") for n in range(210)))
    plan = sync(broker, town)
    assert len(plan.without_password) == 210
    for password in ("p", ""):
        with gateway(broker, "GW-7", password) as unknown:
            assert not unknown.admitted, "it has no password there yet"
    assert sync(broker, town).steps == ()
    assert len(sync(broker, registry_of(A)).steps) == 2 * 211
    assert sync(broker, registry_of(A)) == SyncPlan((), ())
    with gateway(broker, "GW-A", "pa") as kept, gateway(broker, "GW-B", "pb") as gone:
        assert (kept.admitted, gone.admitted) == (True, False)


def test_what_the_broker_holds_outlives_its_restart(broker: ExportedBroker) -> None:
    sync(broker, registry_of(replace(A, disabled_at=7), B))
    broker.end()
    broker.start()
    with gateway(broker, "GW-A", "pa") as a, gateway(broker, "GW-B", "pb") as b:
        assert (a.admitted, b.admitted) == (False, True)


def test_a_refused_command_is_told(broker: ExportedBroker) -> None:
    with (
        DynamicSecurity(broker.address) as plugin,
        pytest.raises(PluginRefused, match=r"disableClient GW-9: .*not found"),
    ):
        plugin.run([{"command": "disableClient", "username": "GW-9"}])


def test_a_broker_without_the_plugin_does_not_answer(tmp_path: Path) -> None:
    with (
        exported(tmp_path / "plain", registry_of(A)) as plain,
        DynamicSecurity(plain.address, timeout=1) as plugin,
        pytest.raises(BrokerSilent, match="does not answer"),
    ):
        plugin.held()


def test_an_older_hash_gets_no_password_in_the_first_file(tmp_path: Path) -> None:
    older = replace(A, password_hash=hash_password("pa"))
    with exported(tmp_path / "older", registry_of(older), plugin=find_plugin()) as broker:
        for password in ("pa", "", "x"):
            with gateway(broker, "GW-A", password) as refused:
                assert not refused.admitted
        assert sync(broker, registry_of(older)) == SyncPlan((), ("GW-A",))
