"""A strict InfluxDB 2.x on loopback, as far as buckets and tokens go: it keeps hashes of tokens and tells them once."""

import json
import secrets
from hashlib import sha256
from typing import Any

from tests.providers.provider import Answer, Provider, Request

ALL_ACCESS = "all-access-token"
ORG, ORG_ID = "town", "cf7b01dada424fef"


class InfluxTwo(Provider):
    """`buckets` are those that stand; `tokens` what each token's hash may: {(action, bucket's id)}."""

    def __init__(self, *buckets: str) -> None:
        super().__init__()
        self.buckets = {name: f"{number:016x}" for number, name in enumerate(buckets, 1)}
        self.tokens: dict[str, dict[str, Any]] = {}

    def judge(self, request: Request) -> Answer:
        if request.path == "/ping":
            return Answer(b"", 204, headers=(("X-Influxdb-Version", "v2.9.1"), ("X-Influxdb-Build", "OSS")))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        may = self._rights(token) if scheme == "Token" else None
        if may is None:
            return _says({"code": "unauthorized", "message": "unauthorized access"}, 401)
        match request.method, request.path.removeprefix("/api/v2/").split("/"):
            case "GET", ["buckets"]:
                return _says({"buckets": self._listed(request, may)})
            case "POST", ["write"]:
                if ("write", self.buckets.get(request.query.get("bucket", ""), "")) in may:
                    return Answer(b"", 204)
                return _says({"code": "forbidden", "message": "insufficient permissions for write"}, 403)
            case "GET", ["authorizations"] if token == ALL_ACCESS:
                return _says({"authorizations": list(self.tokens.values())})
            case "POST", ["authorizations"] if token == ALL_ACCESS:
                return self._authorize(request.json())
            case "DELETE", ["authorizations", number] if token == ALL_ACCESS:
                self.tokens = {hashed: each for hashed, each in self.tokens.items() if each["id"] != number}
                return Answer(b"", 204)
        return _says({"code": "unauthorized", "message": "unauthorized access"}, 401)

    def _rights(self, token: str) -> set[tuple[str, str]] | None:
        if token == ALL_ACCESS:
            return {(action, number) for action in ("read", "write") for number in self.buckets.values()}
        if kept := self.tokens.get(sha256(token.encode()).hexdigest()):
            return {(each["action"], each["resource"]["id"]) for each in kept["permissions"]}
        return None

    def _listed(self, request: Request, may: set[tuple[str, str]]) -> list[dict[str, Any]]:
        wanted = request.query.get("name")
        return [
            {"id": number, "orgID": ORG_ID, "name": name, "type": "user", "retentionRules": []}
            for name, number in self.buckets.items()
            if ("read", number) in may and wanted in (None, name)
        ]

    def _authorize(self, body: dict[str, Any]) -> Answer:
        known = set(self.buckets.values())
        whole = body.get("orgID") == ORG_ID and body.get("permissions") and body.get("status", "active") == "active"
        for each in body.get("permissions", []):
            resource = each["resource"]
            whole = whole and each["action"] in ("read", "write") and resource["type"] == "buckets"
            whole = whole and resource.get("id") in known and resource.get("orgID") == ORG_ID
        if not whole:
            return _says({"code": "invalid", "message": "permission is not valid"}, 400)
        token, number = secrets.token_urlsafe(64), f"{secrets.randbits(64):016x}"
        self.tokens[sha256(token.encode()).hexdigest()] = {**body, "id": number, "status": "active"}
        return _says({**body, "id": number, "token": token}, 201)


def _says(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(json.dumps(body).encode(), status, headers=(("Content-Type", "application/json"),))
