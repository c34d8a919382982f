"""Puts folders, data sources and dashboards into a Grafana that is there already; pushed again, nothing changes.

What somebody changed by hand stays: a dashboard whose newest version is not one that was pushed, and a data source or a
dashboard that comes from Grafana's own files. A dashboard that somebody moved stays where it is.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from grafana_client import GrafanaApi, TokenAuth  # type: ignore[import-untyped]
from grafana_client.client import GrafanaClientError, GrafanaException  # type: ignore[import-untyped]

from grafana.sources import Source

OLDEST = (11, 0)
"""The first version whose panels the dashboards use."""
_ANSWER_S = 20.0
_SHOWN = 200  # characters of an answer
_OURS = "shouwang "
_ADDED = ("id", "version", "iteration")  # by Grafana, to what it was given
_Answer = TypeVar("_Answer")


class GrafanaRefused(Exception):
    """Grafana can't be reached, or does not take what it is given; the text says what to mend."""


class Put(NamedTuple):
    """What became of one thing: made, changed, the same as before, or kept as it was found, and then why."""

    kind: Literal["folder", "source", "dashboard"]
    name: str
    done: Literal["made", "changed", "same", "kept"]
    why: str = ""


class Grafana:
    """One Grafana and a service account's token of role Admin; nothing is asked before the first call."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._api: Any = GrafanaApi(
            auth=TokenAuth(token),
            host=parts.hostname,
            port=parts.port,
            url_path_prefix=parts.path.strip("/") + "/" if parts.path.strip("/") else "",
            protocol=parts.scheme,
            timeout=_ANSWER_S,
        )
        self._api.client.s.trust_env = False

    def close(self) -> None:
        """Release the connections."""
        self._api.client.s.close()

    def version(self) -> str:
        """Its version. Raises GrafanaRefused for one that is too old for the dashboards."""
        told = self._asked(self._api.health.check)
        found = str(told.get("version", ""))
        numbers = tuple(int(part) for part in found.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit())
        if numbers < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise GrafanaRefused(f"{self._url} is Grafana {found or '?'}: the dashboards need {wanted} or newer")
        return found

    def put_folder(self, uid: str, title: str) -> Put:
        """Make a folder; one with this uid stays as it is, whatever it is called."""
        if self._found(lambda: self._api.folder.get_folder(uid)) is not None:
            return Put("folder", uid, "same")
        self._asked(lambda: self._api.folder.create_folder(title, uid))
        return Put("folder", uid, "made")

    def put_source(self, source: Source, secrets_again: bool = False) -> Put:
        """Make a data source or set it right; its secrets are written with it, or where `secrets_again`."""
        whole = {**source.body, "secureJsonData": dict(source.secrets)}
        found = self._found(lambda: self._api.datasource.get_datasource_by_uid(source.uid))
        if found is None:
            self._asked(lambda: self._api.datasource.create_datasource({**whole, "isDefault": False}))
            return Put("source", source.uid, "made")
        if found.get("readOnly"):
            return Put("source", source.uid, "kept", "provisioned")
        held = {name for name, there in found.get("secureJsonFields", {}).items() if there}
        if not secrets_again and source.secrets.keys() <= held and _as_given(found, source.body):
            return Put("source", source.uid, "same")
        changed = {**whole, "isDefault": found.get("isDefault", False), "version": found["version"]}
        self._asked(lambda: self._api.datasource.update_datasource_by_uid(source.uid, changed))
        return Put("source", source.uid, "changed")

    def put_dashboard(self, board: Mapping[str, Any], folder: str, force: bool = False) -> Put:
        """Make a dashboard or a new version of it; over one that was edited by hand only with `force`."""
        uid = str(board["uid"])
        found = self._found(lambda: self._api.dashboard.get_dashboard(uid))
        told = {"message": f"{_OURS}{_digest(board)}", "overwrite": False}
        if found is None:
            self._asked(lambda: self._api.dashboard.update_dashboard({"dashboard": board, "folderUid": folder, **told}))
            return Put("dashboard", uid, "made")
        meta, there = found["meta"], found["dashboard"]
        if meta.get("provisioned"):
            return Put("dashboard", uid, "kept", "provisioned")
        if {name: part for name, part in there.items() if name not in _ADDED} == dict(board):
            return Put("dashboard", uid, "same")
        if not force and not self._last_message(uid).startswith(_OURS):
            return Put("dashboard", uid, "kept", "edited")
        newer = {**board, "id": there["id"], "version": there["version"]}
        body = {"dashboard": newer, "folderUid": meta.get("folderUid", folder), **told}
        self._asked(lambda: self._api.dashboard.update_dashboard(body))
        return Put("dashboard", uid, "changed")

    def _last_message(self, uid: str) -> str:
        """What was said of the newest version: a push says that it was one."""
        listed = self._asked(lambda: self._api.dashboard_versions.get_dashboard_versions_by_uid(uid, limit=1))
        versions = listed["versions"] if isinstance(listed, dict) else listed
        newest: Mapping[str, Any] = max(versions, key=lambda each: int(each["version"]), default={})
        return str(newest.get("message", ""))

    def _found(self, ask: Callable[[], _Answer]) -> _Answer | None:
        try:
            return self._asked(ask)
        except _NotThere:
            return None

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        try:
            return ask()
        except GrafanaClientError as error:
            if error.status_code == 404:
                raise _NotThere(f"{self._url} knows no such thing: {error.message}") from error
            raise GrafanaRefused(self._words(error)) from error
        except GrafanaException as error:
            said = " ".join(str(error.message).split())[:_SHOWN]
            raise GrafanaRefused(f"{self._url} answers {error.status_code}: {said}") from error
        except (OSError, ValueError) as error:  # the client's own errors of connections, time and JSON are these
            raise GrafanaRefused(f"{self._url} can't be asked: {error}") from error

    def _words(self, error: GrafanaException) -> str:
        match error.status_code:
            case 401:
                return f"{self._url} refuses the token: give the one of a service account that is there and enabled"
            case 403:
                return f"{self._url}: the token's service account may not do this ({error.message}): it needs Admin"
            case 409 | 412:
                return f"{self._url}: somebody else changed or made the same meanwhile ({error.message}): push again"
        return f"{self._url} does not take it: {error.message}"


class _NotThere(GrafanaRefused):
    pass


def _as_given(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether all that is wanted stands there; what Grafana adds by itself does not count."""
    return all(
        _as_given(found.get(name) or {}, value) if isinstance(value, Mapping) else found.get(name) == value
        for name, value in wanted.items()
    )


def _digest(board: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(board, sort_keys=True).encode()).hexdigest()[:12]
