"""Buckets of their own on the engines that there are, and stores in them over one ledger."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.journal import Offset
from ingest.influx_address import InfluxAddress
from ingest.influx_labels import Labels
from ingest.influx_store import InfluxStore
from ingest.influx_wire import InfluxWire
from ingest.store import Appended
from ingest.words import Block
from tests.influx_server import make_buckets, named_server, small_labels

T = 1_790_000_000_000_000
ALL = (0, 2**62)
AddressOf = Callable[[str], InfluxAddress]


@pytest.fixture(params=["1.x", "2.x"], scope="module")
def address_of(request: pytest.FixtureRequest) -> Iterator[AddressOf]:
    """The address of a bucket on each engine in turn."""
    if request.param == "1.x":
        yield request.getfixturevalue("influx_one").address
        return
    with named_server() as address:
        yield lambda bucket: address._replace(bucket=bucket)


class Counted(InfluxWire):
    """A wire that counts the writes."""

    writes = 0

    def write(self, bucket: str, lines: bytes) -> object:  # type: ignore[override]
        self.writes += 1
        return super().write(bucket, lines)


class Scene:
    """A bucket of its own, and stores in it over one ledger."""

    def __init__(self, address: InfluxAddress, folder: Path) -> None:
        self.address, self.ledger = address, folder / "influx.ledger"
        self.labels: Labels = small_labels(20_000)
        self.offset = 0
        self.opened: list[InfluxStore] = []
        self.wire = Counted(address)

    def open(self) -> InfluxStore:
        """A store; a second one knows what a new process would know."""
        self.wire = Counted(self.address)
        self.opened.append(InfluxStore(self.wire, self.ledger, lambda: self.labels))
        return self.opened[-1]

    def append(self, store: InfluxStore, *rows: tuple[int, int, float, int]) -> Appended:
        """Append one block of (series, at, value, quality)."""
        self.offset += 1
        series, at, value, quality = zip(*rows, strict=True)
        return store.append([(Offset(0, self.offset), Block.of(series, at, at, value, quality))])


@pytest.fixture
def scene(address_of: AddressOf, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(make_buckets(address_of(f"s{random.getrandbits(48):x}")), tmp_path)
    yield made
    for store in made.opened:
        store.close()


def values(store: InfluxStore, series: int) -> dict[int, float]:
    curve = store.range(series, *ALL, 10**6)
    return dict(zip(curve.at.tolist(), curve.mean.tolist(), strict=True))
