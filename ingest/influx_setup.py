"""Making the buckets in which readings and roll-ups stand, and looking whether they can be used."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.rest import ApiException
from influxdb_client.service.dbr_ps_service import DBRPsService
from urllib3.exceptions import HTTPError

from core.clock import DAY, SECOND
from ingest.influx_address import InfluxAddress
from ingest.influx_queries import named
from ingest.influx_wire import InfluxWire, client_of, release
from ingest.store import StoreError, StoreUnavailable

_Answer = TypeVar("_Answer")
_POLICY = "autogen"


def set_up(address: InfluxAddress, kept: Mapping[str, int]) -> list[str]:
    """Make each bucket of `kept` with its retention (days), or correct it; what was done, a line each.

    Raises StoreUnavailable, StoreError when the token may not.
    """
    version = version_of(address)
    if version.startswith("1."):
        wire = InfluxWire(address)
        try:
            return [_database(wire, bucket, days) for bucket, days in kept.items()]
        finally:
            wire.close()
    if version.startswith("3."):
        return [f"InfluxDB {version} makes {bucket} at the first write; set its retention there" for bucket in kept]
    return [line for bucket, days in kept.items() for line in _bucket(address, bucket, days)]


def probe(address: InfluxAddress) -> str:
    """The server's version, once the bucket could be read and a write would be let in. Raises StoreUnavailable."""
    wire = InfluxWire(address)
    try:
        for _ in wire.query(address.bucket, ["SHOW MEASUREMENTS LIMIT 1"]):
            pass
        wire.write(address.bucket, b"")  # an empty one writes nothing; some engines refuse it, after they let us in
    finally:
        wire.close()
    return version_of(address)


def version_of(address: InfluxAddress) -> str:
    """What the server says of itself, "" when a proxy in front hides it."""
    try:
        answer = httpx.get(f"{address.base}/ping", timeout=10, trust_env=False, verify=address.trust())
    except httpx.HTTPError as error:
        raise StoreUnavailable(f"{address.base} can't be reached: {error!r}") from error
    return str(answer.headers.get("X-Influxdb-Version", "")).removeprefix("v")


def _database(wire: InfluxWire, bucket: str, days: int) -> str:
    """A database of 1.x; its retention policy is the default one."""
    listed = [row[0] for _, answer in wire.query(bucket, ["SHOW DATABASES"]) for row in answer.values]
    if bucket not in listed:
        run_statement(wire, bucket, f"CREATE DATABASE {named(bucket)} WITH DURATION {days}d NAME {named(_POLICY)}")
        return f"database {bucket}: made, {days} days"
    asked = f"SHOW RETENTION POLICIES ON {named(bucket)}"
    policies = [
        dict(zip(answer.columns, row, strict=True))
        for _, answer in wire.query(bucket, [asked])
        for row in answer.values
    ]
    policy = next(policy for policy in policies if policy["default"])
    if policy["duration"] == f"{days * 24}h0m0s":
        return f"database {bucket}: stands, {days} days"
    run_statement(wire, bucket, f"ALTER RETENTION POLICY {named(policy['name'])} ON {named(bucket)} DURATION {days}d")
    return f"database {bucket}: its retention is {days} days now"


def run_statement(wire: InfluxWire, bucket: str, statement: str) -> None:
    """Run an InfluxQL statement that answers nothing. Raises StoreUnavailable."""
    for _ in wire.query(bucket, [statement]):
        pass


def _bucket(address: InfluxAddress, bucket: str, days: int) -> list[str]:
    client = client_of(address)
    try:
        return told(address, lambda: [_made(client, address, bucket, days), _mapped(client, address, bucket)])
    finally:
        release(client)


def told(address: InfluxAddress, work: Callable[[], _Answer]) -> _Answer:
    """What `work` with the client answers; its errors as StoreUnavailable, StoreError when the token may not."""
    try:
        return work()
    except ApiException as error:
        if error.status in (401, 403):
            text = "the token may not make buckets and tokens: give `store` one with all access"
            raise StoreError(f"{address.base}: {text}") from error
        raise StoreUnavailable(f"{address.base} answers {error.status}: {error.body}") from error
    except (HTTPError, OSError) as error:
        raise StoreUnavailable(f"{address.base} can't be reached: {error}") from error


def _made(client: InfluxDBClient, address: InfluxAddress, bucket: str, days: int) -> str:
    buckets: Any = client.buckets_api()
    seconds = days * DAY // SECOND
    found = buckets.find_bucket_by_name(bucket)
    if found is None:
        buckets.create_bucket(bucket_name=bucket, org=address.org, retention_rules=_expire(seconds))
        return f"bucket {bucket}: made, {days} days"
    if [rule.every_seconds for rule in found.retention_rules] == [seconds]:
        return f"bucket {bucket}: stands, {days} days"
    found.retention_rules = [_expire(seconds)]
    buckets.update_bucket(found)
    return f"bucket {bucket}: its retention is {days} days now"


def _expire(seconds: int) -> BucketRetentionRules:
    return BucketRetentionRules(type="expire", every_seconds=seconds)  # type: ignore[no-untyped-call]


def _mapped(client: InfluxDBClient, address: InfluxAddress, bucket: str) -> str:
    """The mapping of the database's name that InfluxQL uses to the bucket."""
    service: Any = DBRPsService(client.api_client)  # type: ignore[no-untyped-call]
    buckets: Any = client.buckets_api()
    found = buckets.find_bucket_by_name(bucket)
    mappings = service.get_dbr_ps(org=address.org, db=bucket).content or []
    if any(mapping.bucket_id == found.id and mapping.default for mapping in mappings):
        return f"mapping of {bucket} for InfluxQL: stands"
    names = {"org": address.org, "bucket_id": found.id, "database": bucket, "retention_policy": _POLICY}
    service.post_dbrp(DBRPCreate(**names, default=True))  # type: ignore[no-untyped-call]
    return f"mapping of {bucket} for InfluxQL: made"
