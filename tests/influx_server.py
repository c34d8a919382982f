"""Real InfluxDBs for tests: Debian's 1.x behind an nginx that speaks the 2.x write API, and a 2.x named by a URL."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from influxdb_client import InfluxDBClient

from ingest.influx_address import InfluxAddress
from ingest.influx_labels import Labelled, Labels
from ingest.influx_setup import set_up
from ingest.influx_store import InfluxStore
from ingest.influx_wire import InfluxWire, client_of, release
from tests.servers import _end as end
from tests.servers import _spawn as spawn
from tests.servers import accepts, files_folder, free_port, program, wait_until

TEST_URL = "SHOUWANG_TEST_INFLUX_URL"
_KEPT_DAYS = 60 * 365

_INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{behind}"
log-enabled = false
[continuous_queries]
enabled = false
"""
_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size {largest};
    client_body_buffer_size 4m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /api/v2/write {{
            proxy_pass http://127.0.0.1:{behind}/write?db=$arg_bucket&precision=u;
        }}
        location = /query {{ proxy_pass http://127.0.0.1:{behind}; proxy_set_header Authorization ""; }}
        location = /ping {{ proxy_pass http://127.0.0.1:{behind}; }}
    }}
}}
"""


class InfluxOne:
    """An influxd 1.x behind nginx, on fixed loopback ports; it can be stopped, killed and started over its data."""

    def __init__(self, influxd: Path, nginx: Path, largest: str = "25m") -> None:
        self._programs = influxd, nginx
        self._largest = largest
        self.folder = Path()
        self.port, self._behind, self._rpc = free_port(), free_port(), free_port()
        self._influxd: subprocess.Popen[bytes] | None = None
        self._nginx: subprocess.Popen[bytes] | None = None

    @classmethod
    def installed(cls, largest: str = "25m") -> "InfluxOne":
        """One on free ports; without its programs the test skips or fails. nginx takes bodies up to `largest`."""
        return cls(program(["influxd"], "influxdb"), program(["nginx"], "nginx"), largest)

    def start(self) -> None:
        """Start both (again) and wait until they answer."""
        if not self.folder.name:
            self.folder = Path(tempfile.mkdtemp(prefix="sw-influx-", dir=files_folder()))
        names = {"folder": self.folder, "rpc": self._rpc, "behind": self._behind, "port": self.port}
        for name, content in (("influxd.conf", _INFLUXD), ("nginx.conf", _NGINX)):
            text = content.format(**names, largest=self._largest)
            (self.folder / name).write_text(text, encoding="utf-8")
        self.start_influxd()
        if self._nginx is None:
            command = [str(self._programs[1]), "-p", str(self.folder), "-e", str(self.folder / "nginx.log")]
            self._nginx = spawn([*command, "-c", str(self.folder / "nginx.conf")], self.folder / "log")
        wait_until(lambda: accepts(self.port), f"the start of nginx ({self.folder}/log)")

    def start_influxd(self) -> None:
        """Start influxd alone, over the data it has."""
        command = [str(self._programs[0]), "-config", str(self.folder / "influxd.conf")]
        self._influxd = spawn(command, self.folder / "log")
        wait_until(lambda: accepts(self._behind), f"the start of influxd ({self.folder}/log)")

    def stop_influxd(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End influxd alone: nginx answers 502 then."""
        if self._influxd:
            end(self._influxd, how)

    def stop(self) -> None:
        """End both and remove their files."""
        self.stop_influxd(signal.SIGKILL)
        if self._nginx:
            end(self._nginx, signal.SIGTERM)
        if self.folder.name:
            shutil.rmtree(self.folder)

    def address(self, bucket: str) -> InfluxAddress:
        """The address of a database there."""
        return InfluxAddress(f"http://127.0.0.1:{self.port}", "any", "town", bucket)


@contextmanager
def named_server() -> Iterator[InfluxAddress]:
    """The InfluxDB 2.x that the environment names, without one the test skips; made buckets are removed at the end."""
    url = os.environ.get(TEST_URL)
    if not url:
        pytest.skip(f"{TEST_URL} names no InfluxDB 2.x")
    address = InfluxAddress.parse(url)
    before = set(_buckets(address))
    yield address
    with _client(address) as client:
        for bucket in set(_buckets(address)) - before:
            client.buckets_api().delete_bucket(client.buckets_api().find_bucket_by_name(bucket))


@contextmanager
def _client(address: InfluxAddress) -> Iterator[InfluxDBClient]:
    client = client_of(address)
    yield client
    release(client)


def _buckets(address: InfluxAddress) -> list[str]:
    with _client(address) as client:
        return [bucket.name for bucket in client.buckets_api().find_buckets_iter() if bucket.type == "user"]


def make_buckets(address: InfluxAddress) -> InfluxAddress:
    """Make the address's bucket and those of its roll-ups, which keep all that a test may write."""
    set_up(address, {address.bucket + suffix: _KEPT_DAYS for suffix in ("", "_5m", "_1h")})
    return address


def small_labels(series: int = 2_000, grid: str = "G01") -> Labels:
    """Series 2n and 2n + 1 are two metrics of device n; two thirds of the devices are gas detectors."""
    devices = [
        Labelled(f"DEV-{n}", "noise" if n % 3 == 2 else "gas", "GW-1", (grid, "road", f"S {n % 7}", ""))
        for n in range(series // 2)
    ]
    numbers = np.arange(series, dtype=np.int32)
    return Labels(1, devices, ["level", "battery"], numbers // 2, numbers % 2)


def influx_opener(address_of: Callable[[str], InfluxAddress]) -> Callable[[Path], InfluxStore]:
    """Opens the store that lives in a folder: its ledger there, its bucket named after it."""
    labels = small_labels()

    def opened(folder: Path) -> InfluxStore:
        address = address_of(f"t{hash(folder) & 0xFFFFFFFFFFFF:x}")
        ledger = folder / "influx.ledger"
        if not (folder / "made").exists():
            make_buckets(address)
            (folder / "made").touch()
        return InfluxStore(InfluxWire(address), ledger, lambda: labels)

    return opened
