"""An InfluxDB as a server: made ready, away, behind a proxy, refusing who asks or the whole request."""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from core.journal import Offset
from ingest.influx_address import InfluxAddress
from ingest.influx_setup import probe, set_up, version_of
from ingest.influx_wire import InfluxWire, client_of
from ingest.store import Appended, Counts, StoreUnavailable
from tests.certificates import own_certificate
from tests.influx_server import InfluxOne, make_buckets, named_server
from tests.ingest.influx_scene import ALL, AddressOf, Scene, T, address_of, scene, values

__all__ = ["address_of", "scene"]


def test_a_missing_bucket_says_what_to_do(address_of: AddressOf, tmp_path: Path) -> None:
    address = address_of(f"never_made_{random.getrandbits(32):x}")
    scene = Scene(address, tmp_path)
    store = scene.open()
    with pytest.raises(StoreUnavailable, match="run `shouwang store init`"):
        scene.wire.write(address.bucket, f"gas level=1.0 {T}".encode())
    with pytest.raises(StoreUnavailable, match="run `shouwang store init`"):
        probe(address)
    store.close()


def test_buckets_are_made_once_and_their_retention_follows(address_of: AddressOf) -> None:
    address = address_of(f"b{random.getrandbits(48):x}")
    assert all("made" in line for line in set_up(address, {address.bucket: 30})[:1])
    assert all("stands" in line for line in set_up(address, {address.bucket: 30}))
    assert "its retention is 60 days now" in set_up(address, {address.bucket: 60})[0]
    assert all("stands" in line for line in set_up(address, {address.bucket: 60}))
    assert probe(address)


def test_a_wrong_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with named_server() as address:
        wire = InfluxWire(address._replace(token="wrong", bucket="any"))
        with pytest.raises(StoreUnavailable, match="refuses the token"):
            wire.write("any", b"")
        with pytest.raises(StoreUnavailable, match="refuses the token"):
            list(wire.query("any", ["SHOW MEASUREMENTS"]))
        wire.close()


@pytest.fixture
def small_proxy() -> Iterator[InfluxOne]:
    """An InfluxDB whose proxy takes only small bodies."""
    server = InfluxOne.installed(largest="4k")
    server.start()
    yield server
    server.stop()


def test_a_server_goes_away_and_comes_back_and_a_body_may_be_too_large(small_proxy: InfluxOne, tmp_path: Path) -> None:
    scene = Scene(make_buckets(small_proxy.address("town")), tmp_path)
    store = scene.open()
    random_values = np.random.default_rng(3).random(4_000).tolist()
    rows = [(series, T, value, 0) for series, value in enumerate(random_values)]
    assert scene.append(store, *rows) == Appended(4_000, 0, 0), "halved until it fits"
    small_proxy.stop_influxd(signal.SIGKILL)
    with pytest.raises(StoreUnavailable, match="502"):
        scene.append(store, (0, T + 1, 1.0, 0))
    with pytest.raises(StoreUnavailable, match="502"):
        store.range(0, *ALL, 10)
    scene.offset -= 1
    small_proxy.start_influxd()
    assert scene.append(store, (0, T + 1, 1.0, 0)) == Appended(1, 0, 0)
    assert store.counts() == Counts(4_001, 0)
    assert values(store, 0) == {T: random_values[0], T + 1: 1.0}
    store.close()


@pytest.mark.parametrize(
    "body",
    [
        "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        '{"error":"invalid precision \\"us\\" (use n, u, ms, s, m or h)"}',
        '{"error":"partial write: max-values-per-tag limit exceeded (100000/100000): tag=\\"device\\" dropped=1"}',
        '{"code":"invalid","message":"Please provide either orgID or org"}',
    ],
)
def test_a_request_that_is_wrong_as_a_whole_costs_no_reading(tmp_path: Path, body: str) -> None:
    with HTTPServer(("127.0.0.1", 0), answering(body)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        wire = InfluxWire(InfluxAddress(f"http://127.0.0.1:{server.server_port}", "any", "town", "readings"))
        try:
            with pytest.raises(StoreUnavailable, match="answers 400"):
                wire.write("readings", f"gas level=1.0 {T}".encode())
        finally:
            wire.close()
            server.shutdown()
            thread.join()


@contextmanager
def answering_by_tls(file: Path) -> Iterator[int]:
    """A server that takes what is written, with a certificate that nobody knows but `file`; its port."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(204)
            self.send_header("X-Influxdb-Version", "v2.7.12")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        server.socket = own_certificate(file).wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_an_authority_of_ones_own_is_named_by_ca(tmp_path: Path) -> None:
    with answering_by_tls(tmp_path / "own.pem") as port:
        url = f"influx+https://any@127.0.0.1:{port}/town/readings"
        trusting = InfluxAddress.parse(f"{url}?ca={tmp_path / 'own.pem'}")
        wire = InfluxWire(trusting)
        assert wire.write("readings", f"gas level=1.0 {T}".encode()) is None
        wire.close()
        assert version_of(trusting) == "2.7.12"
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            version_of(InfluxAddress.parse(url))
        stranger = InfluxWire(InfluxAddress.parse(url))
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.write("readings", f"gas level=1.0 {T}".encode())
        stranger.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_of_no_use_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "own.pem"
    if content is not None:
        file.write_text(content)
    address = InfluxAddress.parse(f"influx+https://any@127.0.0.1:1/town/readings?ca={file}")
    for use in (InfluxWire, client_of, version_of):
        with pytest.raises(StoreUnavailable, match=str(file)):
            use(address)


@pytest.mark.parametrize(
    "url", ["influx+http://any@h/town/readings?ca=f", "influx+https://any@h/town/readings?cafile=f"]
)
def test_an_option_that_would_do_nothing_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\?ca=FILE"):
        InfluxAddress.parse(url)


def answering(body: str) -> type[BaseHTTPRequestHandler]:
    """A server that refuses everything with these words."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(400)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words: object) -> None:  # type: ignore[override]
            pass

    return Refusing


def test_a_port_where_nobody_listens_is_a_store_that_is_away(tmp_path: Path) -> None:
    scene = Scene(InfluxAddress("http://127.0.0.1:1", "any", "town", "readings"), tmp_path)
    store = scene.open()
    assert store.applied() == Offset(0, 0)
    assert store.counts() == Counts(0, 0)
    for ask in (lambda: scene.append(store, (0, T, 1.0, 0)), lambda: store.latest([0]), lambda: store.retain(T)):
        with pytest.raises(StoreUnavailable):
            ask()
    store.close()
