"""The readings store that the settings choose: made ready, looked at, and a platform that outlives its server."""

import re
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, update

from core.clock import DAY, MINUTE
from core.database import writing
from devices.device_types import load_device_types
from devices.enrolment import ensure_registry
from devices.tables import device, registry
from devices.town import import_town
from ingest.influx_labels import labels_of, prefix
from ingest.influx_setup import set_up
from ingest.influx_wire import InfluxWire
from ingest.store import FIVE_MINUTES, ONE_HOUR
from shouwang.cli_town import SHEETS
from shouwang.settings import Settings, SettingsError, load_settings, masked
from shouwang.stores import kept_for
from tests.devices.town_folder import NOW, write_town
from tests.fakes.influx_two import ALL_ACCESS, ORG, InfluxTwo
from tests.influx_server import InfluxOne, named_server
from tests.servers import wait_until
from tests.shouwang.command_line import run
from tests.shouwang.small_platform import found_town, gateway, measure, rows, running, small_settings, values, workday

pytestmark = pytest.mark.long


@pytest.fixture
def url(influx_one: InfluxOne) -> str:
    """The URL of a store that nobody has made yet."""
    return f"influx+{influx_one.address('x').base.replace('://', '://any@')}/town/t{uuid4().hex[:12]}"


# settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["influx://h/o/b", "influx+http://h/o/b", "influx+http://t@h/o", "influx+http://t@h/o/b/c", "influx+http://t@/o/b"],
)
def test_a_url_that_names_no_bucket_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SHOUWANG_STORE", url)
    with pytest.raises(
        SettingsError, match=r"SHOUWANG_STORE: .*must be(gin with duckdb:///| influx\+http\(s\)://TOKEN@HOST)"
    ):
        load_settings(None)


def test_a_token_is_read_in_percent_form_and_never_shown() -> None:
    settings = Settings(store=SecretStr("influx+https://s3cr%2Ft%3D%3D@influx.example/%E6%9C%9B%E4%BA%AD/readings"))
    assert settings.influx == ("https://influx.example:443", "s3cr/t==", "望亭", "readings", "")
    assert masked(settings)["store"] == "influx+https://********@influx.example/%E6%9C%9B%E4%BA%AD/readings"
    account = Settings(store=SecretStr("influx+http://town:s3cret@influx.example:8087/town/readings"))
    assert account.influx == ("http://influx.example:8087", "town:s3cret", "town", "readings", "")
    assert "s3cret" not in masked(account)["store"]


def test_roll_ups_stay_at_least_as_long_as_what_they_are_made_of() -> None:
    assert kept_for(Settings()) == {0: 730 * DAY, FIVE_MINUTES: 1826 * DAY, ONE_HOUR: 3652 * DAY}
    assert kept_for(Settings(keep_days=4000)) == {0: 4000 * DAY, FIVE_MINUTES: 4000 * DAY, ONE_HOUR: 4000 * DAY}


# store init and doctor ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_the_embedded_store_needs_nothing() -> None:
    said = run("store", "init").output
    assert said == "state/readings.duckdb: a file that is made at the first start; nothing needs doing\n"
    run("init")
    assert re.search(r"good +store: state/readings.duckdb", run("doctor", "--language", "en").output)


def check_init_and_doctor(monkeypatch: pytest.MonkeyPatch, url: str, bucket: str) -> None:
    monkeypatch.setenv("SHOUWANG_STORE", url)
    run("init")
    said = run("doctor", "--language", "en", fails=1).output
    assert re.search(rf"broken +store: \S+ has no bucket {bucket} \(.*\): run `shouwang store init`", said), said
    made = run("store", "init").output.splitlines()
    assert [line for line in made if "days" in line] == [
        f"{kind} {name}: made, {days} days"
        for kind, name, days in zip(
            [made[0].split()[0]] * 3, (bucket, f"{bucket}_5m", f"{bucket}_1h"), (730, 1826, 3652), strict=True
        )
    ]
    again = run("store", "init").output.splitlines()
    assert all("stands" in line for line in again)
    said = run("doctor", "--language", "en").output
    assert re.search(rf"good +store: InfluxDB \S* at http://127.0.0.1:\d+, bucket {bucket}", said), said


@pytest.mark.usefixtures("folder")
def test_a_1x_server_is_made_ready(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    check_init_and_doctor(monkeypatch, url, url.rpartition("/")[2])


@pytest.mark.usefixtures("folder")
def test_a_2x_server_is_made_ready_and_refuses_a_wrong_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with named_server() as address:
        bucket = f"t{uuid4().hex[:12]}"
        url = f"influx+{address.base.replace('://', f'://{address.token}@')}/{address.org}/{bucket}"
        check_init_and_doctor(monkeypatch, url, bucket)
        monkeypatch.setenv("SHOUWANG_STORE", url.replace(f"{address.token}@", "wrong@"))
        said = run("doctor", "--language", "en", fails=1).output
        assert "refuses the token" in said
        assert "give `store` one that reads and writes" in said
        assert "may not make buckets" in run("store", "init", fails=1).stderr


@pytest.mark.usefixtures("folder")
def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_STORE", "influx+http://t@127.0.0.1:1/town/readings")
    run("init")
    assert re.search(
        r"broken +store: http://127.0.0.1:1 can't be re", run("doctor", "--language", "en", fails=1).output
    )
    assert "can't be reached" in run("store", "init", fails=1).stderr


# tags -----------------------------------------------------------------------------------------------------------------


def test_tags_are_of_the_town_and_follow_the_registry(engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        ensure_registry(connection)
    import_town(engine, write_town(tmp_path / "town"), SHEETS, load_device_types(), NOW)
    labels = labels_of(engine)
    first = labels()
    assert labels() is first
    assert {prefix(labelled) for labelled in first.devices} == {
        "water_depth,device=WTR-1,grid=G01,kind=road,site=RD-1,village=V1 ",
        "gas,device=GAS-1,grid=G02,kind=enterprise,site=EN-1,village=V1 ",
    }
    with writing(engine) as connection:
        connection.execute(update(device).where(device.c.code == "WTR-1").values(lng=120.415, lat=31.445))
        connection.execute(update(device).where(device.c.code == "GAS-1").values(lng=121.0, lat=31.445))
        connection.execute(update(registry).values(version=registry.c.version + 1))
    assert {prefix(labelled) for labelled in labels().devices} == {
        "water_depth,device=WTR-1,grid=G02,kind=road,site=RD-1,village=V1 ",
        "gas,device=GAS-1,kind=enterprise,site=EN-1 ",
    }


# the platform ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[InfluxOne]:
    """An InfluxDB that a test may stop."""
    server = InfluxOne.installed()
    server.start()
    yield server
    server.stop()


def soon(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what, 20)


def test_a_platform_starts_and_alarms_without_its_server_and_catches_up(own_server: InfluxOne, tmp_path: Path) -> None:
    address = own_server.address("readings")
    url = SecretStr(f"influx+{address.base.replace('://', '://any@')}/town/readings")
    settings, clock = small_settings(tmp_path, store=url), workday(10)
    passwords = found_town(settings, clock)
    set_up(address, {f"readings{suffix}": 365 for suffix in ("", "_5m", "_1h")})
    own_server.stop_influxd(signal.SIGKILL)
    with running(settings, clock) as platform:
        with gateway(settings, "GW-1", passwords["GW-1"]) as client:
            measure(client, "GAS-1", 60.0, clock.now())
            soon(lambda: rows(platform, "SELECT rule FROM alert") == [("gas.leak",)], "the alert")
            measure(client, "GAS-1", 1.0, clock.now() - 1_000 * DAY)
        own_server.start_influxd()
        soon(lambda: platform.store is not None and platform.store.counts().stored == 1, "what was missed")
        assert values(platform) == [60.0]
        refused = "SELECT gateway, readings FROM dead_letter WHERE reason = 'store_refused'"
        soon(lambda: rows(platform, refused) == [("GW-1", 1)], "the dead letter")
    with running(settings, clock, roles=("console",)) as apart:
        assert values(apart) == [60.0]
        number = rows(apart, "SELECT number FROM series WHERE device = 'GAS-1' AND metric = 'gas_lel'")[0][0]
        assert apart.store
        assert apart.store.latest([number])[number].value == 60.0
    wire = InfluxWire(address)
    asked = "SELECT * FROM gas GROUP BY *"
    ((_, answer),) = wire.query("readings", [asked])
    assert answer.tags == {"device": "GAS-1", "grid": "G02", "kind": "enterprise", "site": "EN-1", "village": "V1"}
    assert dict(zip(answer.columns, answer.values[0], strict=True))["gas_lel"] == 60.0
    wire.close()


def test_the_platform_sums_readings_up(tmp_path: Path) -> None:
    settings, clock = small_settings(tmp_path), workday(10)
    passwords = found_town(settings, clock)
    with running(settings, clock) as platform:
        before = clock.now() // FIVE_MINUTES * FIVE_MINUTES - FIVE_MINUTES
        with gateway(settings, "GW-1", passwords["GW-1"]) as client:
            for n in range(3):
                measure(client, "GAS-1", float(n), before + n * MINUTE)
        number = rows(platform, "SELECT number FROM series WHERE device = 'GAS-1' AND metric = 'gas_lel'")[0][0]
        store = platform.store
        assert store

        def found() -> list[int]:
            return store.rollup(ONE_HOUR, np.array([number], np.int32), 0, 2**60).count.tolist()

        soon(lambda: found() == [3], "the roll-up")


# store reader ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_a_token_that_only_reads_is_kept_for_its_group_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("reader")
    with InfluxTwo("readings", "readings_5m", "readings_1h") as server:
        monkeypatch.setenv("SHOUWANG_STORE", f"influx+{server.url}/{ORG}/readings")
        monkeypatch.setenv("SHOUWANG_STORE_TOKEN", ALL_ACCESS)
        said = run("store", "reader", file).output
        token = file.read_text()
        assert (token in said, token == ALL_ACCESS, stat.S_IMODE(file.stat().st_mode)) == (False, False, 0o640)
        assert "stands" in run("store", "reader", file).output
        assert file.read_text() == token
        assert "No such file" in run("store", "reader", "missing/reader", fails=1).stderr
        assert len(server.tokens) == 1, "a token that nobody kept"
    monkeypatch.delenv("SHOUWANG_STORE_TOKEN")
    monkeypatch.delenv("SHOUWANG_STORE")
    assert "InfluxDB" in run("store", "reader", file, fails=1).stderr
