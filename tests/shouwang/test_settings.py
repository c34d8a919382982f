"""Settings: the environment over the file over the defaults, every fault told where it was written, no secret shown."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from alerts.proposals import ProposalSettings
from core.clock import DAY
from shouwang.channel_settings import ChannelSettings
from shouwang.settings import Settings, SettingsError, load_settings, masked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "town" / "shouwang.toml"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def problems(file: Path | None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_defaults_are_one_process_with_embedded_adapters() -> None:
    settings = load_settings(None)
    assert settings.database_url == "sqlite:///state/shouwang.db"
    assert settings.store_file == Path("state/readings.duckdb")
    assert settings.broker.get_secret_value() == "embedded://127.0.0.1:1883"
    assert settings.console.address == "http://127.0.0.1:8000"
    assert {name: channel.kind for name, channel in settings.channels.items()} == {"phone": "phone"}
    assert (settings.language, settings.keep_days, settings.demo) == ("zh", 730, False)
    assert (settings.journal.quota_bytes, settings.journal.reserve_bytes) == (8 * 2**30, 2**30)


def test_how_many_false_alarms_make_a_proposal(file: Path) -> None:
    assert load_settings(None).learning.limits == ProposalSettings()
    said = load_settings(write(file, "[learning]\nfalse_alarms = 8\ndays = 7\nshare = 0.9\n")).learning.limits
    assert (said.least, said.span, said.share) == (8, 7 * DAY, 0.9)
    assert len(problems(write(file, "[learning]\nfalse_alarms = 1\nshare = 2\n"))) == 2


def test_the_environment_wins_over_the_file_key_by_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, 'keep_days = 30\n[console]\nhost = "0.0.0.0"\nport = 9000\n[channels.robot]\nkind = "wecom_robot"\n')
    monkeypatch.setenv("SHOUWANG_CONSOLE__PORT", "9100")
    monkeypatch.setenv("SHOUWANG_CHANNELS__DISTRICT", '{"kind": "webhook"}')
    monkeypatch.setenv("SHOUWANG_CHANNELS__DISTRICT__SECRET", "s3cret")
    monkeypatch.setenv("SHOUWANG_LANGUAGE", "en")
    settings = load_settings(file)
    assert (settings.console.host, settings.console.port, settings.keep_days) == ("0.0.0.0", 9100, 30)
    assert settings.language == "en"
    assert settings.channels["robot"].kind == "wecom_robot"
    assert settings.channels["district"].secret.get_secret_value() == "s3cret"


def test_every_fault_is_told_at_once_where_it_was_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        file,
        'broker = "http://127.0.0.1"\nkeep_dais = 3\ndatabase = "mysql://h/d"\nstore = "influx://h"\n'
        '[console]\nport = 70000\nbase_url = "shouwang.example"\n[journal]\nquota_gb = 0\n'
        '[channels.pager]\nkind = "pigeon"\n',
    )
    monkeypatch.setenv("SHOUWANG_CONSOL__PORT", "1")
    monkeypatch.setenv("shouwang_demoo", "1")
    monkeypatch.setenv("SHOUWANG_RULES", "a,b")
    monkeypatch.setenv("SHOUWANG_JOURNAL__RESERVE_GB", "much")
    told = problems(file)
    assert sorted(problem.split(": ")[1] for problem in told if problem.startswith("environment")) == [
        "SHOUWANG_CONSOL__PORT",
        "SHOUWANG_JOURNAL__RESERVE_GB",
        "SHOUWANG_RULES",
        "shouwang_demoo",
    ]
    assert sorted(problem.split(": ")[1] for problem in told if problem.startswith(f"{file}: ")) == [
        "broker",
        "channels.pager.kind",
        "console.base_url",
        "console.port",
        "database",
        "journal.quota_gb",
        "keep_dais",
        "store",
    ]
    known = "embedded:// 或 mqtt:// 或 mqtts://"
    broker = f"{file}: broker: 要以 {known} 开头 · must begin with {known.replace('或', 'or')}"
    assert broker in told
    assert [problem for problem in told if "·" not in problem] == [], "Chinese first, and English"


def test_variables_of_tests_and_the_files_own_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_CONFIG", "elsewhere.toml")
    monkeypatch.setenv("SHOUWANG_TEST_POSTGRESQL", "1")
    assert load_settings(None).state == Path("state")


def test_a_fault_of_syntax_is_told_with_its_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_KEEP_DAYS", "0")
    told = problems(write(file, 'state = "x"\n[console\nport = 1\n'))
    assert told[0].startswith(f"{file}: 不合 TOML 写法 · not TOML: ")
    assert "line 2" in told[0]
    assert told[1].startswith("environment: SHOUWANG_KEEP_DAYS: "), "the environment's faults are told with it"


def test_a_file_that_is_missing_or_no_text(file: Path) -> None:
    assert problems(file) == [f"{file}: 读不出来，请查路径和权限 · can't be read: No such file or directory"]
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe")
    assert problems(file)[0].startswith(f"{file}: 不合 TOML 写法 · not TOML: ")


def test_relative_paths_start_at_the_file(file: Path) -> None:
    text = 'state = "s"\nrules = ["r", "/abs"]\ndevice_types = ["t"]\ndatabase = "sqlite:///town.db"\n'
    settings = load_settings(write(file, text + 'store = "duckdb:///readings.db"\n'))
    folder = file.parent
    assert settings.state == folder / "s"
    assert settings.rules == [folder / "r", Path("/abs")]
    assert settings.device_types == [folder / "t"]
    assert settings.database_url == f"sqlite:///{folder}/town.db"
    assert settings.store_file == folder / "readings.db"


def test_an_absolute_database_file_stays_where_it_is(file: Path) -> None:
    settings = load_settings(write(file, 'database = "sqlite:////var/town.db"\nstore = "duckdb:////var/readings.db"\n'))
    assert settings.database_url == "sqlite:////var/town.db"
    assert settings.store_file == Path("/var/readings.db")


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://",
        "mqtt://town:pa/ss@broker",
        "mqtt://town:pa#ss@broker",
        "mqtt://town:1/ss@broker",
        "mqtt://[broker",
        "mqtt://broker?qos=2",
        "embedded://127.0.0.1:port",
    ],
)
def test_a_broker_that_cannot_be_meant_is_refused_without_its_password(url: str, file: Path) -> None:
    (told,) = problems(write(file, f'broker = "{url}"\n'))
    assert told.startswith(f"{file}: broker: ")
    assert "ss@" not in told
    assert "pa" not in told.removeprefix(str(file)).replace("password", "")


SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).map("§{}§".format)


@given(password=SECRETS, token=SECRETS, quoted=st.booleans())
def test_no_secret_is_ever_shown(password: str, token: str, quoted: bool) -> None:
    written = quote(password, safe="") if quoted else password
    settings = Settings.model_construct(
        broker=SecretStr(f"mqtts://town:{written}@broker.example:8883?ca=/etc/ca.pem"),
        database=f"postgresql+psycopg://town:{written}@db.example/town?password={quote(token, safe='')}",
        channels={
            "district": ChannelSettings(kind="webhook", secret=SecretStr(token)),
            "app": ChannelSettings.model_construct(
                kind="wecom_app", secret=SecretStr(token), token=SecretStr(password), aes_key=SecretStr(password)
            ),
            "robot": ChannelSettings(kind="wecom_robot", url=f"https://{written}@robot.example/send?key={written}"),
        },
    )
    shown = json.dumps(masked(settings), ensure_ascii=False) + repr(settings)
    for secret in (password, token, quote(password, safe=""), quote(token, safe=""), json.dumps(password)[1:-1]):
        assert secret not in shown


def test_what_is_masked_still_says_where(file: Path) -> None:
    shown = masked(load_settings(write(file, 'broker = "mqtts://town:s3cret@broker.example?ca=/etc/ca.pem"\n')))
    assert shown["broker"] == "mqtts://town:********@broker.example?ca=/etc/ca.pem"
    assert shown["channels"] == {"phone": {"kind": "phone"}}


def test_a_channel_says_what_its_kind_lacks(file: Path) -> None:
    (told,) = problems(write(file, '[channels.app]\nkind = "wecom_app"\ncorp_id = "ww1"\n'))
    lacks = (
        "缺少 agent_id, secret · wecom_app needs agent_id, secret; set secret, or secret_file for a file that holds it"
    )
    assert told == f"{file}: channels.app: {lacks}"


def test_a_key_of_another_length_is_refused_and_not_told(file: Path) -> None:
    (told,) = problems(write(file, '[channels.app]\nkind = "wecom_robot"\naes_key = "s3cret"\n'))
    assert "43" in told
    assert "s3cret" not in told


def test_an_address_is_the_base_url_or_this_machine() -> None:
    assert Settings(console={"host": "::1", "port": 81}).console.address == "http://[::1]:81"
    assert Settings(console={"base_url": "https://sw.example/"}).console.address == "https://sw.example"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            '[channels.sms]\nkind = "aliyun_sms"\nkey_id = "k"\n',
            "aliyun_sms needs secret, signature, template",
        ),
        ('[channels.district]\nkind = "webhook"\n', "channels.district: 缺少 secret · webhook needs secret"),
        ('[channels.district]\nkind = "webhook"\nsecret = " "\n', "set secret, or secret_file"),
        ('[outside.district]\nsecret = "                    "\n', "at least 16 characters"),
        ('[channels.mail]\nkind = "email"\nurl = "http://x"\nsender = "a@b"\n', "smtps://HOST"),
        ('[channels.mail]\nkind = "email"\nurl = "smtp://x"\nsender = "nobody"\n', "sender must be a mail address"),
        ('[channels.r]\nkind = "apprise"\nvariables = ["level", "colour"]\n', "must be some of"),
        ('[outside.district]\nsecret = "s3cret"\n', "at least 16 characters"),
        ('[outside.district]\nsecret = "s3cret-s3cret-s3cret"\nurl = "ftp://x"\n', "must begin with http"),
        ('[outside.District]\nsecret = "s3cret-s3cret-s3cret"\n', "outside.District"),
    ],
)
def test_what_a_channel_or_platform_lacks_is_said_without_its_secret(file: Path, section: str, told: str) -> None:
    (said,) = problems(write(file, section))
    assert told in said
    assert "s3cret" not in said


def test_secrets_of_platforms_and_messages_are_hidden() -> None:
    sms = {"kind": "aliyun_sms", "key_id": "k", "secret": "s3cret", "signature": "s", "template": "t"}
    district = {"secret": "s3cret-s3cret-s3cret", "url": "https://district.example/in?key=s3cret"}
    settings = Settings(
        channels={"sms": {**sms, "token": "s3cret-s3cret-s3cret"}},  # type: ignore[dict-item]
        outside={"district": district},  # type: ignore[dict-item]
    )
    assert "s3cret" not in str(masked(settings))
    assert "s3cret" not in repr(settings)
