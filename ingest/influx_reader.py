"""A token that may read some buckets and nothing else, for whoever draws charts of them."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.authorization import Authorization
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource

from ingest.influx_address import InfluxAddress
from ingest.influx_queries import named
from ingest.influx_setup import run_statement, told, version_of
from ingest.influx_wire import InfluxWire, client_of, release
from ingest.store import StoreError, StoreUnavailable

READER = "shouwang_read"
"""The user on 1.x, and what the token is called on 2.x."""
_NOTE = f"{READER}: may read the readings and nothing else"
_PASSWORD_BYTES = 24

Keep = Callable[[str], None]
"""Makes a new token durable before older ones end."""


def give_reader(address: InfluxAddress, buckets: Sequence[str], kept: str, keep: Keep) -> str:
    """See that a token may read these buckets and nothing else; what was done, a line.

    `kept` is the one that was made before ("": none), and stays while it does so. On 1.x a token is `USER:PASSWORD`.
    Raises StoreUnavailable, StoreError when this can't be had there.
    """
    version = version_of(address)
    if version.startswith("1."):
        return _user(address, buckets, kept, keep)
    if version.startswith("3."):
        raise StoreError(
            f"{address.base} 是 InfluxDB {version}：请在那里新建只读令牌，写入文件。\n"
            f"{address.base} is InfluxDB {version}: make a token that may only read there, and put it into the file."
        )
    if kept and _only_reads(address, buckets, kept):
        return f"{READER}: stands"
    client = client_of(address)
    asked: Any = client.authorizations_api()
    try:
        before, made = told(address, lambda: _authorized(client, address, buckets))
        try:
            keep(made.token)
        except OSError:
            told(address, lambda: asked.delete_authorization(made))
            raise
        told(address, lambda: [asked.delete_authorization(each) for each in before])
    finally:
        release(client)
    return f"{READER}: made" if not before else f"{READER}: made anew, the one before has ended"


def _only_reads(address: InfluxAddress, buckets: Sequence[str], token: str) -> bool:
    """Whether a token sees these buckets and no other, and may not write there.

    Asked with the token itself: servers that keep hashes only don't tell whose it is.
    """
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(
        base_url=address.base, headers=headers, timeout=10, trust_env=False, verify=address.trust()
    ) as asking:
        try:
            seen = asking.get("/api/v2/buckets", params={"org": address.org, "limit": 100})
            if seen.status_code != httpx.codes.OK:
                return False
            names = {bucket["name"] for bucket in seen.json()["buckets"]}
            written = asking.post("/api/v2/write", params={"org": address.org, "bucket": buckets[0]}, content=b"")
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{address.base} can't be reached: {error!r}") from error
    return names == set(buckets) and written.status_code == httpx.codes.FORBIDDEN


def _authorized(
    client: InfluxDBClient, address: InfluxAddress, buckets: Sequence[str]
) -> tuple[list[Authorization], Authorization]:
    """The tokens of this name that were there on a 2.x, and a new one."""
    found: Any = client.buckets_api()
    asked: Any = client.authorizations_api()
    read = []
    for name in buckets:
        bucket = found.find_bucket_by_name(name)
        if bucket is None:
            raise StoreError(f"{address.base} has no bucket {name}: run `shouwang store init`")
        where = PermissionResource(type="buckets", id=bucket.id, org_id=bucket.org_id)  # type: ignore[no-untyped-call]
        read.append(Permission(action="read", resource=where))  # type: ignore[no-untyped-call]
    before = [each for each in asked.find_authorizations(org=address.org) if each.description == _NOTE]
    wanted = Authorization(org_id=bucket.org_id, permissions=read, description=_NOTE)  # type: ignore[no-untyped-call]
    return before, asked.create_authorization(authorization=wanted)


def _user(address: InfluxAddress, buckets: Sequence[str], kept: str, keep: Keep) -> str:
    """A user of 1.x, which may read these databases; its password stays while the one that is kept is let in."""
    wire = InfluxWire(address)
    try:
        users = [row[0] for _, answer in wire.query(buckets[0], ["SHOW USERS"]) for row in answer.values]
        stands = READER in users and kept.startswith(f"{READER}:") and _let_in(address, buckets[0], kept)
        if not stands:
            password = secrets.token_hex(_PASSWORD_BYTES)
            if READER not in users:
                run_statement(wire, buckets[0], f"CREATE USER {named(READER)} WITH PASSWORD '{password}'")
            else:
                run_statement(wire, buckets[0], f"SET PASSWORD FOR {named(READER)} = '{password}'")
            keep(f"{READER}:{password}")
            run_statement(wire, buckets[0], f"REVOKE ALL PRIVILEGES FROM {named(READER)}")
        for bucket in buckets:
            run_statement(wire, bucket, f"GRANT READ ON {named(bucket)} TO {named(READER)}")
    finally:
        wire.close()
    return f"{READER}: {'stands' if stands else 'made'}"


def _let_in(address: InfluxAddress, bucket: str, token: str) -> bool:
    """Whether a server of 1.x takes this user and password; one that asks nobody takes all."""
    asked = {"db": bucket, "q": "SHOW MEASUREMENTS LIMIT 1"}
    try:
        answer = httpx.post(
            f"{address.base}/query",
            data=asked,
            headers={"Authorization": f"Token {token}"},
            timeout=10,
            trust_env=False,
            verify=address.trust(),
        )
    except httpx.HTTPError as error:
        raise StoreUnavailable(f"{address.base} can't be reached: {error!r}") from error
    return answer.status_code != httpx.codes.UNAUTHORIZED
