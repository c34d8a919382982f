"""`shouwang gateway` and `shouwang broker` as an operator meets them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from core.journal import START, RecordKind
from core.sqlite_journal import SqliteJournal
from devices.credentials import Pbkdf2Hash, verify
from devices.device_types import load_device_types
from devices.registry import load_registry
from ingest.tables import gateway_report
from ingest.words import RegistryChanged, decode_control
from shouwang.broker_export import find_plugin
from shouwang.settings import load_settings
from shouwang.wiring import open_database
from tests.servers import wait_until
from tests.shouwang.command_line import query, run
from tests.shouwang.exported_broker import PLATFORM, SECRET, USER, Account, ExportedBroker, exported, registry_of

HELD = 100_000  # bytes

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("imported")]


@pytest.fixture
def imported(town: Path) -> None:
    run("town", "import", town)


def announced() -> int:
    """How often the journal told a running platform that the registry changed."""
    ((registry,),) = query("SELECT id FROM registry")
    journal = SqliteJournal(Path("state/journal.db"), str(registry), ())
    records = [record for record in journal.read(START, 1000) if record.kind is RecordKind.CONTROL]
    journal.close()
    return sum(isinstance(decode_control(record.payload), RegistryChanged) for record in records)


def line_of(code: str) -> str:
    return next(line for line in run("gateway", "list").output.splitlines() if code in line)


def test_a_gateways_life_by_command() -> None:
    assert re.search(r"GW-1 .* v1 .* RD-1 .* no password .* never", line_of("GW-1"))
    code, password = run("gateway", "password", "GW-1").output.strip().split(",")
    ((hashed,),) = query("SELECT password_hash FROM gateway")
    assert code == "GW-1"
    assert Pbkdf2Hash.parse(str(hashed))
    assert verify(str(hashed), password)
    assert "may connect" in line_of("GW-1")
    assert run("gateway", "disable", "GW-1", "--why", "水浸 flooded").output == "GW-1 is disabled\n"
    assert "GW-1 is disabled already" in run("gateway", "disable", "GW-1", "--why", "again").output
    assert "水浸 flooded" in line_of("GW-1")
    assert run("gateway", "enable", "GW-1").output == "GW-1 may connect again\n"
    assert "may connect" in line_of("GW-1")
    assert run("gateway", "revoke", "GW-1").output == "GW-1 has no password any more\n"
    assert query("SELECT password_hash FROM gateway") == [("",)]
    assert announced() == 1 + 5, "a running platform hears of each"


def test_an_older_hash_needs_a_new_password_at_an_outside_broker() -> None:
    engine = open_database(load_settings(Path("shouwang.toml")))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE gateway SET password_hash = '$argon2id$v=19$m=64,t=1,p=1$eHh4$eHh4'")
    engine.dispose()
    assert "needs a new password" in line_of("GW-1")
    said = run("broker", "export", "--mosquitto", "broker", "--user", USER)
    assert "`shouwang gateway password GW-1` gives it a new one" in said.stderr
    assert "GW-1" not in Path("broker/passwords").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["password"], ["revoke"], ["disable", "--why", "x"], ["enable"]])
def test_an_unknown_gateway_is_told(command: list[str]) -> None:
    said = run("gateway", command[0], "GW-9", *command[1:], fails=1).stderr
    assert said == "there is no gateway GW-9 in service: nothing was changed\n"


def test_an_export_tells_how_to_start_and_reload() -> None:
    run("gateway", "password", "GW-1")
    said = run("broker", "export", "--mosquitto", "broker", "--user", USER).output
    secret = Path("state/broker-platform.password").read_text(encoding="utf-8").strip()
    assert "written    passwords, acl, mosquitto.conf in" in said
    assert "gateways   1 of 1 may connect, port 1883" in said
    assert 'broker = "mqtt://platform:PASSWORD@127.0.0.1:1884"' in said
    assert "kill -HUP" in said
    assert secret not in said
    again = run("broker", "export", "--mosquitto", "broker", "--user", USER).output
    assert "nothing: all was as it should be" in again
    with Path("broker/acl").open("a", encoding="utf-8") as file:
        file.write("topic readwrite #\n")
    assert "--force" in run("broker", "export", "--mosquitto", "broker", "--user", USER, fails=1).stderr
    assert "acl" in run("broker", "export", "--mosquitto", "broker", "--user", USER, "--force").output


def test_an_open_listener_needs_tls() -> None:
    said = run("broker", "export", "--mosquitto", "broker", "--listen", "", fails=1).stderr
    assert "in clear" in said
    assert not Path("broker").exists()


def test_with_tls_it_listens_to_all_and_tells_how_the_platform_gets_in() -> None:
    tls = ["--mosquitto", "broker", "--user", USER, "--tls", "cert.pem", "key.pem", "--ca", "ca.pem"]
    assert 'broker = "mqtt://platform:PASSWORD@127.0.0.1:8884"' in run("broker", "export", *tls).output
    lines = Path("broker/mosquitto.conf").read_text(encoding="utf-8").splitlines()
    assert "listener 8883" in lines
    assert "listener 8884 127.0.0.1" in lines
    assert lines.count(f"certfile {Path.cwd() / 'cert.pem'}") == 1
    told = run("broker", "export", *tls, "--platform-listen", "0.0.0.0").output
    assert f'broker = "mqtts://platform:PASSWORD@HOST:8884?ca={Path.cwd() / "ca.pem"}"' in told


def test_a_dynamic_export_leaves_the_brokers_own_file() -> None:
    run("gateway", "password", "GW-1")
    run("broker", "export", "--mosquitto", "broker", "--user", USER, "--dynamic")
    file = Path("broker/dynamic-security.json")
    assert {client["username"] for client in json.loads(file.read_text(encoding="utf-8"))["clients"]} == {
        "platform",
        "GW-1",
    }
    file.write_text("{}", encoding="utf-8")
    run("broker", "export", "--mosquitto", "broker", "--user", USER, "--dynamic")
    assert file.read_text(encoding="utf-8") == "{}"


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExportedBroker]:
    """A Mosquitto with dynamic security that does not know the town yet, and settings that name it."""
    with exported(tmp_path / "broker", registry_of(), plugin=find_plugin(), hold_bytes=HELD) as broker:
        url = f"mqtt://{PLATFORM}:the%20platform%27s%20own@127.0.0.1:{broker.plan.platform.port}"
        monkeypatch.setenv("SHOUWANG_BROKER", url)
        assert SECRET == "the platform's own"
        yield broker


def test_a_new_password_works_at_once_and_a_shut_gateway_is_out_at_once(live: ExportedBroker) -> None:
    assert "createClient GW-1: the broker did not know it" in run("broker", "sync", "--dry-run").output
    _, password = run("gateway", "password", "GW-1").output.splitlines()[0].split(",")
    with Account(live.plan.gateways.port, "GW-1", password) as gateway:
        assert gateway.admitted
        assert "the broker knows" in run("gateway", "disable", "GW-1", "--why", "x").output
        wait_until(lambda: gateway.cut, "the end of its connection", 20)
    with Account(live.plan.gateways.port, "GW-1", password) as gateway:
        assert not gateway.admitted
    run("gateway", "enable", "GW-1")
    with Account(live.plan.gateways.port, "GW-1", password) as gateway:
        assert gateway.admitted
    assert run("broker", "sync").output == "the broker's accounts are the registry's\n"
    run("gateway", "revoke", "GW-1")
    with Account(live.plan.gateways.port, "GW-1", password) as gateway:
        assert not gateway.admitted


def test_a_broker_without_live_accounts_is_told_of(
    tmp_path: Path, imported: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_database(load_settings(Path("shouwang.toml")))
    town = load_registry(engine, load_device_types())
    engine.dispose()
    with exported(tmp_path / "broker", town) as broker:
        monkeypatch.setenv(
            "SHOUWANG_BROKER", f"mqtt://{PLATFORM}:the%20platform%27s%20own@127.0.0.1:{broker.plan.platform.port}"
        )
        said = run("gateway", "revoke", "GW-1")
        assert "the broker was not told" in said.stderr
        assert run("broker", "sync", fails=1).stderr


def test_the_embedded_broker_needs_no_sync() -> None:
    assert run("broker", "sync", fails=1).stderr == "the embedded broker follows the registry by itself\n"


def status_row(name: str) -> str:
    line = next(line for line in run("status", "--language", "en").output.splitlines() if re.match(rf"│ {name} ", line))
    return line.split("│")[2].strip()


def test_the_status_tells_who_is_shut_out_and_whose_clock_is_off() -> None:
    assert (status_row("gateways shut out"), status_row("clocks off")) == ("none", "none")
    run("gateway", "disable", "GW-1", "--why", "floods")
    engine = open_database(load_settings(Path("shouwang.toml")))
    with engine.begin() as connection:
        connection.execute(
            insert(gateway_report).values(
                gateway="GW-1", last_received_at=1_790_000_000_000_000, clock_off_s=600.0, messages=1, readings=1,
                qos0_readings=0, shed_messages=0, rejected_messages=0, updated_at=1,
            )
        )  # fmt: skip
    engine.dispose()
    assert (status_row("gateways shut out"), status_row("clocks off")) == ("GW-1", "GW-1 -600 s")
    assert re.search(r"2026-09-21 22:13:20 .* -600 s", line_of("GW-1"))


def test_the_status_warns_of_a_broker_that_drops(live: ExportedBroker) -> None:
    wait_until(lambda: status_row("broker") == "dropped nothing since it started", "its first figures", 15)
    with Account(live.plan.platform.port, PLATFORM, SECRET, "away") as away:
        away.subscribe("sw/v1/#")
    with Account(live.plan.platform.port, PLATFORM, SECRET) as busy:
        for _ in range(3):
            busy.publish("sw/v1/GW-1/rejects", bytes(700_000 // 3))
    wait_until(lambda: "dropped 2 messages since it started" in status_row("broker"), "the warning", 15)
    live.end()
    assert "nothing listens there" in status_row("broker")
    live.start()


def test_the_status_of_an_embedded_broker() -> None:
    assert status_row("broker") == "embedded"
