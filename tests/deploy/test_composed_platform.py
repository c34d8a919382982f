"""The composed services as plain processes: from a gateway's TLS to InfluxDB, PostgreSQL and a phone, role by role.

Commands, environments, order and health checks are read from docker-compose.yml, so that they can't drift from it.
"""

import json
import re
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import create_engine, text

from core.clock import MILLISECOND, SECOND, SystemClock
from grafana.generation import DASHBOARDS
from ingest.influx_wire import InfluxWire
from shouwang.settings import Settings, load_settings
from tests.deploy.compose_file import bytes_of, platform_services, services
from tests.deploy.plain_services import PlainServices
from tests.devices.town_folder import spoil, write_town
from tests.fakes.wecom_robot import WecomRobot
from tests.servers import wait_until
from tests.shouwang.command_line import run
from tests.shouwang.exported_broker import Account
from tests.shouwang.small_platform import _MORE

pytestmark = pytest.mark.long

ROLES = tuple(platform_services())
LEVEL = 80.0
DWELL = 6 * SECOND
CONTACTS = "owner_kind,owner,channel,address\nteam,T-G02,robot,key-of-G02\nstation,S1,robot,key-of-S1\n"


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[PlainServices]:
    """The servers that keep data, running."""
    made = PlainServices(tmp_path)
    try:
        made.start_servers()
        yield made
    finally:
        made.stop()


@pytest.fixture
def settings(plain: PlainServices, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What `docker compose run setup` works with, for the commands of an operator in this process."""
    for name, value in plain.environment("setup").items():
        if name.startswith("SHOUWANG_"):
            monkeypatch.setenv(name, value)
    return load_settings(Path(plain.environment("setup")["SHOUWANG_CONFIG"]))


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[WecomRobot]:
    """The strict robot of the team and of the station."""
    with WecomRobot(tmp_path / "messages.jsonl", keys=("key-of-G02", "key-of-S1")) as served:
        yield served


@pytest.mark.timeout(240)
def test_a_leak_goes_the_whole_way_through_services_of_their_own(
    plain: PlainServices, settings: Settings, robot: WecomRobot, record_property: Callable[[str, object], None]
) -> None:
    assert "登录     admin / " in plain.set_up()
    assert plain.is_healthy("postgres")
    plain.start_broker()
    password = found_town(plain.folder / "town")
    began = time.monotonic()
    start_roles(plain, robot)
    record_property("all_healthy_s", round(time.monotonic() - began, 1))

    began = time.monotonic()
    publish_a_leak(plain, password)
    wait_until(lambda: any("示例厂区" in str(each["content"]) for each in robot.messages), "a message", 20)
    record_property("to_the_phone_s", round(time.monotonic() - began, 2))
    wait_until(lambda: stored(settings) == [LEVEL, LEVEL], "the readings in InfluxDB", 20)
    assert on_the_desk(settings) == (1, 1)
    nobody_else_comes_in(plain)
    record_property("memory_mb", fitting_memory(plain))

    grafana_can_start(plain)
    every_role_tells_its_figures(plain)
    run("doctor")  # ends with 1 when anything is broken
    said = "".join(run(*command).output for command in plain.setup_commands())
    assert "管理员 admin 已经有了" in said
    assert "nothing: all was as it should be" in said
    assert plain.end(ROLES) == dict.fromkeys(ROLES, 0)
    assert [role for role in ROLES if "did not end in time" in plain.log(role)] == []


def found_town(folder: Path) -> str:
    """Bring a town in as an operator does, and give its gateway a password, which the running broker learns."""
    write_town(folder)
    spoil(folder, "devices.csv", "GAS-1", state="in_service")
    for name, content in {**_MORE, "contacts.csv": CONTACTS}.items():
        (folder / name).write_text(content, encoding="utf-8")
    run("town", "import", folder)
    given = run("gateway", "password", "GW-1", "--file", folder / "passwords")
    assert "the broker knows" in given.output
    return (folder / "passwords").read_text(encoding="utf-8").strip().partition(",")[2]


def start_roles(plain: PlainServices, robot: WecomRobot) -> None:
    """Every role, until its health check is content and its supervisor was told."""
    channels = json.dumps({"robot": {"kind": "wecom_robot", "url": robot.url}})
    heard: Counter[str] = Counter()
    with supervising(plain.folder / "notify", heard):
        for role in ROLES:
            plain.start(role, SHOUWANG_CHANNELS=channels, NOTIFY_SOCKET=str(plain.folder / "notify"))
        for role in ROLES:
            plain.wait_healthy(role, 90)
        wait_until(lambda: heard["READY=1"] == len(ROLES) <= heard["WATCHDOG=1"], "what systemd waits for", 20)


@contextmanager
def supervising(place: Path, heard: Counter[str]) -> Iterator[None]:
    """What a service manager would hear at this socket, counted; afterwards nobody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(place))

        def listen() -> None:
            while told := line.recv(1000).decode():
                heard[told] += 1

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(place))
            listening.join()


def publish_a_leak(plain: PlainServices, password: str) -> None:
    """Over TLS, by the gateway's own account; it has lasted long enough, so that nobody waits for it here."""
    at = SystemClock().now()
    with Account(int(plain.ports["8883"]), "GW-1", password, ca=plain.folder / "secrets" / "broker_ca") as gateway:
        assert gateway.admitted
        for since in (DWELL, 0):
            body = {"t": (at - since) // MILLISECOND, "values": {"gas_lel": LEVEL}}
            gateway.publish("sw/v1/GW-1/GAS-1/telemetry", json.dumps(body).encode())
        assert not gateway.cut


def nobody_else_comes_in(plain: PlainServices) -> None:
    """Neither with a wrong password nor without TLS."""
    port, ca = int(plain.ports["8883"]), plain.folder / "secrets" / "broker_ca"
    with Account(port, "GW-1", "wrong", ca=ca) as gateway:
        assert not gateway.admitted
    hello = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04GW-1"
    with socket.create_connection(("127.0.0.1", port), 5) as clear, suppress(ConnectionResetError):
        clear.settimeout(10)
        clear.sendall(hello)
        assert clear.recv(4) == b""  # hung up on


def stored(settings: Settings) -> list[float]:
    """What InfluxDB holds of the gas detector."""
    assert settings.influx
    wire = InfluxWire(settings.influx)
    try:
        found = list(wire.query(settings.influx.bucket, ["SELECT gas_lel FROM gas WHERE device = 'GAS-1'"]))
    finally:
        wire.close()
    return [float(value) for _, answer in found for _, value in answer.values]


def on_the_desk(settings: Settings) -> tuple[int, int]:
    """Open alerts of the leak and dispatched tickets in PostgreSQL."""
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        alerts = connection.execute(text("SELECT count(*) FROM alert WHERE rule = 'gas.leak' AND state = 'open'"))
        tickets = connection.execute(text("SELECT count(*) FROM ticket WHERE dispatched_at IS NOT NULL"))
        found = int(alerts.scalar_one()), int(tickets.scalar_one())
    engine.dispose()
    return found


def grafana_can_start(plain: PlainServices) -> None:
    """Its files are where it looks, with this town's addresses and a token that its group alone may read."""
    told = plain.environment("grafana")
    sources = yaml.safe_load((Path(told["GF_PATHS_PROVISIONING"]) / "datasources" / "shouwang.yaml").read_text("utf-8"))
    assert [each["type"] for each in sources["datasources"]] == ["influxdb", "grafana-postgresql-datasource"]
    boards = [file.read_text(encoding="utf-8") for file in Path(told["SHOUWANG_DASHBOARDS"]).glob("zh/*.json")]
    assert len(boards) == len(DASHBOARDS)
    assert f"{plain.environment('setup')['SHOUWANG_CONSOLE__BASE_URL']}/tickets/" in "".join(boards)
    header = sources["datasources"][0]["secureJsonData"]["httpHeaderValue1"]
    token = Path(plain.local("grafana", header.removeprefix("Token $__file{").removesuffix("}")))
    assert stat.S_IMODE(token.stat().st_mode) == 0o640
    assert token.read_text(encoding="utf-8") not in (plain.folder / "secrets" / "store_token").read_text(
        encoding="utf-8"
    )


def every_role_tells_its_figures(plain: PlainServices) -> None:
    """Each on a port of its own; what only one of them knows the others don't deny."""

    def figures(name: str) -> dict[str, float]:
        told = {
            role: httpx.get(f"http://127.0.0.1:{plain.metrics[role]}/metrics", trust_env=False).text for role in ROLES
        }
        found = {role: re.findall(rf"^{name} (\S+)$", text, re.MULTILINE) for role, text in told.items()}
        return {role: float(values[0]) for role, values in found.items() if values}

    assert [role for role, count in figures("shouwang_readings_total").items() if count >= 2] == ["ingest"]
    assert [role for role, count in figures("shouwang_stored_total").items() if count >= 2] == ["store"]
    assert figures("shouwang_broker_connected") == {"ingest": 1}


def fitting_memory(plain: PlainServices) -> dict[str, int]:
    """The most memory of each role, MB; with room below its limit, for this town is small."""
    found = {role: round(plain.memory_mb(role)) for role in ROLES}
    told = {role: services()[role]["deploy"]["resources"]["limits"]["memory"] for role in ROLES}
    assert {role: most for role, most in found.items() if most * 2**20 > bytes_of(told[role]) * 0.85} == {}
    return found


def test_no_service_of_the_file_is_left_out() -> None:
    assert {*ROLES, "setup", "mosquitto", "postgres", "influxdb", "grafana", "prometheus"} == services().keys()
