"""A readings store for a measurement: the embedded one, or a private InfluxDB as Debian has it, behind an nginx."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.influx_server import InfluxOne, make_buckets

STORES = ("duckdb", "influx")


def missing_for(store: str) -> str:
    """What must be installed to measure with this store; empty when nothing is missing."""
    path = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
    wanted = {"influxd": "influxdb", "nginx": "nginx"} if store == "influx" else {}
    return " ".join(package for program, package in wanted.items() if shutil.which(program, path=path) is None)


@contextmanager
def readings_store(store: str) -> Iterator[str]:
    """The URL of an empty store; empty for the embedded one."""
    if store != "influx":
        yield ""
        return
    server = InfluxOne.installed()
    server.start()
    try:
        address = make_buckets(server.address("bench"))
        yield f"influx+{address.base.replace('://', f'://{address.token}@')}/{address.org}/{address.bucket}"
    finally:
        server.stop()
