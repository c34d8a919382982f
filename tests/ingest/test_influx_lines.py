"""Line protocol: what is joined, what is escaped, and that a server reads back what was meant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.journal import Offset
from ingest.influx_labels import Labelled, Labels
from ingest.influx_lines import Lines, rollup_lines
from ingest.influx_store import InfluxStore
from ingest.influx_wire import InfluxWire
from ingest.newest import last_writes
from ingest.store import Point, RollUp
from ingest.words import Block
from tests.influx_server import InfluxOne, make_buckets, small_labels

LABELS = small_labels(20)
CODES = ("a b", "a,b", "a=b", "it's", 'say "so"', "望亭-01", "back\\slash", "a\\,b", "-- ; DROP")


def encoded(block: Block, labels: Labels = LABELS, replacing: bool = False) -> list[str]:
    rows = last_writes([block])
    count = len(rows["at"])
    lines = Lines.of(labels, rows, np.full(count, replacing), np.arange(count))
    return lines.encode(labels).decode().splitlines()


def test_what_a_device_measured_at_one_moment_is_one_line() -> None:
    block = Block.of([2, 1, 0, 1, 4], [20, 10, 10, 20, 10], [0] * 5, [5.0, 1.25, -70.0, 0.1, 1e-9])
    assert encoded(block) == [
        r"gas,device=DEV-0,grid=G01,kind=road,site=S\ 0 level=-70.0,battery=1.25 10",
        r"gas,device=DEV-0,grid=G01,kind=road,site=S\ 0 battery=0.1 20",
        r"gas,device=DEV-1,grid=G01,kind=road,site=S\ 1 level=5.0 20",
        r"noise,device=DEV-2,grid=G01,kind=road,site=S\ 2 level=1e-09 10",
    ]


def test_flags_are_told_when_there_are_any_or_were_perhaps() -> None:
    block = Block.of([0, 1], [10, 10], [0, 0], [1.0, 2.0], [0, 36])
    tags = r"gas,device=DEV-0,grid=G01,kind=road,site=S\ 0"
    assert encoded(block) == [f"{tags} level=1.0,battery=2.0,battery_q=36.0 10"]
    assert encoded(block, replacing=True) == [f"{tags} level=1.0,level_q=0.0,battery=2.0,battery_q=36.0 10"]


def test_a_roll_up_has_four_fields_a_metric() -> None:
    numbers, start = np.array([0, 1], np.int32), np.array([300, 300])
    low, mean, high = (np.array([value, value + 1]) for value in (1.0, 2.0, 3.0))
    line = rollup_lines(LABELS, RollUp(numbers, start, low, mean, high, np.array([7, 8]))).decode()
    assert line.partition(" level")[2] == (
        "_min=1.0,level_mean=2.0,level_max=3.0,level_count=7.0,"
        "battery_min=2.0,battery_mean=3.0,battery_max=4.0,battery_count=8.0 300\n"
    )


@pytest.mark.parametrize("most", [1, 2, 100])
def test_pieces_keep_lines_whole(most: int) -> None:
    count = 40
    block = Block.of([n % 4 for n in range(count)], [n // 4 for n in range(count)], [0] * count, [1.0] * count)
    rows = last_writes([block])
    lines = Lines.of(LABELS, rows, np.zeros(count, np.bool_), np.arange(count))
    pieces = lines.pieces(LABELS, most)
    assert b"".join(piece.encode(LABELS) for piece in pieces) == lines.encode(LABELS)
    assert all(len(piece.encode(LABELS).splitlines()) <= most for piece in pieces)
    assert len(encoded(Block.of([], [], [], []))) == 0


def test_a_server_reads_back_what_was_meant(influx_one: InfluxOne, tmp_path: Path) -> None:
    place = ("G,01", "road", "路 段=1", "V\\1")
    devices = [Labelled(code, "gas", "GW-1", place) for code in CODES]
    numbers = np.arange(2 * len(CODES), dtype=np.int32)
    labels = Labels(1, devices, ["level", "battery"], numbers // 2, numbers % 2)
    address = make_buckets(influx_one.address("hostile names"))
    moved = replace(labels, devices=[labelled._replace(place=("", "site", "X", "")) for labelled in devices])
    store, again, elsewhere = (
        InfluxStore(InfluxWire(address), tmp_path / "ledger", lambda known=known: known)  # type: ignore[misc]
        for known in (labels, labels, moved)
    )
    values = np.random.default_rng(4).normal(size=len(numbers)) * 10.0 ** np.arange(-9, 9)
    store.append([(Offset(0, 1), Block.of(numbers.tolist(), [7] * len(numbers), [8] * len(numbers), values.tolist()))])
    assert again.latest(numbers.tolist()) == {n: Point(7, value, 0) for n, value in enumerate(values.tolist())}
    for reader in (store, again, elsewhere):
        found = reader.rows(numbers, 0, 10)
        assert dict(zip(found.series.tolist(), found.value.tolist(), strict=True)) == dict(enumerate(values.tolist()))
        reader.close()
