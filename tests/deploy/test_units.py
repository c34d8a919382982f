"""The systemd units: nothing that systemd complains of, little exposure, all roles and no other, settings that load."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from shouwang.pulse import EVERY
from shouwang.settings import ROLES, load_settings
from tests.deploy.compose_file import ROOT
from tests.servers import program

UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/shouwang/bin/shouwang"
SERVICES = ("shouwang@ingest.service", "shouwang-backup.service")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units in a folder, with the program where it is here."""
    here = Path(sysconfig.get_path("scripts")) / "shouwang"
    for unit in UNITS.glob("shouwang*.[st]*"):
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, str(here))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    for role in ROLES:
        (tmp_path / f"shouwang@{role}.service").symlink_to(tmp_path / "shouwang@.service")
    return tmp_path


def analyze(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    tool = program(["systemd-analyze"], "systemd")
    environment = {"SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_LOG_LEVEL": "warning", "PATH": "/usr/bin:/bin"}
    return subprocess.run([tool, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=units)


def complaints(units: Path, *names: str) -> list[str]:
    """What systemd says of our units, and not of others on this machine."""
    said = analyze(units, "verify", "--man=no", *(str(units / name) for name in names)).stderr
    return [line for line in said.splitlines() if "shouwang" in line]


def test_systemd_has_nothing_to_say(units: Path) -> None:
    assert complaints(units, *SERVICES, "shouwang.target", "shouwang-backup.timer") == []
    service = units / "shouwang-backup.service"
    service.write_text(service.read_text().replace("ProtectHome=yes", "ProtectHouse=yes"))
    assert any("ProtectHouse" in line for line in complaints(units, "shouwang-backup.service"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_little_exposed(units: Path, service: str) -> None:
    assessed = analyze(units, "security", "--offline=yes", "--threshold=20", "--no-pager", str(units / service))
    assert assessed.returncode == 0, assessed.stdout[-400:]


def test_the_target_wants_every_role_and_no_other() -> None:
    text = (UNITS / "shouwang.target").read_text(encoding="utf-8")
    assert set(re.findall(r"shouwang@(\w+)\.service", text)) == set(ROLES)


def test_the_watchdog_waits_for_several_pulses() -> None:
    (limit,) = re.findall(r"^WatchdogSec=(\d+)$", (UNITS / "shouwang@.service").read_text(encoding="utf-8"), re.M)
    assert int(limit) >= 10 * EVERY


def test_its_settings_load_and_name_the_servers_of_one_machine(tmp_path: Path) -> None:
    file, secrets = tmp_path / "shouwang.toml", tmp_path / "secrets"
    secrets.mkdir()
    for name in ("broker_password", "store_token"):
        (secrets / name).write_text("word\n")
    text = (UNITS / "shouwang.toml").read_text(encoding="utf-8").replace("/etc/shouwang/secrets", str(secrets))
    file.write_text(text)
    settings = load_settings(file)
    assert settings.broker.get_secret_value() == "mqtt://platform:word@127.0.0.1:8884"
    assert settings.influx
    assert (settings.influx.token, settings.influx.bucket) == ("word", "readings")
    state = f"Environment=SHOUWANG_STATE={settings.state} "
    assert state in (UNITS / "shouwang@.service").read_text(encoding="utf-8")


def test_the_settings_of_the_containers_load_too() -> None:
    assert load_settings(ROOT / "deploy" / "shouwang.toml").channels["phone"].kind == "phone"
