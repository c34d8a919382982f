"""The pulse: named reasons for which a role does not do its work, kept for health checks, told to systemd."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from core.clock import MINUTE, SECOND, ManualClock, SystemClock
from core.supervisor import notify
from shouwang.healthy import Beat, last_pulse, why_unwell
from shouwang.pulse import Pulse, console_why, detection_why, dispatch_why, ingest_why, store_why
from shouwang.settings import ROLES, Settings
from shouwang.wiring import Platform
from tests.servers import free_port, wait_until
from tests.shouwang.small_platform import found_town, running, small_settings, workday

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def here() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture
def away(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path / 'none' / 'a.db'}")


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (ingest_why(True, NOW - SECOND, NOW), ""),
        (ingest_why(False, NOW - SECOND, NOW), "broker_not_connected"),
        (ingest_why(True, NOW - MINUTE, NOW), "journal_stands_still"),
        (detection_why(NOW - SECOND, NOW), ""),
        (detection_why(0, NOW), "detection_not_begun"),
        (detection_why(NOW - 2 * MINUTE, NOW), "detection_behind"),
        (store_why(None, NOW), ""),
        (store_why(NOW - MINUTE, NOW), ""),
        (store_why(NOW - 6 * MINUTE, NOW), "store_behind"),
        (dispatch_why(0.0, []), ""),
        (dispatch_why(None, []), "escalation_not_audited_yet"),
        (dispatch_why(2.0, []), "escalation_unsure"),
        (dispatch_why(0.0, ["robot", "sms"]), "senders_stand_still: robot, sms"),
        (why_unwell(Beat(NOW, ""), NOW + 6 * SECOND), ""),
        (why_unwell(Beat(NOW, "store_behind"), NOW), "store_behind"),
        (why_unwell(Beat(NOW, ""), NOW + MINUTE), "no_pulse_for_60_s"),
        (why_unwell(None, NOW), "never_started"),
    ],
)
def test_each_reason_has_its_name(why: str, reason: str) -> None:
    assert why == reason


def test_a_console_that_does_not_listen_is_not_well() -> None:
    assert console_why(free_port()) == "console_does_not_answer"


def test_the_watchdog_is_fed_unless_a_role_stands_still(tmp_path: Path, here: Engine) -> None:
    told: list[str] = []
    why = {"store": "", "dispatch": ""}
    clock = ManualClock()
    signs = {"store": lambda _: why["store"], "dispatch": lambda _: why["dispatch"]}
    pulse = Pulse(tmp_path, clock, signs, here, told.append)
    pulse.step()
    why["store"] = "store_behind"
    pulse.step()
    why["dispatch"] = "senders_stand_still: sms"
    pulse.step()
    assert told == [
        "STATUS=well",
        "WATCHDOG=1",
        "STATUS=store: store_behind",
        "WATCHDOG=1",
        "STATUS=store: store_behind; dispatch: senders_stand_still: sms",
    ]
    assert last_pulse(tmp_path, "dispatch") == Beat(clock.now(), "senders_stand_still: sms")
    assert last_pulse(tmp_path, "console") is None


def test_a_database_that_is_away_is_a_reason_for_all_but_ingest_and_never_for_a_restart(
    tmp_path: Path, away: Engine
) -> None:
    told: list[str] = []
    signs = {"ingest": lambda _: "", "dispatch": lambda _: "", "detect": lambda _: "detection_behind"}
    beats = Pulse(tmp_path, ManualClock(), signs, away, told.append).step()
    assert {role: beat.why for role, beat in beats.items()} == {
        "ingest": "",
        "dispatch": "database_does_not_answer",
        "detect": "detection_behind",
    }
    assert "WATCHDOG=1" in told


def test_a_disk_that_takes_no_pulse_is_no_reason_for_a_restart(tmp_path: Path, here: Engine) -> None:
    told: list[str] = []
    gone = tmp_path / "gone"
    Pulse(gone, ManualClock(), {"ingest": lambda _: ""}, here, told.append).step()
    assert told == ["STATUS=well", "WATCHDOG=1"]


def test_systemd_hears_on_the_socket_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notify("READY=1")  # nobody asked
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert line.recv(100) == b"READY=1"
    notify("WATCHDOG=1")  # it is gone: nobody's fault here


def check(state: Path, role: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "shouwang.healthy", role]
    done = subprocess.run(
        command, env={**os.environ, "SHOUWANG_STATE": str(state)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings: Settings = small_settings(tmp_path_factory.mktemp("pulse"))
    clock = workday(10)
    found_town(settings, clock)
    with running(settings, clock) as started:
        yield started


def test_every_role_of_a_running_platform_is_well(platform: Platform) -> None:
    state = platform.settings.state

    def pulses() -> dict[str, str]:
        found = {role: last_pulse(state, role) for role in ROLES}
        return {role: beat.why if beat else "none" for role, beat in found.items()}

    wait_until(lambda: pulses() == dict.fromkeys(ROLES, ""), "the pulse of every role", 20)


def test_the_check_ends_with_status_1_and_the_reason(tmp_path: Path, here: Engine) -> None:
    assert check(tmp_path, "ingest") == (1, "ingest: never_started")
    Pulse(tmp_path, SystemClock(), {"ingest": lambda _: "", "store": lambda _: "store_behind"}, here).step()
    assert check(tmp_path, "ingest") == (0, "ingest: well")
    assert check(tmp_path, "store") == (1, "store: store_behind")


def test_the_check_is_light_enough_for_every_half_minute() -> None:
    listed = "import sys, shouwang.healthy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sqlalchemy", "numpy", "typer", "pydantic", "httpx"} & set(loaded)
