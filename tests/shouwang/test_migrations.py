"""Migrations make the very schema that the packages declare, on both engines, and refuse what they don't know."""

import threading
from collections.abc import Callable, Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, func, insert, inspect, select, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import IntegrityError

from alerts.event_tables import change_counter
from core.database import metadata, open_engine, reading, writing
from devices.canary import reserve_canary
from devices.device_types import load_device_types
from devices.registry import load_registry
from devices.tables import village
from grafana.views import drop_views
from ingest.gateway_figures import list_gateway_reports
from shouwang.migrate import Schema, SchemaRefused, Standing, alembic_config, migrate, schema_state


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


def _described(engine: Engine) -> dict[str, dict[str, list[str]]]:
    """Every table as sorted texts, so that two databases can be compared whole."""
    inspector = inspect(engine)
    readers: dict[str, Callable[[str], list[str]]] = {
        "columns": lambda name: [
            f"{column['name']} {column['type']} null={column['nullable']} {column['default']}"
            for column in inspector.get_columns(name)
        ],
        "primary key": lambda name: [str(inspector.get_pk_constraint(name))],
        "foreign keys": lambda name: list(map(str, inspector.get_foreign_keys(name))),
        "unique": lambda name: list(map(str, inspector.get_unique_constraints(name))),
        "checks": lambda name: list(map(str, inspector.get_check_constraints(name))),
        "indexes": lambda name: [
            f"{index['name']} {index['column_names']} unique={index['unique']} {_where(index)}"
            for index in inspector.get_indexes(name)
        ],
    }
    names = set(inspector.get_table_names()) - {"alembic_version"}
    return {name: {what: sorted(read(name)) for what, read in readers.items()} for name in names}


def _where(index: ReflectedIndex) -> dict[str, str]:
    return {option: str(value) for option, value in index.get("dialect_options", {}).items()}


def test_the_migrated_schema_is_the_declared_one(empty: Engine) -> None:
    migrate(empty)
    migrated = _described(empty)
    with writing(empty) as connection:
        drop_views(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
    declared = _described(empty)
    assert migrated.keys() == declared.keys() == set(metadata.tables)
    for name in declared:
        assert migrated[name] == declared[name], name


def test_alembic_sees_no_difference(empty: Engine) -> None:
    migrate(empty)
    with reading(empty) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_second_migration_changes_nothing(empty: Engine) -> None:
    first, second = migrate(empty), migrate(empty)
    assert first == Schema(Standing.EMPTY, None, first.wanted)
    assert second == schema_state(empty) == Schema(Standing.CURRENT, first.wanted, first.wanted)
    with reading(empty) as connection:
        assert connection.execute(select(change_counter.c.one, change_counter.c.last)).all() == [(1, 0)]


def test_an_older_database_is_brought_up_with_its_rows(empty: Engine) -> None:
    _migrate_to(empty, "0001")
    with writing(empty) as connection:
        connection.execute(insert(village).values(code="V01", name="甲村", name_en=""))
    assert schema_state(empty).standing is Standing.OLDER
    assert migrate(empty).revision == "0001"
    assert schema_state(empty).standing is Standing.CURRENT
    with reading(empty) as connection:
        assert connection.scalar(select(func.count()).select_from(village)) == 1


def test_a_town_of_the_last_release_is_a_town_of_this_one(empty: Engine) -> None:
    """Rows that others refer to: what a migration would lose by making their table anew."""
    _migrate_to(empty, "0004")
    rows: dict[str, dict[str, object]] = {
        "registry": {"one": 1, "id": "town", "version": 7, "next_series": 2},
        "village": {"code": "V01", "name": "甲村", "name_en": ""},
        "grid": {"code": "G01", "village": "V01", "name": "一格", "name_en": "", "polygon": "{}", "retired": 0},
        "site": {
            "code": "S1", "kind": "site", "name": "桥", "name_en": "", "lng": 104.0, "lat": 30.0, "grid": "G01",
            "importance": 3, "contact": "", "phone": "", "address": "", "attributes": "{}", "retired": 0,
        },
        "gateway": {
            "code": "GW-1", "name": "", "site": "S1", "format": "v1", "password_hash": "scrypt", "in_service_at": 5,
            "retired": 0, "attributes": '{"x": 1}',
        },
        "device": {
            "code": "GAS-1", "name": "", "type": "gas", "gateway": "GW-1", "site": "S1", "component_code": "",
            "serial": "", "state": "in_service", "in_service_at": 5, "attributes": "{}",
        },
        "series": {"number": 1, "device": "GAS-1", "metric": "gas_lel"},
    }  # fmt: skip
    with writing(empty) as connection:
        for table, row in rows.items():
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"), row)
    migrate(empty)
    with writing(empty) as connection:
        assert reserve_canary(connection) == 2
    registry = load_registry(empty, load_device_types())
    assert (registry.id, registry.version, registry.canary) == ("town", 8, 2)
    assert registry.series_of["GAS-1"] == {"gas_lel": 1}
    kept = registry.gateways["GW-1"]
    assert (kept.password_hash, kept.attributes, kept.disabled_at) == ("scrypt", {"x": 1}, 0)
    with reading(empty) as connection:
        assert list_gateway_reports(connection) == []


def test_a_newer_database_is_refused_untouched(empty: Engine) -> None:
    migrate(empty)
    with writing(empty) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema_state(empty).standing is Standing.NEWER
    with pytest.raises(SchemaRefused, match="9999, newer than this program's"):
        migrate(empty)
    assert schema_state(empty).revision == "9999"


def test_tables_without_a_version_are_refused(engine: Engine) -> None:
    assert schema_state(engine).standing is Standing.UNVERSIONED
    with pytest.raises(SchemaRefused, match="no schema version"):
        migrate(engine)


def test_a_migration_that_fails_leaves_no_trace(empty: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = command.upgrade

    def fail_after(config: Config, revision: str) -> None:
        real(config, "0002")
        raise OSError("the disk is full")

    monkeypatch.setattr(command, "upgrade", fail_after)
    with pytest.raises(OSError, match="disk is full"):
        migrate(empty)
    assert inspect(empty).get_table_names() == []


def test_two_programs_that_start_together_migrate_once(empty: Engine) -> None:
    found: list[Standing] = []

    def start() -> None:
        found.append(migrate(empty).standing)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [Standing.CURRENT, Standing.EMPTY]


def test_there_is_only_one_row_of_the_change_counter(empty: Engine) -> None:
    migrate(empty)
    with pytest.raises(IntegrityError), writing(empty) as connection:
        connection.execute(insert(change_counter).values(one=2, last=0))


def _migrate_to(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), revision)
