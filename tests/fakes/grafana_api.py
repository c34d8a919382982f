"""A strict Grafana 11.6 on loopback, as far as its HTTP API of folders, data sources and dashboards goes.

It knows one service account's token, takes only the fields that the API documents, keeps a dashboard's versions, and
refuses a write that is not built on the newest. `edit` and `provision` are what people and files do to it.
"""

import copy
import json
import re
from typing import Any

from tests.providers.provider import Answer, Provider, Request

TOKEN = "glsa_" + "a" * 32 + "_0123abcd"
_SOURCE = {
    *("uid", "name", "type", "access", "url", "user", "database", "basicAuth", "isDefault", "jsonData"),
    *("secureJsonData", "version", "withCredentials", "basicAuthUser", "readOnly"),
}
_SAVE = {"dashboard", "folderUid", "message", "overwrite"}
_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")


class GrafanaApi(Provider):
    """`writes` counts what was taken to be kept; `role` is the service account's."""

    def __init__(self, version: str = "11.6.0", role: str = "Admin") -> None:
        super().__init__()
        self.version, self.role = version, role
        self.folders: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, list[dict[str, Any]]] = {}
        self.where: dict[str, str] = {}
        self.from_files: set[str] = set()
        self.writes = 0

    def edit(self, uid: str, title: str) -> None:
        """Somebody saves a dashboard under another title, without a word."""
        newest = copy.deepcopy(self.boards[uid][-1])
        newest["dashboard"] |= {"title": title, "version": len(self.boards[uid]) + 1}
        self.boards[uid].append({**newest, "message": ""})

    def judge(self, request: Request) -> Answer:
        if request.path == "/api/health" and request.method == "GET":
            return _says({"database": "ok", "version": self.version, "commit": "x"})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _says({"message": "Invalid API key", "messageId": "api-key.invalid"}, 401)
        body = request.json()
        if request.method in ("POST", "PUT"):
            if self.role != "Admin":
                return _says({"message": "You'll need additional permissions to perform this action."}, 403)
            if request.headers.get("Content-Type") != "application/json" or not isinstance(body, dict):
                return _says({"message": "bad request data"}, 400)
        return self._answered(request.method, request.path.removeprefix("/api/").split("/"), body)

    def _answered(self, method: str, parts: list[str], body: Any) -> Answer:
        match method, parts:
            case "GET", ["folders", uid]:
                return _says(self.folders[uid]) if uid in self.folders else _absent("folder not found")
            case "POST", ["folders"]:
                return self._make_folder(body)
            case "GET", ["datasources", "uid", uid]:
                return _says(_shown(self.sources[uid])) if uid in self.sources else _absent("Data source not found")
            case "POST", ["datasources"]:
                return self._make_source(body)
            case "PUT", ["datasources", "uid", uid]:
                return self._change_source(uid, body)
            case "GET", ["dashboards", "uid", uid]:
                return self._board(uid)
            case "GET", ["dashboards", "uid", uid, "versions"]:
                return self._versions(uid)
            case "POST", ["dashboards", "db"]:
                return self._save(body)
        return _absent("Not found")

    def _make_folder(self, body: dict[str, Any]) -> Answer:
        if set(body) - {"uid", "title", "parentUid", "description"} or not body.get("title"):
            return _says({"message": "folder title cannot be empty"}, 400)
        if not _UID.fullmatch(str(body.get("uid", ""))):
            return _says({"message": "uid contains illegal characters"}, 400)
        if body["uid"] in self.folders:
            return _says({"message": "a folder with the same name already exists"}, 409)
        self.folders[body["uid"]] = {"id": len(self.folders) + 1, **body, "version": 1}
        self.writes += 1
        return _says(self.folders[body["uid"]])

    def _make_source(self, body: dict[str, Any]) -> Answer:
        if wrong := _wrong_source(body):
            return _says({"message": wrong}, 400)
        if any(each["name"] == body["name"] or each["uid"] == body["uid"] for each in self.sources.values()):
            return _says({"message": "data source with the same name already exists"}, 409)
        self.sources[body["uid"]] = {**body, "id": len(self.sources) + 1, "version": 1, "readOnly": False}
        self.writes += 1
        shown = _shown(self.sources[body["uid"]])
        return _says({"datasource": shown, "id": shown["id"], "message": "Datasource added", "name": body["name"]})

    def _change_source(self, uid: str, body: dict[str, Any]) -> Answer:
        there = self.sources.get(uid)
        if there is None:
            return _absent("Data source not found")
        if wrong := _wrong_source(body):
            return _says({"message": wrong}, 400)
        if there["readOnly"]:
            return _says({"message": "Cannot update read-only data source"}, 403)
        if body.get("version") not in (None, there["version"]):
            return _says({"message": "Datasource has already been updated by someone else"}, 409)
        secrets = {**there["secureJsonData"], **body.get("secureJsonData", {})}
        self.sources[uid] = {**there, **body, "secureJsonData": secrets, "version": there["version"] + 1}
        self.writes += 1
        return _says({"datasource": _shown(self.sources[uid]), "message": "Datasource updated"})

    def _board(self, uid: str) -> Answer:
        if uid not in self.boards:
            return _absent("Dashboard not found")
        newest = self.boards[uid][-1]["dashboard"]
        meta = {
            "type": "db",
            "slug": uid,
            "version": newest["version"],
            "folderUid": self.where[uid],
            "provisioned": uid in self.from_files,
        }
        return _says({"meta": meta, "dashboard": newest})

    def _versions(self, uid: str) -> Answer:
        if uid not in self.boards:
            return _absent("Dashboard not found")
        listed = [
            {"id": each["dashboard"]["version"], "uid": uid, "version": each["dashboard"]["version"]}
            | {"message": each["message"], "createdBy": "sa-1"}
            for each in reversed(self.boards[uid])
        ]
        return _says({"continueToken": "", "versions": listed})

    def _save(self, body: dict[str, Any]) -> Answer:
        board = body.get("dashboard")
        if set(body) - _SAVE or not isinstance(board, dict) or not board.get("title"):
            return _says({"message": "Dashboard title cannot be empty"}, 400)
        if not _UID.fullmatch(board.get("uid", "")):
            return _says({"message": "uid contains illegal characters"}, 400)
        if body.get("folderUid", "") not in {"", *self.folders}:
            return _says({"message": "folder not found"}, 400)
        uid, there = board["uid"], self.boards.get(board["uid"], [])
        if uid in self.from_files:
            return _says({"message": "Cannot save provisioned dashboard"}, 400)
        newest = there[-1]["dashboard"] if there else {"id": None, "version": 0}
        if board.get("id") not in (None, newest["id"]) or (board.get("id") and not there):
            return _says({"message": "A dashboard with the same uid already exists", "status": "name-exists"}, 412)
        if there and not body.get("overwrite") and board.get("version") != newest["version"]:
            return _says(
                {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}, 412
            )
        number = newest["id"] or 100 + len(self.boards)
        saved = {**board, "id": number, "version": newest["version"] + 1}
        self.boards.setdefault(uid, []).append({"dashboard": saved, "message": body.get("message", "")})
        self.where[uid] = body.get("folderUid", "")
        self.writes += 1
        return _says({"id": number, "uid": uid, "status": "success", "version": saved["version"], "slug": uid})


def _wrong_source(body: dict[str, Any]) -> str:
    if unknown := set(body) - _SOURCE:
        return f"unknown fields {sorted(unknown)}"
    if not all(isinstance(body.get(name), str) and body[name] for name in ("name", "type", "access")):
        return "name, type and access are required"
    if body["access"] not in ("proxy", "direct"):
        return "access must be proxy or direct"
    secrets = body.get("secureJsonData", {})
    if not all(isinstance(value, str) for value in secrets.values()):
        return "secureJsonData holds texts"
    return ""


def _shown(source: dict[str, Any]) -> dict[str, Any]:
    """As it is told: secrets only by their names."""
    told = {name: value for name, value in source.items() if name != "secureJsonData"}
    return {**told, "secureJsonFields": dict.fromkeys(source.get("secureJsonData", {}), True), "typeLogoUrl": ""}


def _absent(message: str) -> Answer:
    return _says({"message": message}, 404)


def _says(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(json.dumps(body).encode(), status, headers=(("Content-Type", "application/json"),))
