"""Talking to an InfluxDB: writes by 2.x's write API, reads in InfluxQL through /query, so that 1.8+, 2.x and 3 answer.

Whatever keeps the server from serving becomes StoreUnavailable with what to mend; lines that it will never take are a
Refusal. There are no retries here: the writer owns them.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3.exceptions import HTTPError

from ingest.influx_address import InfluxAddress
from ingest.store import StoreUnavailable

_CONNECT_S, _ANSWER_S = 5.0, 60.0
_SHOWN = 300  # characters of an answer
_GZIP = 16 + zlib.MAX_WBITS
_DROPPED = re.compile(r"\bdropped[= ](\d+)")
_CONFLICT = re.compile(r'field type conflict: input field "([^"]+)" on measurement "([^"]+)"')
_OF_LINES = re.compile(r"partial write|pars(e|ing)|retention|conflict|\bpoints?\b|\bfield\b")
_LIMIT = "limit exceeded"
"""What a refusal says when it is the lines' fault, and when it is a limit that the operator may raise.

Any other 400 is a proxy's, or the request's as a whole.
"""
_NO_BUCKET = (
    "database not found",
    "not found: bucket",
    "bucket not found",
    "no dbrp mapping",
    "dbrp mapping not found",
)


class Refusal(NamedTuple):
    """Lines that the server won't take, by its words: all of them, or `dropped` ones, or those of a field.

    What it did take of them is written. `conflict` is (measurement, field) of a field whose type somebody spoilt.
    `too_large`: it may take them in smaller requests.
    """

    text: str
    dropped: int
    conflict: tuple[str, str] | None
    too_large: bool


class Answer(msgspec.Struct):
    """A part of one statement's result: a measurement's rows under `tags`; `values` hold the `columns`, time first."""

    name: str = ""
    columns: list[str] = []
    tags: dict[str, str] = {}
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    statement_id: int = 0
    series: list[Answer] = []
    error: str = ""


class _Response(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_decode = msgspec.json.Decoder(_Response).decode


class InfluxWire:
    """One server and organisation; safe to use from several threads. Connections are made when they are needed."""

    def __init__(self, address: InfluxAddress) -> None:
        self.address = address
        headers = {"Authorization": f"Token {address.token}"}
        self._reads = httpx.Client(
            base_url=address.base,
            headers=headers,
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            trust_env=False,
            verify=address.trust(),
        )
        self._client = client_of(address)
        self._writes: Any = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Release the connections."""
        self._reads.close()
        release(self._client)

    def write(self, bucket: str, lines: bytes) -> Refusal | None:
        """Write line protocol with times in µs; None when all of it is kept. Raises StoreUnavailable.

        The client's own gzip takes seven times the time of level 1, which is done here.
        """
        squeezed = zlib.compress(lines, 1, _GZIP)
        try:
            self._writes.post_write(
                org=self.address.org,
                bucket=bucket,
                body=squeezed,
                precision=WritePrecision.US,
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            if not error.status:  # so the client tells of a certificate that it does not trust
                raise StoreUnavailable(f"{self.address.base} can't be written: {error.reason}") from error
            text = _words(error.body)
            of_lines = error.status in (400, 422) and _OF_LINES.search(text) and _LIMIT not in text
            if of_lines or error.status == 413:
                return _refusal(error.status, text)
            raise self._unavailable(error.status, text, bucket) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self.address.base} can't be written: {error}") from error
        return None

    def query(self, bucket: str, statements: Sequence[str]) -> Iterator[tuple[int, Answer]]:
        """What each InfluxQL statement answers: (its index, a part of its rows), times µs. Raises StoreUnavailable."""
        form = {"db": bucket, "q": ";".join(statements), "epoch": "u", "chunked": "true"}
        try:
            with self._reads.stream("POST", "/query", data=form) as response:
                if response.status_code != 200:
                    raise self._unavailable(response.status_code, _words(response.read()), bucket)
                for line in _lines(response.iter_bytes()):
                    yield from self._parts(line, bucket)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise StoreUnavailable(f"{self.address.base} can't be read: {error!r}") from error

    def _parts(self, line: bytes, bucket: str) -> Iterator[tuple[int, Answer]]:
        response = _decode(line)
        for problem in (response.error, *(result.error for result in response.results)):
            if problem:
                raise self._unavailable(200, problem, bucket)
        for result in response.results:
            for answer in result.series:
                yield result.statement_id, answer

    def delete(self, bucket: str, before: int) -> None:
        """Delete what has a time before `before` µs. Raises StoreUnavailable."""
        stop = nanoseconds(before) - 1
        body = {"start": _rfc3339(nanoseconds(-(2**63))), "stop": _rfc3339(stop)}
        where = {"org": self.address.org, "bucket": bucket}
        try:
            response = self._reads.post("/api/v2/delete", params=where, json=body)
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{self.address.base} can't be reached: {error!r}") from error
        if response.status_code in (404, 405, 501) and "bucket" not in _words(response.content):
            for _ in self.query(bucket, [f"DELETE FROM /.*/ WHERE time <= {stop}"]):
                pass
        elif response.status_code >= 300:
            raise self._unavailable(response.status_code, _words(response.content), bucket)

    def _unavailable(self, status: int, text: str, bucket: str) -> StoreUnavailable:
        base = self.address.base
        if status in (401, 403):
            return StoreUnavailable(f"{base} refuses the token ({text}): give `store` one that reads and writes")
        if status == 404 or any(words in text.lower() for words in _NO_BUCKET):
            return StoreUnavailable(f"{base} has no bucket {bucket} ({text}): run `shouwang store init`")
        return StoreUnavailable(f"{base} answers {status}: {text}")


def client_of(address: InfluxAddress) -> InfluxDBClient:
    """The client's own object for a server, with timeouts and without retries."""
    milliseconds = int(_CONNECT_S * 1_000), int(_ANSWER_S * 1_000)
    address.trust()  # the client would find a wrong file only when it asks, and not say which
    return InfluxDBClient(
        url=address.base,
        token=address.token,
        org=address.org,
        timeout=milliseconds,
        retries=False,
        ssl_ca_cert=address.ca or None,
    )


def release(client: InfluxDBClient) -> None:
    """Close the client with its connections, which it would leave to the garbage collector."""
    if client.api_client is not None:
        client.api_client.rest_client.pool_manager.clear()
    client.close()  # type: ignore[no-untyped-call]


def nanoseconds(at: int) -> int:
    """µs as ns, within what InfluxDB can hold (1677 to 2262)."""
    return max(-9_223_372_036_854_775, min(at, 9_223_372_036_854_775)) * 1_000


def _rfc3339(moment: int) -> str:
    """A moment in ns as text; datetime knows no ns."""
    seconds, rest = divmod(moment, 1_000_000_000)
    days, second = divmod(seconds, 86_400)
    day = date(1970, 1, 1) + timedelta(days)
    return f"{day}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{rest:09}Z"


def _refusal(status: int, text: str) -> Refusal:
    dropped, conflict = _DROPPED.search(text), _CONFLICT.search(text)
    spoilt = (conflict[2], conflict[1]) if conflict else None
    return Refusal(text, int(dropped[1]) if dropped else 0, spoilt, status == 413)


def _words(body: bytes | str | None) -> str:
    """What an answer says, in one short line."""
    raw = body.encode() if isinstance(body, str) else body or b""
    try:
        told = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        told = raw.decode(errors="replace")
    if isinstance(told, dict):
        told = told.get("message") or told.get("error") or told
    return " ".join(str(told).split())[:_SHOWN]


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
    if rest.strip():
        yield rest
