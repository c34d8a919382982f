"""Asks a real InfluxDB and a real PostgreSQL what a panel asks, and gives the answer as Grafana's fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import httpx
from sqlalchemy import Engine

from ingest.influx_address import InfluxAddress
from tests.grafana.filling import Choice, Range, filled_influxql, filled_sql

Kind = Literal["time", "number", "string", "boolean", "empty"]


@dataclass(frozen=True)
class Frame:
    """One table of an answer: its fields by name, and the labels (tags) of all of them."""

    fields: Mapping[str, Sequence[Any]]
    labels: Mapping[str, str]

    def kind(self, name: str) -> Kind:
        """What a field holds; "empty" when all of it is null. Raises TypeError for a mixture."""
        kinds = {_kind(value) for value in self.fields[name] if value is not None}
        if len(kinds) > 1:
            raise TypeError(f"{name} holds {sorted(kinds)}")
        return next(iter(kinds), "empty")

    def named(self, kind: Kind) -> list[str]:
        """The fields of a kind."""
        return [name for name in self.fields if self.kind(name) == kind]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return max((len(column) for column in self.fields.values()), default=0)


def _kind(value: object) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return "time" if isinstance(value, datetime) else "string"


@dataclass(frozen=True)
class Servers:
    """The two data sources; `desk` is signed in as the role that may read the views."""

    desk: Engine
    readings: InfluxAddress
    influx: httpx.Client

    def ask(
        self, target: Mapping[str, Any], choices: Mapping[str, Choice], span: Range, least: str = ""
    ) -> list[Frame]:
        """The frames of a target's answer. Raises ValueError with what the server says of a query it can't take."""
        if target["datasource"]["type"] == "influxdb":
            return self._influx(
                filled_influxql(target["query"], choices, span, least), target["resultFormat"] == "table"
            )
        return [self._desk(filled_sql(target["rawSql"], choices, span, least))]

    def _desk(self, sql: str) -> Frame:
        with self.desk.connect() as connection:
            answer = connection.exec_driver_sql(sql.replace("%", "%%"))
            names, rows = list(answer.keys()), answer.all()
        if len(set(names)) < len(names):
            raise ValueError(f"two columns have one name: {names}")
        return Frame({name: [row[place] for row in rows] for place, name in enumerate(names)}, {})

    def _influx(self, query: str, table: bool) -> list[Frame]:
        address = self.readings
        given = {"db": address.bucket, "q": query, "epoch": "ms"}
        told = self.influx.post(f"{address.base}/query", data=given).json()
        results = told.get("results", [told])
        if problems := [result["error"] for result in results if "error" in result]:
            raise ValueError(f"{problems}: {query}")
        return [_frame(series, table) for result in results for series in result.get("series", [])]


def _frame(series: Mapping[str, Any], table: bool) -> Frame:
    """One series; in a table its tags are columns, as they are for Grafana."""
    tags = dict(series.get("tags", {}))
    columns: dict[str, Sequence[Any]] = {}
    for place, name in enumerate(series["columns"]):
        column = [row[place] for row in series["values"]]
        if name == "time":
            columns["Time"] = [datetime.fromtimestamp(moment / 1_000) for moment in column]  # noqa: DTZ006 - only its kind counts
        else:
            columns[name] = column
    if table:
        columns |= {name: [value] * len(series["values"]) for name, value in tags.items()}
    return Frame(columns, tags)
