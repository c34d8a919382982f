"""Enrolment and the registry that is loaded from it, on both databases."""

import threading
import time
import tracemalloc

import numpy as np
import pytest
from sqlalchemy import Engine, insert, text, update

from core.clock import HOUR, SECOND
from core.database import writing
from devices.credentials import issue_password, verify
from devices.device_types import DeviceType, Metric, load_device_types
from devices.enrolment import EnrolmentError, NewDevice, enrol, ensure_registry, replace_hardware, set_state
from devices.gateways import UnknownGateway
from devices.registry import Registry, RegistryError, load_registry
from devices.tables import device, gateway, registry, series, site

TYPES = load_device_types()
NOW = 1_790_000_000 * SECOND


def make_site(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_registry(connection)
        connection.execute(insert(site).values(code="S1", kind="road", name="示例路", lng=120.4, lat=31.4))
        connection.execute(insert(gateway).values(code="GW-0001", site="S1"))
        connection.execute(insert(gateway).values(code="GW-0002", retired=1))


def new(code: str, kind: str = "gas", **fields: object) -> NewDevice:
    return NewDevice(**{"code": code, "type": kind, "gateway": "GW-0001", "site": "S1", **fields})  # type: ignore[arg-type]


def add(engine: Engine, *devices: NewDevice) -> list[int]:
    with writing(engine) as connection:
        return enrol(connection, TYPES, devices)


def to_state(engine: Engine, code: str, state: str, until: int | None = None, now: int = NOW) -> int:
    with writing(engine) as connection:
        return set_state(connection, code, state, until, now)


def load(engine: Engine) -> Registry:
    return load_registry(engine, TYPES)


def test_the_registry_is_made_once(engine: Engine) -> None:
    with writing(engine) as connection:
        first = ensure_registry(connection)
    with writing(engine) as connection:
        assert ensure_registry(connection) == first
    assert load(engine).id == first
    assert load(engine).version == 1


def test_without_a_registry_there_is_nothing_to_load(engine: Engine) -> None:
    with pytest.raises(RegistryError, match="no registry yet"):
        load(engine)


def test_series_numbers_are_dense_and_in_order(engine: Engine) -> None:
    make_site(engine)
    assert add(engine, new("GAS-0001"), new("NOI-0001", "noise")) == [0, 1, 2]
    assert add(engine, new("SMK-0001", "smoke")) == [3, 4]
    loaded = load(engine)
    assert loaded.version == 3
    assert loaded.series_of == {
        "GAS-0001": {"gas_lel": 0, "battery": 1},
        "NOI-0001": {"laeq": 2},
        "SMK-0001": {"smoke": 3, "battery": 4},
    }


def test_the_arrays_tell_each_series_device_metric_range_and_lateness(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("NOI-0001", "noise"), new("GAS-0001", gateway="GW-0002", attributes={"interval_s": 90}))
    loaded = load(engine)
    assert loaded.device_codes == ["GAS-0001", "NOI-0001"]
    assert [loaded.device_codes[index] for index in loaded.device] == ["NOI-0001", "GAS-0001", "GAS-0001"]
    assert [loaded.metrics[index] for index in loaded.metric] == ["laeq", "gas_lel", "battery"]
    assert loaded.low.tolist() == [20, 0, 0]
    assert loaded.high.tolist() == [140, 100, 100]
    assert loaded.late.tolist() == [600 * SECOND] * 3
    assert (loaded.device.dtype, loaded.metric.dtype, loaded.late.dtype) == (np.int32, np.int32, np.int64)
    assert loaded.interval.tolist() == [90 * SECOND, 5 * SECOND]
    assert loaded.silence.tolist() == [270 * SECOND, 15 * SECOND]
    assert loaded.attributes == {"GAS-0001": {"interval_s": 90}}
    assert loaded.gateway.tolist() == [-1, 0], "a retired gateway is none"
    assert list(loaded.gateways) == ["GW-0001"]
    assert loaded.gateways["GW-0001"].site == "S1"


def test_a_number_is_never_used_twice(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("GAS-0001"), new("NOI-0001", "noise"))
    with writing(engine) as connection:
        connection.execute(series.delete().where(series.c.device == "NOI-0001"))
        connection.execute(device.delete().where(device.c.code == "NOI-0001"))
    assert add(engine, new("NOI-0002", "noise")) == [3]
    loaded = load(engine)
    assert loaded.device.tolist() == [0, 0, -1, 1]
    assert (loaded.low[2], loaded.high[2], loaded.late[2]) == (-np.inf, np.inf, 0)


def test_an_enrolment_that_fails_leaves_nothing(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("GAS-0001"))
    for bad in (new("GAS-0001"), new("X-1", "thermometer"), new("X-1", state="broken")):
        with pytest.raises(EnrolmentError):
            add(engine, new("GAS-0002"), bad)
    with pytest.raises(EnrolmentError):
        add(engine, new("GAS-0003"), new("GAS-0003"))
    assert load(engine).device_codes == ["GAS-0001"]
    assert add(engine) == []
    assert add(engine, new("GAS-0002")) == [2, 3]


def test_two_enrolments_at_once_get_different_numbers(engine: Engine) -> None:
    make_site(engine)
    given: list[int] = []

    def enrol_ten(name: str) -> None:
        for n in range(10):
            given.extend(add(engine, new(f"{name}-{n}")))

    threads = [threading.Thread(target=enrol_ten, args=(name,)) for name in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(40))


def test_a_replacement_keeps_the_series(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("GAS-0001", serial="A1"))
    before = load(engine)
    with writing(engine) as connection:
        assert replace_hardware(connection, "GAS-0001", "B2") == before.version + 1
    assert load(engine).series_of == before.series_of
    for code, serial in (("GAS-0001", "B2"), ("GAS-0009", "B3")):
        with pytest.raises(EnrolmentError), writing(engine) as connection:
            replace_hardware(connection, code, serial)


def test_only_a_device_in_service_pages(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("GAS-0001"))
    assert not load(engine).in_service(0, NOW)
    version = to_state(engine, "GAS-0001", "in_service")
    loaded = load(engine)
    assert loaded.version == version
    assert loaded.in_service(0, NOW)
    assert loaded.in_service_at.tolist() == [NOW]

    to_state(engine, "GAS-0001", "maintenance", NOW + HOUR)
    loaded = load(engine)
    assert not loaded.in_service(0, NOW + HOUR - 1)
    assert loaded.in_service(0, NOW + HOUR)

    to_state(engine, "GAS-0001", "in_service", now=NOW + 9)
    assert load(engine).in_service_at.tolist() == [NOW + 9]
    to_state(engine, "GAS-0001", "retired")
    assert not load(engine).in_service(0, NOW + HOUR)
    assert load(engine).state_until.tolist() == [0]


@pytest.mark.parametrize(
    ("code", "state", "until"),
    [
        ("GAS-0001", "asleep", None),
        ("GAS-0001", "maintenance", None),
        ("GAS-0001", "maintenance", NOW),
        ("GAS-0001", "in_service", NOW + 1),
        ("GAS-0009", "in_service", None),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(engine: Engine, code: str, state: str, until: int | None) -> None:
    make_site(engine)
    add(engine, new("GAS-0001"))
    with pytest.raises(EnrolmentError):
        to_state(engine, code, state, until)
    assert load(engine).state == ["commissioning"]


def test_a_type_without_its_file_is_named(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("GAS-0001"))
    with pytest.raises(RegistryError, match=r"gas \(1 devices\)"):
        load_registry(engine, {})


def test_a_metric_that_its_type_lost_keeps_its_number_without_limits(engine: Engine) -> None:
    make_site(engine)
    add(engine, new("NOI-0001", "noise"))
    other = {"lzfp": Metric("lzfp", "dB", "声级", "Level", 0, 200)}
    changed = DeviceType("noise", "噪声", "Noise", 5, other)
    loaded = load_registry(engine, {"noise": changed})
    assert loaded.series_of["NOI-0001"] == {"laeq": 0}
    assert (loaded.low[0], loaded.high[0]) == (-np.inf, np.inf)


def test_a_gateways_password_is_told_once_and_ends_the_old_one(engine: Engine) -> None:
    make_site(engine)
    assert not verify(load(engine).gateways["GW-0001"].password_hash, "")
    issued = []
    for _ in range(2):
        with writing(engine) as connection:
            issued.append(issue_password(connection, "GW-0001"))
    loaded = load(engine)
    kept = loaded.gateways["GW-0001"].password_hash
    assert loaded.version == 3
    assert [verify(kept, plain) for plain in issued] == [False, True]
    for code in ("GW-0002", "GW-0009"):
        with pytest.raises(UnknownGateway), writing(engine) as connection:
            issue_password(connection, code)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_hundred_thousand_series_load_fast_and_small(engine: Engine) -> None:
    make_site(engine)
    many = 50_000
    with writing(engine) as connection:
        rows = [{"code": f"GAS-{n:06}", "type": "gas", "gateway": "GW-0001", "site": "S1"} for n in range(many)]
        connection.execute(insert(device), rows)
        numbered = "INSERT INTO series SELECT 2 * (rowid - 1) + {}, code, '{}' FROM device"
        for offset, metric in enumerate(("gas_lel", "battery")):
            connection.execute(text(numbered.format(offset, metric)))
        connection.execute(update(registry).values(next_series=2 * many))
    started = time.perf_counter()
    loaded = load(engine)
    took = time.perf_counter() - started
    assert len(loaded.device) == 2 * many
    assert loaded.series_of["GAS-049999"] == {"gas_lel": 99_998, "battery": 99_999}
    assert took < 3, "some ten times the usual, for a busy machine"
    del loaded
    tracemalloc.start()
    held = load(engine)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held.low) == 2 * many
    assert kept < 40e6
