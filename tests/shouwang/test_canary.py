"""The canary goes the whole way, says which hop it did not pass, and stands in no list or count of the town."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core.clock import SECOND
from core.database import reading, writing
from core.journal import Offset
from devices.canary import CANARY, CANARY_TYPE, reserve_canary
from devices.device_types import load_device_types
from devices.enrolment import ensure_registry
from devices.registry import load_registry
from devices.tables import gateway
from ingest.influx_labels import labels_of
from ingest.store import Point, StoreUnavailable
from shouwang.canary import Passage, standing
from shouwang.diagnosis import diagnose
from shouwang.wiring import Platform
from tests.servers import Mosquitto, wait_until
from tests.shouwang.small_platform import found_town, rows, running, small_settings, workday

pytestmark = pytest.mark.long

ALERT = "SELECT rule, state FROM alert WHERE rule = 'platform.canary_missed'"


class Told:
    """A journal and a store of which only is told what the canary asks."""

    def __init__(self) -> None:
        self.beat = self.n = self.taken = 0
        self.newest: int | None = 0

    def head(self) -> Offset:
        return Offset(0, self.n)

    def acknowledged(self, _consumer: str) -> Offset:
        return Offset(0, self.taken)

    def latest(self, series: list[int]) -> dict[int, Point]:
        if self.newest is None:
            raise StoreUnavailable("away")
        return {series[0]: Point(self.newest, 1.0, 0)}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def passage(told: Told) -> Passage:
    return Passage(told, lambda: told.beat)  # type: ignore[arg-type]


def test_detection_has_passed_a_beat_when_it_came_behind_the_moment_of_its_journalling(
    told: Told, passage: Passage
) -> None:
    told.beat = 100
    passage.look(105)
    assert passage.journalled() == 100
    assert passage.detected(104) == 0
    assert passage.detected(105) == 100
    told.beat = 200
    passage.look(210)
    assert passage.detected(150) == 100


def test_a_clock_that_is_set_back_blinds_it_for_no_hour(told: Told, passage: Passage) -> None:
    told.beat, told.n, told.taken, told.newest = 5_000, 7, 7, 5_000
    passage.look(5_005)
    assert passage.stored(told, 3) is None  # type: ignore[arg-type]
    told.beat, told.n, told.taken = 100, 9, 9
    passage.look(105)
    assert (passage.journalled(), passage.detected(105)) == (100, 100)
    assert passage.stored(told, 3) is None, "its newest reading is of the time before"  # type: ignore[arg-type]


def test_a_store_that_is_behind_or_away_is_not_the_canarys_matter(told: Told, passage: Passage) -> None:
    told.beat, told.n, told.newest = 100, 7, None
    passage.look(105)
    assert passage.stored(told, 3) is None, "the consumer has not come so far"  # type: ignore[arg-type]
    told.taken = 7
    assert passage.stored(told, 3) is None, "the store is away"  # type: ignore[arg-type]


def test_a_store_that_took_a_beat_and_does_not_have_it_is(told: Told, passage: Passage) -> None:
    told.beat, told.n, told.taken = 100, 7, 7
    passage.look(105)
    assert passage.stored(told, 3) == 0  # type: ignore[arg-type]
    told.newest = 100
    assert passage.stored(told, 3) is None  # type: ignore[arg-type]
    told.beat, told.n, told.taken = 200, 9, 9
    passage.look(205)
    assert passage.stored(told, 3) == 100  # type: ignore[arg-type]


def test_the_first_hop_that_no_beat_passed_is_named() -> None:
    late = standing([("broker", 95), ("journal", 10), ("detection", 10)], began=0, now=100, limit=30)
    assert late is not None
    assert late.hop == "journal"
    assert late.age == 90 / SECOND


def test_a_start_says_nothing_until_a_beat_passed_or_its_time_is_over() -> None:
    for now in (80, 109):
        assert standing([("broker", 95), ("journal", 10)], began=80, now=now, limit=30) is None
    over = standing([("broker", 95), ("journal", 10)], began=80, now=110, limit=30)
    assert over is not None
    assert (over.hop, over.age) == ("journal", 30 / SECOND)


def test_its_number_is_reserved_once_and_its_device_pages_nobody(engine: Engine) -> None:
    types = load_device_types()
    with writing(engine) as connection:
        ensure_registry(connection)
        number = reserve_canary(connection)
        assert reserve_canary(connection) == number
    registry = load_registry(engine, types)
    assert (registry.canary, registry.version) == (number, 2)
    assert registry.series_of[CANARY] == {"beat": number}
    index = registry.device_index[CANARY]
    assert registry.device[number] == index
    assert not registry.in_service(index, 2**60)
    assert (registry.town_devices, registry.town_gateways) == (0, [])
    assert CANARY_TYPE.code not in types


def test_an_influxdb_is_told_of_it_as_of_any_device_without_a_place(engine: Engine) -> None:
    with writing(engine) as connection:
        number = reserve_canary(connection)
    labels = labels_of(engine)()
    assert labels.number(labels.index[CANARY], "beat") == number
    assert labels.prefixes[labels.index[CANARY]] == f"canary,device={CANARY} "


def test_a_towns_own_gateway_of_that_name_takes_it_away(engine: Engine) -> None:
    with writing(engine) as connection:
        reserve_canary(connection)
        connection.execute(gateway.insert().values(code=CANARY))
    registry = load_registry(engine, load_device_types())
    assert registry.canary == -1
    assert [row.code for row in registry.town_gateways] == [CANARY]


def age_of(platform: Platform) -> float:
    """How old the newest beat that went the whole way is, s; 1,000 while that is not known."""
    assert platform.canary
    seen = platform.canary.standing()
    return seen.age if seen else 1000.0


def test_a_beat_goes_the_whole_way_and_stands_in_no_list_of_the_town(tmp_path: Path) -> None:
    clock = workday(10)
    settings = small_settings(tmp_path, canary_s=1)
    found_town(settings, clock)
    with running(settings, clock) as platform:
        wait_until(lambda: age_of(platform) < 3, "a beat on its whole way", 20)
        number = rows(platform, "SELECT canary FROM registry")[0][0]
        store = platform.store
        assert store
        wait_until(lambda: number in store.latest([number]), "the beat in the store", 20)
        canary = platform.canary
        assert canary
        canary.stop(5)
        sent = canary.beats
        wait_until(lambda: store.counts().stored == sent, "every beat in the store, once", 20)
        for table, column in (("gateway", "code"), ("device", "code"), ("series", "device")):
            assert rows(platform, f"SELECT count(*) FROM {table} WHERE {column} = '{CANARY}'") == [(0,)]
        assert rows(platform, ALERT) == []
    texts = [finding.text for finding in diagnose(settings, clock) if finding.what == "town"]
    with reading(platform.engine) as connection:
        known = connection.execute(gateway.select()).all()
    assert texts[0].startswith(f"{len(known)} gateways, ")


def test_one_that_the_brokers_rules_forbid_is_an_alert_until_they_allow_it(
    tmp_path: Path, mosquitto: Callable[..., Mosquitto]
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite sw/v1/GW-1/#\ntopic read sw/v1/#\n")
    rules.chmod(0o700)
    broker = mosquitto([f"acl_file {rules}"])
    clock = workday(10)
    settings = small_settings(tmp_path, canary_s=2, broker=SecretStr(broker.url))
    found_town(settings, clock)
    with running(settings, clock) as platform:
        wait_until(lambda: rows(platform, ALERT) == [("platform.canary_missed", "open")], "the alert", 30)
        evidence = rows(platform, "SELECT CAST(evidence AS TEXT) FROM alert")[0][0]
        assert '"hop": "journal"' in evidence, "the broker took it, and it never came"
        rules.write_text("topic readwrite #\n")
        broker.stop()
        broker.start()
        wait_until(lambda: rows(platform, ALERT) == [("platform.canary_missed", "closed")], "its end", 40)
