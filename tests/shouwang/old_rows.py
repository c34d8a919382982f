"""Typical rows of a town for every table of every schema revision, as plain SQL: what an old database file holds.

What a column is for is told by its type and name alone, so that no program of today has a part in it.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Float, Inspector, Integer, LargeBinary, inspect, text

Row = Mapping[str, Any]
NOW = 1_790_000_000_000_000  # µs

_POLICY = json.dumps({"name": "default-1", "severity": 4, "stage": "accept", "began": NOW, "written": {}})

TOWN: dict[str, list[dict[str, Any]]] = {
    "registry": [{"one": 1, "id": "town", "version": 7, "next_series": 2}],
    "village": [{"code": "V01", "name": "甲村"}],
    "grid": [{"code": "G01", "village": "V01", "name": "一格", "polygon": '{"type":"Polygon","coordinates":[[]]}'}],
    "enterprise": [{"code": "91320500MA1ABCDE1F", "name": "甲厂", "hazards": '["燃气"]', "grid": "G01"}],
    "site": [{"code": "S1", "kind": "site", "name": "桥", "lng": 120.4, "lat": 31.4, "grid": "G01", "importance": 3}],
    "gateway": [{"code": "GW-1", "format": "v1", "password_hash": "scrypt", "attributes": '{"x": 1}', "site": "S1"}],
    "device": [{"code": "GAS-1", "type": "gas", "gateway": "GW-1", "site": "S1", "state": "in_service"}],
    "series": [
        {"number": 0, "device": "GAS-1", "metric": "gas_lel"},
        {"number": 1, "device": "GAS-1", "metric": "battery"},
    ],
    "anomaly_view": [{"one": 1, "at": NOW, "body": "{}"}],
    "applied": [{"consumer": "safety", "partition": 0, "n": 41}],
    "dead_letter": [{"id": 5, "journal_n": 9, "gateway": "GW-1", "reason": "not_json", "payload": b"\x00{"}],
    "reject_count": [{"hour": NOW, "gateway": "GW-1", "reason": "not_json", "messages": 3, "readings": 0}],
    "change_counter": [{"one": 1, "last": 12}],
    "change": [{"id": 12, "at": NOW, "kind": "ticket", "id_of": 3, "what": '{"action": "dispatch"}'}],
    "team": [{"code": "T1", "name": "一队", "grid": "G01"}],
    "station": [{"code": "ST1", "name": "中队", "lng": 120.4, "lat": 31.4}],
    "person": [{"code": "P1", "name": "张三", "role": "patroller", "phone": "138", "team": "T1", "shift": "all"}],
    "duty": [{"id": 2, "person": "P1", "starts_at": NOW, "ends_at": NOW + 1}],
    "contact": [{"id": 4, "owner_kind": "person", "owner": "P1", "channel": "phone", "address": "P1"}],
    "ticket": [
        {
            "id": 3, "number": "20260921-0003", "source": "iot", "status": "dispatched", "title": "燃气",
            "hazard": "gas",
            "category": "公共安全", "severity": 4, "life_safety": True, "site": "S1", "grid": "G01", "team": "T1",
            "reported_at": NOW, "dispatched_at": NOW, "accept_by": NOW + 300_000_000,
        }
    ],
    "ticket_number": [{"date": "20260921", "last": 3}],
    "alert": [
        {
            "id": 8, "subject_kind": "device", "subject_id": "GAS-1", "rule": "gas.leak", "onset": NOW, "state": "open",
            "severity": 4, "level": 4, "hazard": "gas", "category": "公共安全", "life_safety": True, "paged": True,
            "site": "S1", "grid": "G01", "ticket": 3, "series": 0, "value": 60.0, "limit": 25.0, "journal_n": 41,
        }
    ],
    "anomaly_label": [
        {"id": 1, "alert": 8, "device": "GAS-1", "metric": "gas_lel", "verdict": "false", "who": "d", "at": NOW}
    ],
    "notice": [
        {
            "id": 6, "key": "3:dispatch:8:person:P1:phone", "ticket": 3, "alert": 8, "cause": "dispatch",
            "channel": "phone",
            "recipient_kind": "person", "recipient": "P1", "address": "P1", "state": "accepted", "severity": 4,
            "life_safety": True,
        }
    ],
    "delivery": [{"id": 7, "notice": 6, "channel": "phone", "address": "P1", "outcome": "accepted", "started_at": NOW}],
    "ticket_log": [{"id": 9, "ticket": 3, "who": "platform", "action": "dispatch", "to_status": "dispatched"}],
    "link": [{"code_hash": "ab" * 32, "person": "P1", "ticket": 3, "expires_at": NOW}],
    "account": [{"username": "admin", "role": "admin", "password_hash": "argon2", "locale": "zh"}],
    "session": [{"token_hash": "cd" * 32, "account": "admin", "expires_at": NOW}],
    "gateway_report": [{"gateway": "GW-1", "messages": 10, "readings": 20, "updated_at": NOW}],
    "backtest": [{"id": 1, "asked_by": "admin", "text": "rules: {}", "state": "done"}],
    "rule_proposal": [{"id": 1, "state": "proposed"}],
    "ticket_category": [{"name": "公共安全", "acceptance": "first", "place": 1}],
    "ticket_timer": [{"id": 1, "ticket": 3, "stage": "accept", "state": "running", "started_at": NOW}],
    "ticket_request": [{"id": 1, "ticket": 3, "kind": "extension", "state": "waiting"}],
    "quiet": [{"id": 1, "kind": "shelf", "starts_at": NOW, "ends_at": NOW + 1, "reason": "检修", "owner": "admin"}],
    "escalation": [{"ticket": 3, "state": "waiting", "policy": _POLICY}],
    "photo": [{"id": 1, "ticket": 3, "stage": "dispatched", "sha256": "ef" * 32, "content": b"\xff\xd8\xff\x00"}],
}  # fmt: skip
"""What the rows say, as far as it matters; columns that are not named get a plain value of their type."""

LEFT_EMPTY = frozenset({"alembic_version", "rules_version"})
"""Rules are a compiled whole: a platform records its own when it starts."""


def fill(connection: Connection) -> dict[str, int]:
    """Put typical rows into every table that there is; how many rows each table has."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names()) - LEFT_EMPTY
    for name, rows in TOWN.items():
        if name in present:
            _put(connection, inspector, name, rows)
    for name in inspector.get_sorted_table_and_fkc_names():
        if name[0] in present and name[0] not in TOWN and not _count(connection, str(name[0])):
            _put(connection, inspector, str(name[0]), [{}])
    return {name: _count(connection, name) for name in sorted(present)}


def contents(connection: Connection, tables: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    """All rows of these columns, as both databases tell them alike."""
    found = {}
    for name, columns in tables.items():
        listed = ", ".join(f'"{column}"' for column in columns)
        rows = connection.execute(text(f'SELECT {listed} FROM "{name}"')).mappings()
        found[name] = [{key: _plain(value) for key, value in row.items()} for row in rows]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return int(value) if isinstance(value, bool) else value


def _put(connection: Connection, inspector: Inspector, table: str, rows: Sequence[Row]) -> None:
    columns = inspector.get_columns(table)
    references = {key["constrained_columns"][0]: key for key in inspector.get_foreign_keys(table)}
    connection.execute(text(f'DELETE FROM "{table}"'))
    for row in rows:
        values = {}
        for column in columns:
            name = column["name"]
            if name in row:
                values[name] = _bound(row[name], column["type"], connection)
            elif name in references and not column["nullable"]:
                values[name] = _referred(connection, references[name])
            elif not column["nullable"] and column["default"] is None:
                values[name] = _bound(_usual(column["type"]), column["type"], connection)
        places = ", ".join(_place(each, inspector, table, connection) for each in values)
        listed = ", ".join(f'"{each}"' for each in values)
        connection.execute(text(f'INSERT INTO "{table}" ({listed}) VALUES ({places})'), values)


def _place(name: str, inspector: Inspector, table: str, connection: Connection) -> str:
    kind = next(column["type"] for column in inspector.get_columns(table) if column["name"] == name)
    return f"CAST(:{name} AS JSON)" if isinstance(kind, JSON) and connection.dialect.name != "sqlite" else f":{name}"


def _referred(connection: Connection, key: Any) -> Any:
    column, table = key["referred_columns"][0], key["referred_table"]
    return connection.execute(text(f'SELECT "{column}" FROM "{table}"')).scalar()


def _usual(kind: Any) -> Any:
    if isinstance(kind, JSON):
        return "{}"
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, LargeBinary):
        return b""
    return 1 if isinstance(kind, Integer | Float) else ""


def _bound(value: Any, kind: Any, connection: Connection) -> Any:
    if isinstance(kind, LargeBinary):
        return sqlite3.Binary(value) if connection.dialect.name == "sqlite" else value
    return value


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one())
