"""The command line as an operator meets it: what each command says, does and refuses, never with a traceback."""

import re
import socket
import stat
import threading
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.clock import SystemClock
from core.database import open_engine, writing
from core.journal import Offset
from devices.credentials import verify
from devices.device_types import load_device_types
from devices.registry import load_registry
from ingest.dead_letters import keep
from ingest.words import Reject
from shouwang.demo_town import simulated_gateways
from shouwang.incidents import Script
from shouwang.settings import load_settings
from tests.certificates import own_certificate
from tests.devices.town_folder import spoil
from tests.servers import free_port
from tests.shouwang.command_line import query, run

pytestmark = pytest.mark.usefixtures("folder")


# init and settings ----------------------------------------------------------------------------------------------------


def test_init_gives_a_one_time_password_once(tmp_path: Path) -> None:
    said = run("init").output
    (password,) = re.findall(r"登录 +admin / (\S+)", said)
    assert len(password) >= 16
    ((hashed, must_change),) = query("SELECT password_hash, must_change FROM account")
    assert verify(str(hashed), password)
    assert must_change
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "shouwang.toml").stat().st_mode) == 0o600
    settings = (tmp_path / "shouwang.toml").read_bytes()
    again = run("init").output
    assert "管理员 admin 已经有了" in again
    assert password not in again
    assert query("SELECT count(*) FROM account") == [(1,)]
    assert (tmp_path / "shouwang.toml").read_bytes() == settings


@pytest.mark.parametrize(("language", "words"), [("zh", ("登录", "下一步")), ("en", ("sign in", "next"))])
def test_init_speaks_the_language_that_is_asked_for_and_keeps_it(language: str, words: tuple[str, str]) -> None:
    said = run("init", "--language", language).output
    assert all(word in said for word in words)
    assert bool(re.search(r"[\u4e00-\u9fff]", said)) is (language == "zh")
    assert load_settings(Path("shouwang.toml")).language == language
    assert bool(re.search(r"[\u4e00-\u9fff]", Path("shouwang.toml").read_text())) is (language == "zh")
    again = run("init").output
    assert ("already" in again) is (language == "en"), "the settings remember"


def test_two_installations_have_different_passwords() -> None:
    said = [run("init", "--config", f"{name}/shouwang.toml").output for name in ("a", "b")]
    first, second = (re.findall(r"admin / (\S+)", text)[0] for text in said)
    assert first != second
    assert Path("a/state/shouwang.db").is_file(), "the state lies beside the settings"


def test_init_keeps_the_settings_that_are_there() -> None:
    Path("shouwang.toml").write_text('state = "elsewhere"\n')
    run("init")
    assert Path("elsewhere/shouwang.db").is_file()
    assert not Path("state").exists()


def test_the_settings_that_init_writes_are_the_defaults() -> None:
    defaults = run("config", "show").output
    run("init")
    assert run("config", "show").output == defaults


def test_config_show_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_BROKER", "mqtts://town:s3cret@broker.example")
    monkeypatch.setenv("SHOUWANG_CHANNELS__DISTRICT", '{"kind": "webhook", "secret": "s3cret"}')
    shown = run("config", "show").output
    assert "mqtts://town:********@broker.example" in shown
    assert "s3cret" not in shown


def test_every_wrong_setting_is_told_at_once() -> None:
    Path("shouwang.toml").write_text('keep_days = 0\nlanguage = "fr"\n[consol]\nport = 1\n')
    said = run("status", fails=1).stderr
    assert [line.split(":")[1].strip() for line in said.splitlines()] == ["keep_days", "language", "consol"]
    assert not Path("state").exists()


# dead letters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(town: Path) -> list[int]:
    """Three dead letters: two of unknown devices, one that was cut."""
    now = SystemClock().now()
    rejects = [
        Reject(f"sw/v1/GW-1/{device}/telemetry", b'{"values":{}}', now, "GW-1", reason, f"about {device}", 2)
        for device, reason in (("GAS-8", "unknown_device"), ("GAS-9", "unknown_device"), ("GAS-1", "oversize"))
    ]
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        keep(connection, [(Offset(0, n), reject) for n, reject in enumerate(rejects, 1)], Offset(0, 3))
    engine.dispose()
    return [int(str(row[0])) for row in query("SELECT id FROM dead_letter ORDER BY journal_n")]


def test_rejects_are_listed_and_counted(letters: list[int]) -> None:
    listed = run("rejects", "list").output
    assert re.findall(r"about (\S+)", listed) == ["GAS-1", "GAS-9", "GAS-8"], "newest first"
    assert "GW-1 unknown_device: 2 messages, 4 readings" in listed
    assert re.findall(r"about (\S+)", run("rejects", "list", "--reason", "oversize").output) == ["GAS-1"]
    assert re.findall(r"about (\S+)", run("rejects", "list", "--gateway", "GW-2").output) == []


def test_one_reject_is_shown_whole(letters: list[int]) -> None:
    shown = run("rejects", "show", letters[0]).output
    for part in ("sw/v1/GW-1/GAS-8/telemetry", "unknown_device", "about GAS-8", '{"values":{}}'):
        assert part in shown
    assert run("rejects", "show", 999, fails=1).stderr == "there is no dead letter 999\n"


def test_a_replay_asks_for_what_was_chosen(letters: list[int]) -> None:
    assert "name the letters" in run("rejects", "replay", fails=1).stderr
    assert run("rejects", "replay", letters[1]).output == "1 to be replayed\n"
    asked = "SELECT id FROM dead_letter WHERE replay_asked_at IS NOT NULL ORDER BY journal_n"
    assert query(asked) == [(letters[1],)]
    assert run("rejects", "replay", "--all").output == "2 to be replayed\n", "what was cut is no message any more"
    assert query(asked) == [(letters[0],), (letters[1],)]


def test_a_replay_says_what_cannot_be_replayed(letters: list[int]) -> None:
    result = run("rejects", "replay", letters[0], letters[2], 999, fails=1)
    assert result.stdout == "1 to be replayed\n"
    assert result.stderr == f"can't be replayed, unknown, too large, or only a sample of many: {letters[2]}, 999\n"


# status and doctor ----------------------------------------------------------------------------------------------------


def test_the_status_of_a_fresh_state() -> None:
    run("init")
    said = run("status", "--language", "en").output
    for row in (
        r"last record +│ never",
        r"dropped readings +│ none",
        r"open alerts +│ 0",
        r"tickets +│ none",
        r"notices not sent +│ none",
    ):
        assert re.search(row, said), said
    assert "Ingest 0, Store 0, Detection 0, Dead letters 0" in said


def test_the_status_is_in_chinese_first() -> None:
    run("init")
    said = [line.split("│")[1:3] for line in run("status").output.splitlines() if "│" in line]
    assert all(re.search(r"[\u4e00-\u9fff]", name) for name, _ in said if name.strip())
    told = {name.strip(): text.strip() for name, text in said}
    assert (told["最后一条"], told["工单"], told["未恢复的报警"], told["消息代理"]) == ("从未", "无", "0", "内置")
    english = run("status", "--language", "en").output
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_the_status_of_no_state_makes_none() -> None:
    assert "run `shouwang init`" in run("status", fails=1).stderr
    assert not Path("state").exists()


def findings(result: Result) -> dict[str, tuple[str, str]]:
    """What → (standing, text)."""
    found = {}
    for line in result.stdout.splitlines():
        if match := re.match(r"(good|doubtful|broken) +([\w ]+): (.*)", line):
            standing, what, text = match.groups()
            found[what] = standing, text
    return found


def test_doctor_finds_a_fresh_platform_usable(town: Path) -> None:
    run("town", "import", town)
    run("town", "password", "GW-1")
    found = findings(run("doctor", "--language", "en"))
    assert {what for what, (standing, _) in found.items() if standing == "broken"} == set()
    assert found["town"] == ("good", "1 gateways, 2 devices")
    assert found["database"][0] == found["rules"][0] == found["state folder"][0] == "good"
    assert found["broker"] == ("doubtful", "embedded: for trying out; in service use Mosquitto or EMQX")


def test_doctor_says_what_to_do_about_a_missing_state() -> None:
    found = findings(run("doctor", "--language", "en", fails=1))
    assert found["state folder"] == ("broken", "state is missing: run `shouwang init`")
    assert found["database"] == ("broken", "there is none yet: run `shouwang init`")
    assert not Path("state").exists()


def test_doctor_finds_what_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("init")
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.yaml").write_text("rules:\n  own.rule:\n    kind: threshhold\n")
    monkeypatch.setenv("SHOUWANG_RULES", f'["{rules}"]')
    monkeypatch.setenv("SHOUWANG_BROKER", f"mqtt://127.0.0.1:{free_port()}")
    found = findings(run("doctor", "--language", "en", fails=1))
    broken = {what: text for what, (standing, text) in found.items() if standing == "broken"}
    assert set(broken) == {"rules", "broker"}
    assert "own.yaml" in broken["rules"]
    assert "nothing listens there" in broken["broker"]


def test_a_database_of_a_newer_program_is_told_and_left_alone() -> None:
    run("init")
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for command in ("doctor", "status", "init", "run"):
        assert "9999" in run(command, fails=1).output
    assert query("SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_database_file_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    Path("town.db").write_bytes(b"no database at all" * 100)
    monkeypatch.setenv("SHOUWANG_DATABASE", "sqlite:///town.db")
    assert findings(run("doctor", "--language", "en", fails=1))["database"] == (
        "broken",
        "can't be read (file is not a database)",
    )


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("database or disk is full", "清理"),
        ("disk I/O error", "剩余空间"),
        ("attempt to write a readonly database", "属主"),
        ("unable to open database file", "属主"),
        ("connection refused", "口令"),
    ],
)
def test_what_a_database_says_is_told_with_what_to_do(why: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception(why))

    monkeypatch.setattr("shouwang.cli_operate.open_database", refusing)
    said = run("init", fails=1).stderr
    assert why in said
    assert advice in said.splitlines()[0]


def test_a_journal_of_another_registry_is_told() -> None:
    run("init")
    run("status")
    Path("state/shouwang.db").unlink()
    run("init")
    standing, words = findings(run("doctor", "--language", "en", fails=1))["journal"]
    assert standing == "broken"
    assert "restore both from the same backup" in words
    assert "restore both from the same backup" in run("status", fails=1).stderr


# run, demo, simulate --------------------------------------------------------------------------------------------------


def test_the_simulation_of_a_town_speaks_for_its_own_devices_only(town: Path) -> None:
    spoil(town, "devices.csv", "GAS-1", state="in_service")
    run("town", "import", town)
    engine = open_engine("sqlite:///state/shouwang.db")
    registry = load_registry(engine, load_device_types())
    engine.dispose()
    (gateway,) = simulated_gateways(registry, Script({}, {}, {}), 0)
    assert {device.code for device, _ in gateway.devices} == {"GAS-1", "WTR-1"}


@pytest.mark.parametrize(
    ("roles", "problem"), [("ingest,detct,x", "unknown role detct, x"), ("", "unknown role (none)")]
)
def test_roles_are_checked(roles: str, problem: str) -> None:
    said = run("run", "--roles", roles, fails=1).stderr
    chinese, english = said.splitlines()
    assert english == f"{problem}: choose from ingest, store, detect, dispatch, console"
    assert chinese.startswith("没有角色 ")
    assert not Path("state").exists()


@pytest.mark.parametrize("at", ["noon", "25:00", "10.30", "10"])
def test_a_demonstration_needs_a_time_of_day(at: str) -> None:
    said = run("demo", "--for", 1, "--at", at, fails=1).stderr
    assert said == f"--at '{at}' is no time of day, such as 10:00 or 22:30\n"


def test_a_demonstration_starts_from_an_empty_folder() -> None:
    Path("kept").mkdir()
    Path("kept/precious").touch()
    said = run("demo", "--for", 1, "--state", "kept", fails=1).stderr
    assert said == "kept is not empty: a demonstration starts from an empty folder\n"
    assert [path.name for path in Path("kept").iterdir()] == ["precious"]


def test_a_demonstration_does_not_run_for_a_report_that_has_no_place() -> None:
    said = run("demo", "--for", 600, "--json", "missing/report.json", fails=1).stderr
    assert said == "missing/report.json can't be written: its folder is missing\n"


def test_devices_cannot_be_slower_than_they_are() -> None:
    said = run("demo", "--for", 1, "--devices", 300, "--rate", 1, fails=1).stderr
    assert "choose fewer --devices or a higher --rate" in said


def test_a_simulation_that_reaches_nobody_says_so(town: Path) -> None:
    spoil(town, "devices.csv", "GAS-1", state="in_service")
    run("town", "import", town)
    port = free_port()
    said = run("simulate", "--broker", f"mqtt://127.0.0.1:{port}", "--for", 1, fails=1).stderr
    assert said.startswith(f"127.0.0.1:{port} 什么也没有收下")
    assert f"\n127.0.0.1:{port} took nothing" in said


def test_a_simulation_speaks_tls_where_the_address_says_so(town: Path, tmp_path: Path) -> None:
    spoil(town, "devices.csv", "GAS-1", state="in_service")
    run("town", "import", town)
    shaken: list[str | None] = []
    context = own_certificate(tmp_path / "broker.pem")
    with socket.create_server(("127.0.0.1", 0)) as line:

        def shake() -> None:
            caller, _ = line.accept()
            with caller, context.wrap_socket(caller, server_side=True) as talk:
                shaken.append(talk.version())

        shaking = threading.Thread(target=shake)
        shaking.start()
        run(
            "simulate",
            "--broker",
            f"mqtts://127.0.0.1:{line.getsockname()[1]}?ca={tmp_path / 'broker.pem'}",
            "--for",
            1,
            fails=1,
        )
        shaking.join()
    assert shaken == ["TLSv1.3"]


def test_a_simulation_without_devices_or_with_a_bad_file_says_so() -> None:
    run("init")
    assert run("simulate", "--for", 1, fails=1).stderr == "no device is in service\n"
    Path("passwords.csv").write_text("GW-1,secret\nGW-2\n")
    said = run("simulate", "--for", 1, "--passwords", "passwords.csv", fails=1).stderr
    assert said == "passwords.csv, line 2: expected gateway,password\n"
