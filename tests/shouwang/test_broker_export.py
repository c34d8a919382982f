"""What `broker export` writes, and a real Mosquitto that takes it."""

import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devices.credentials import hash_password
from devices.registry import Registry
from ingest.refusals import MAX_PAYLOAD
from shouwang.broker_accounts import broker_town
from shouwang.broker_export import (
    ExportRefused,
    Listener,
    MosquittoPlan,
    Tls,
    acl_lines,
    configuration,
    password_lines,
    platform_password,
)
from shouwang.short_session import BrokerSilent, ShortSession, dropped_messages
from tests.servers import wait_until
from tests.shouwang.exported_broker import (
    CLIENT_ID,
    PLATFORM,
    SECRET,
    Account,
    ExportedBroker,
    a_gateway,
    certificates,
    exported,
    registry_of,
)

pytestmark = pytest.mark.long

A, B = a_gateway("GW-A", "pa"), a_gateway("GW-B", "pb")
TOWN = registry_of(A, B)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ExportedBroker]:
    with exported(tmp_path / "broker", TOWN) as running:
        yield running


def platform(broker: ExportedBroker, client_id: str = "") -> Account:
    return Account(broker.plan.platform.port, PLATFORM, SECRET, client_id)


def gateway(broker: ExportedBroker, code: str = "GW-A", password: str = "pa", client_id: str = "") -> Account:
    return Account(broker.plan.gateways.port, code, password, client_id)


def test_a_gateway_publishes_under_its_own_prefix_only(broker: ExportedBroker) -> None:
    with platform(broker) as heard, gateway(broker) as a:
        assert heard.subscribe("sw/v1/#") == [True]
        for topic in ("sw/v1/GW-B/telemetry", "sw/v1/GW-B/status", "sw/v1/shouwang/canary", "sw/v1/GW-AB/x", "other"):
            a.publish(topic, b"forged")
        assert not a.cut, "what is refused ends no connection"
        a.publish("sw/v1/GW-A/telemetry", b"own")
        wait_until(lambda: bool(heard.heard), "the own message")
        assert heard.heard == [("sw/v1/GW-A/telemetry", b"own")], "QoS 1 on one session: nothing came before"


def test_a_gateway_hears_only_what_is_for_it(broker: ExportedBroker) -> None:
    with platform(broker) as sender, gateway(broker) as a, gateway(broker, "GW-B", "pb") as b:
        a.subscribe("#", "sw/v1/+/telemetry", "sw/v1/GW-B/#", "sw/v1/+/rejects", "$SYS/#")
        b.publish("sw/v1/GW-B/telemetry", b"private")
        b.publish("sw/v1/GW-B/status", b"online", retain=True)
        sender.publish("sw/v1/GW-B/rejects", b"not for A")
        sender.publish("sw/v1/GW-A/commands", b"for A")
        sender.publish("sw/v1/GW-A/rejects", b"for A")
        wait_until(lambda: ("sw/v1/GW-A/rejects", b"for A") in a.heard, "what is for A")
        assert {payload for _, payload in a.heard} == {b"for A"}


def test_a_format_has_its_own_topics_both_ways(tmp_path: Path) -> None:
    town = registry_of(a_gateway("SP-1", "p1", format="sparkplug_b"), a_gateway("SP-2", "p2", format="sparkplug_b"))
    with (
        exported(tmp_path / "sparkplug", town) as broker,
        platform(broker) as own,
        gateway(broker, "SP-1", "p1") as first,
        gateway(broker, "SP-2", "p2") as second,
    ):
        own.subscribe("spBv1.0/#")
        first.subscribe("spBv1.0/shouwang/NCMD/SP-1/#")
        second.subscribe("spBv1.0/shouwang/+/SP-1/#", "spBv1.0/#")
        second.publish("spBv1.0/shouwang/NDEATH/SP-1", b"forged")
        first.publish("spBv1.0/shouwang/NBIRTH/SP-1", b"birth")
        own.publish("spBv1.0/shouwang/NCMD/SP-1", b"rebirth")
        own.publish("spBv1.0/shouwang/NCMD/SP-2", b"end")
        wait_until(lambda: bool(first.heard and second.heard), "the commands")
        assert first.heard == [("spBv1.0/shouwang/NCMD/SP-1", b"rebirth")]
        assert second.heard == [("spBv1.0/shouwang/NCMD/SP-2", b"end")]
        assert [payload for _, payload in own.heard] == [b"birth", b"rebirth", b"end"]


def test_a_registration_that_no_format_can_use_is_told() -> None:
    town = broker_town(registry_of(a_gateway("GW-X", "px", format="morse")), PLATFORM, CLIENT_ID)
    assert town.problems[0].startswith("GW-X: there is no format morse")
    assert town.accounts["GW-X"].admitted, "it may still speak version 1"


@pytest.mark.parametrize(
    ("username", "password"), [("", ""), ("GW-A", "guess"), ("GW-A", ""), ("GW-C", "pa"), (PLATFORM, "pa")]
)
def test_nobody_gets_in_without_its_own_password(broker: ExportedBroker, username: str, password: str) -> None:
    for port in (broker.plan.gateways.port, broker.plan.platform.port):
        with Account(port, username, password) as stranger:
            assert not stranger.admitted


def test_no_gateway_takes_over_a_session(broker: ExportedBroker) -> None:
    """Its client id is its user name, whatever it says: the platform's session and other gateways' stay theirs."""
    with platform(broker, CLIENT_ID) as session, gateway(broker, "GW-B", "pb", "GW-B") as b:
        for stolen in (CLIENT_ID, "GW-B"):
            with gateway(broker, client_id=stolen) as thief:
                assert thief.admitted
        b.publish("sw/v1/GW-B/telemetry", b"still here")
        assert not session.cut
        assert not b.cut


def changed(registry: Registry, code: str, **how: object) -> Registry:
    """The registry with one gateway changed; None retires it."""
    rows = [replace(row, **how) if row.code == code else row for row in registry.gateways.values()]
    return registry_of(*(row for row in rows if row.format))


@pytest.mark.parametrize(
    "how",
    [{"password_hash": ""}, {"disabled_at": 7}, {"format": ""}, {"password_hash": a_gateway("x", "new").password_hash}],
)
def test_a_revocation_holds_after_a_reload(broker: ExportedBroker, how: dict[str, object]) -> None:
    with gateway(broker) as connected, gateway(broker, "GW-B", "pb") as other, platform(broker) as own:
        assert connected.admitted
        assert broker.export(changed(TOWN, "GW-A", **how))
        broker.reload()
        wait_until(lambda: connected.cut, "the end of the connection")
        with gateway(broker) as again:
            assert not again.admitted
        other.publish("sw/v1/GW-B/telemetry", b"untouched")
        assert not other.cut
        assert not own.cut
    if how.get("password_hash"):
        with gateway(broker, "GW-A", "new") as renewed:
            assert renewed.admitted


def test_a_new_gateway_is_let_in_after_a_reload(broker: ExportedBroker) -> None:
    with gateway(broker, "GW-C", "pc") as early:
        assert not early.admitted
    assert broker.export(registry_of(A, B, a_gateway("GW-C", "pc"))) == ["passwords", "acl"]
    broker.reload()
    wait_until(lambda: _admitted(broker, "GW-C", "pc"), "the new gateway's connection")


def _admitted(broker: ExportedBroker, code: str, password: str) -> bool:
    with gateway(broker, code, password) as account:
        return account.admitted


def test_tls_for_gateways(tmp_path: Path) -> None:
    ca, cert, key = certificates(tmp_path)
    with exported(tmp_path / "broker", TOWN, tls=Tls(cert, key, ca)) as broker:
        with Account(broker.plan.gateways.port, "GW-A", "pa", ca=ca) as a, platform(broker) as heard:
            heard.subscribe("sw/v1/#")
            a.publish("sw/v1/GW-A/telemetry", b"sealed")
            wait_until(lambda: bool(heard.heard), "the message")
        stranger = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", broker.plan.gateways.port)) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            stranger.wrap_socket(plain, server_hostname="localhost")


def test_what_the_broker_dropped_is_told(tmp_path: Path) -> None:
    with exported(tmp_path / "small", TOWN, hold_bytes=100_000) as broker:
        with platform(broker, "away") as away:
            away.subscribe("sw/v1/#")
        with gateway(broker) as a:
            for _ in range(3):
                a.publish("sw/v1/GW-A/telemetry", bytes(200_000))
        wait_until(lambda: dropped_messages(broker.address) == 2, "the count of what was dropped", 15)


def test_a_broker_that_does_not_let_us_in_is_told(broker: ExportedBroker) -> None:
    with (
        pytest.raises(BrokerSilent, match="refuses the connection"),
        ShortSession(replace(broker.address, password="guess")),
    ):
        pass


def test_what_is_larger_than_the_gates_limit_reaches_it_to_be_told_of(broker: ExportedBroker) -> None:
    largest = 2**20 - 100  # with its topic
    with platform(broker) as heard, gateway(broker) as a:
        heard.subscribe("sw/v1/#")
        for size in (2**20 + 1, largest, MAX_PAYLOAD + 1):
            a.publish("sw/v1/GW-A/telemetry", bytes(size))
        assert not a.cut
        wait_until(lambda: len(heard.heard) == 2, "the messages that the broker takes")
        assert [len(payload) for _, payload in heard.heard] == [largest, MAX_PAYLOAD + 1]


def test_exporting_again_changes_nothing_and_only_the_owner_reads(tmp_path: Path) -> None:
    broker = ExportedBroker(tmp_path / "broker", TOWN)
    assert broker.export(TOWN) == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in broker.plan.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(broker.plan.folder.stat().st_mode) == 0o700
    assert {file.name for file in broker.plan.folder.iterdir()} == {"mosquitto.conf", "passwords", "acl"}


@pytest.mark.parametrize("name", ["mosquitto.conf", "passwords", "acl"])
@pytest.mark.parametrize("append", [True, False])
def test_what_was_edited_by_hand_stays(tmp_path: Path, name: str, append: bool) -> None:
    broker = ExportedBroker(tmp_path / "broker", TOWN)
    file = broker.plan.folder / name
    file.write_text((file.read_text(encoding="utf-8") if append else "") + "# mine\n", encoding="utf-8")
    kept = {path.name: path.read_bytes() for path in broker.plan.folder.iterdir()}
    with pytest.raises(ExportRefused, match=rf"^{name} in .* nothing was written"):
        broker.export(registry_of(A))
    assert {path.name: path.read_bytes() for path in broker.plan.folder.iterdir()} == kept


@pytest.mark.parametrize(
    ("gateways", "platforms", "tls", "why"),
    [
        ("", "127.0.0.1", False, "in clear"),
        ("192.0.2.1", "127.0.0.1", False, "in clear"),
        ("127.0.0.1", "0.0.0.0", False, "the platform's password"),
        ("", "", True, ""),
        ("127.0.0.1", "localhost", False, ""),
        ("::1", "127.0.0.9", False, ""),
    ],
)
def test_no_password_crosses_the_network_in_clear(gateways: str, platforms: str, tls: bool, why: str) -> None:
    sealed = Tls(Path("c"), Path("k")) if tls else None
    plan = MosquittoPlan(Path("x"), Listener(1, gateways), Listener(2, platforms), sealed)
    assert why in plan.refusal()
    assert bool(why) == bool(plan.refusal())
    assert replace(plan, platform=Listener(1, platforms)).refusal()


def test_the_holding_settings() -> None:
    plan = MosquittoPlan(Path("/b"), Listener(8883, ""), Listener(8884, "127.0.0.1"), Tls(Path("/c"), Path("/k")))
    lines = configuration(plan).splitlines()
    for line in (
        "listener 8883",
        "listener 8884 127.0.0.1",
        "allow_anonymous false",
        "persistence true",
        "autosave_interval 5",
        "autosave_on_changes false",
        "max_queued_messages 1000000000",
        "max_queued_bytes 1073741824",
        "message_size_limit 1048576",
    ):
        assert line in lines
    assert lines.count("certfile /c") == 1, "the platform's own listener is on this machine"


def test_only_who_may_connect_is_in_the_files_and_an_older_hash_is_told() -> None:
    rows = [A, a_gateway("GW-D", "pd", disabled_at=7), a_gateway("GW-N"), replace(B, password_hash=hash_password("pb"))]
    town = broker_town(registry_of(*rows, a_gateway(PLATFORM, "p"), a_gateway(CLIENT_ID, "p")), PLATFORM, CLIENT_ID)
    lines = password_lines(town, PLATFORM, SECRET).splitlines()
    assert [line.split(":")[0] for line in lines] == [PLATFORM, "GW-A"]
    users = [line for line in acl_lines(town, PLATFORM).splitlines() if line.startswith("user")]
    assert users == [f"user {PLATFORM}", "user GW-A"]
    told = "\n".join(town.problems)
    assert "GW-B: its password is hashed as no broker reads it: `shouwang gateway password GW-B`" in told
    assert f"{PLATFORM}: the code is the platform's own" in told
    assert f"{CLIENT_ID}: the code is the platform's own" in told
    assert "GW-N" not in told


def test_the_platforms_password_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret"
    first = platform_password(file)
    assert len(first) >= 32
    assert platform_password(file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
