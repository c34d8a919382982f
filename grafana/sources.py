"""The data sources of dashboards, as Grafana's API and its provisioning files know them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from grafana.queries import DESK, METRICS, READINGS, SOURCES
from grafana.views import READER
from grafana.words import LANGUAGES, Words

TOKEN_FILE = "/etc/shouwang/grafana/readings_token"
"""Where Grafana sees the token of `shouwang store reader`, which may read the readings and nothing else."""
_TYPES = {uid: kind for kind, uid in SOURCES.items()}


class Readings(NamedTuple):
    """An InfluxDB as Grafana reaches it, asked in InfluxQL; on 2.x `database` is a bucket whose name is mapped."""

    url: str
    database: str
    token: str


class Desk(NamedTuple):
    """The PostgreSQL as Grafana reaches it: HOST:PORT, the database, and the reading role's password."""

    address: str
    database: str
    password: str
    sslmode: str = "disable"


class Source(NamedTuple):
    """A data source; `secrets` can be written and never read back."""

    body: Mapping[str, Any]
    secrets: Mapping[str, str]

    @property
    def uid(self) -> str:
        """By what dashboards ask for it."""
        return str(self.body["uid"])


def readings_source(where: Readings) -> Source:
    """The readings and events in InfluxDB; the token goes in a header, which 1.8+, 2.x and 3 take."""
    options = {
        "version": "InfluxQL",
        "dbName": where.database,
        "httpMode": "POST",
        "timeInterval": "10s",
        "httpHeaderName1": "Authorization",
    }
    return _source(
        READINGS, "守望读数 Shouwang readings", where.url, options, {"httpHeaderValue1": f"Token {where.token}"}
    )


def desk_source(where: Desk) -> Source:
    """The views of the desk in PostgreSQL, by the role that may read nothing else."""
    options = {
        "database": where.database,
        "sslmode": where.sslmode,
        "postgresVersion": 1500,
        "timescaledb": False,
        "maxOpenConns": 8,
        "maxIdleConns": 4,
        "maxIdleConnsAuto": False,
        "connMaxLifetime": 3600,
    }
    made = _source(DESK, "守望指挥台 Shouwang desk", where.address, options, {"password": where.password})
    return made._replace(body={**made.body, "user": READER})


def metrics_source(url: str) -> Source:
    """A Prometheus that scrapes the platform's /metrics."""
    return _source(METRICS, "守望平台 Shouwang metrics", url, {"httpMethod": "POST", "timeInterval": "15s"}, {})


def _source(uid: str, name: str, url: str, options: Mapping[str, Any], secrets: Mapping[str, str]) -> Source:
    body = {"uid": uid, "name": name, "type": _TYPES[uid], "access": "proxy", "url": url, "jsonData": dict(options)}
    return Source(body, secrets)


def folder_of(words: Words) -> tuple[str, str]:
    """The uid and the title of the folder of a language's dashboards."""
    return ("shouwang" if words.language == "zh" else f"shouwang-{words.language}"), words("folder")


def provisioned(metrics: bool = True) -> list[Source]:
    """The data sources of the provisioning file: addresses from Grafana's environment, secrets from files.

    `metrics`: with the Prometheus that scrapes the platform.
    """
    found = [
        readings_source(Readings("$SHOUWANG_READINGS_URL", "$SHOUWANG_READINGS_DATABASE", f"$__file{{{TOKEN_FILE}}}")),
        desk_source(
            Desk(
                "$SHOUWANG_DESK_ADDRESS",
                "$SHOUWANG_DESK_DATABASE",
                "$__file{/run/secrets/grafana_reader_password}",
                "$SHOUWANG_DESK_SSLMODE",
            )
        ),
    ]
    return [*found, metrics_source("$SHOUWANG_PROMETHEUS_URL")] if metrics else found


def providers_text() -> str:
    """The file by which Grafana finds the dashboards' files and keeps them as they are there."""
    providers = []
    for language in LANGUAGES:
        uid, title = folder_of(Words(language))
        found = {"path": f"$SHOUWANG_DASHBOARDS/{language}"}
        providers.append(
            {"name": uid, "folder": title, "folderUid": uid, "type": "file", "allowUiUpdates": False, "options": found}
        )
    told = yaml.safe_dump({"apiVersion": 1, "providers": providers}, allow_unicode=True, sort_keys=False, width=120)
    return f"# SHOUWANG_DASHBOARDS: the folder that `shouwang grafana dashboards` wrote, as Grafana sees it.\n{told}"


def sources_text(metrics: bool = True) -> str:
    """The file of data sources that Grafana reads at its start; without `metrics` it lets go of that source."""
    listed = [
        {**each.body, "editable": False, **({"secureJsonData": dict(each.secrets)} if each.secrets else {})}
        for each in provisioned(metrics)
    ]
    gone = {} if metrics else {"deleteDatasources": [{"name": metrics_source("").body["name"], "orgId": 1}]}
    whole = {"apiVersion": 1, **gone, "datasources": listed}
    told = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False, width=120)
    return f"{_ABOUT}{told}"


_ABOUT = """\
# What dashboards ask, as the code makes it. Grafana fills in its environment's variables; the secrets are files there.
# A Grafana without these files gets the same from `shouwang grafana push`.
"""
