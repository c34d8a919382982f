"""Alerts and moves of tickets on the time axis, asked of the desk like everything else.

Nothing is pushed into Grafana's own store of annotations: what happened stands in the desk, so that an alert waits for
no request, nothing has to be kept in step or thrown away, and a Grafana that is lost and set up anew shows all of it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import AnnotationTarget, Dashboard

from alerts.lifecycle import ACTION_WORDS
from detectors.words import Severity
from grafana.choices import name_of, told
from grafana.indicators import within
from grafana.kit import Kit
from grafana.queries import SQL, source

Kind = Literal["alert", "ticket"]
_MOST = 200
_COLORS: Mapping[Kind, str] = {"alert": "red", "ticket": "blue"}
_PLACES = ("village", "grid", "site")


class Asked(AnnotationTarget):
    """A query in the place where the SDK has the fields of Grafana's own store alone."""

    def __init__(self, query: SQL) -> None:
        super().__init__()
        self.query = query

    def to_json(self) -> dict[str, object]:
        """As Grafana stores the query of a data source."""
        return self.query.named("Anno").to_json()


def annotation(kit: Kit, kind: Kind, variables: Collection[str]) -> dashboard.AnnotationQuery:
    """What happened in the time range, at the places that a dashboard with these variables has chosen."""
    narrowed = [told(f"e.{place}") for place in _PLACES if place in variables]
    sql = (_alerts if kind == "alert" else _moves)(kit, " AND ".join(["true", *narrowed]))
    built = dashboard.AnnotationQuery().name(kit.words(f"annotation.{kind}")).enable(True).icon_color(_COLORS[kind])
    built.datasource(source("grafana-postgresql-datasource"))
    built._internal.target = Asked(SQL(sql))
    return built


def _alerts(kit: Kit, where: str) -> str:
    """Where each alert of the range began. No spans: a dozen of them laid over each other hide the curves."""
    place = "e.site_name" if kit.language == "zh" else "coalesce(nullif(e.site_name_en, ''), e.site_name)"
    return (
        f"SELECT e.onset AS time, concat_ws(' · ', coalesce({name_of(kit, 'r')}, e.rule), {place}, e.subject_id) "
        "AS text, e.hazard AS tags FROM grafana.alert e LEFT JOIN grafana.rule r ON r.code = e.rule "
        f"WHERE e.paged AND e.severity >= {int(Severity.WARNING)} "
        f"AND {within('e.onset_us')} AND {where} ORDER BY e.onset DESC LIMIT {_MOST}"
    )


def _moves(kit: Kit, where: str) -> str:
    names = {action: kit.words.either(words.zh, words.en) for action, words in ACTION_WORDS.items()}
    said = " ".join(f"WHEN '{action}' THEN '{name}'" for action, name in sorted(names.items()))
    listed = ", ".join(f"'{action}'" for action in sorted(names))
    return (
        f"SELECT e.at AS time, e.number || ' ' || CASE e.action {said} END AS text, e.action AS tags "
        f"FROM grafana.ticket_move e WHERE e.action IN ({listed}) AND NOT e.drill "
        f"AND {within('e.at_us')} AND {where} ORDER BY e.at DESC LIMIT {_MOST}"
    )


def read_back(kept: dict[str, Any]) -> Dashboard:
    """A dashboard from its JSON, with the annotations' queries, which the SDK alone would lose."""
    read = Dashboard.from_json(kept)
    listed = (read.annotations.list_val or []) if read.annotations else []
    for found, given in zip(listed, kept.get("annotations", {}).get("list", []), strict=True):
        found.target = Asked(SQL.from_json(given["target"]))
    return read
