"""What only a store in an InfluxDB can be asked: refused lines, kills, moved devices, quality flags."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SystemClock
from core.journal import Offset
from ingest.influx_address import InfluxAddress
from ingest.influx_labels import Labels
from ingest.influx_setup import set_up
from ingest.influx_store import InfluxStore
from ingest.influx_wire import Answer, InfluxWire
from ingest.newest import boxes
from ingest.store import Appended, Counts, Point, StoreUnavailable
from ingest.words import Block
from tests.influx_server import small_labels
from tests.ingest.append_forever import block
from tests.ingest.influx_scene import AddressOf, Scene, T, address_of, scene, values

__all__ = ["address_of", "scene"]

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("influx_append_forever.py")


def test_a_bad_line_alone_is_refused_and_its_neighbours_are_stored(scene: Scene) -> None:
    store = scene.open()
    rows = [(series, T, float(series), 0) for series in range(10_000)]  # two a device: 5,000 lines
    rows[4_321] = (4_321, T, float("inf"), 0)
    appended = scene.append(store, *rows)
    assert appended[:3] == (9_999, 0, 0)
    assert [(refused.device, refused.metric, refused.at, refused.value) for refused in appended.refused] == [
        ("DEV-2160", "battery", T, float("inf"))
    ]
    assert appended.refused[0].gateway == "GW-1"
    assert appended.refused[0].reason
    assert store.counts() == Counts(9_999, 0)
    assert store.applied() == Offset(0, 1)
    assert len(store.rows(np.arange(10_000, dtype=np.int32), T, T + 1)) == 9_999
    assert set(store.latest([4_320, 4_321, 4_322])) == {4_320, 4_322}
    assert scene.wire.writes < 40


def test_a_server_that_never_answers_holds_up_no_stop(tmp_path: Path) -> None:
    """It takes the connection and says nothing: the writer waits for a minute, the program's end doesn't."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = InfluxAddress(f"http://127.0.0.1:{silent.getsockname()[1]}", "t", "o", "b")
        labels = small_labels(2)
        store = InfluxStore(InfluxWire(address), tmp_path / "influx.ledger", lambda: labels)
        failed: list[StoreUnavailable] = []
        writer = threading.Thread(target=_append_in_vain, args=(store, failed), daemon=True)
        writer.start()
        connection, _ = silent.accept()
        began = time.monotonic()
        store.close()
        assert time.monotonic() - began < 5
        connection.close()
        writer.join(10)
    assert len(failed) == 1, "what was in hand stays in the journal"


def _append_in_vain(store: InfluxStore, failed: list[StoreUnavailable]) -> None:
    try:
        store.append([(Offset(0, 1), Block.of([0], [T], [T], [1.0]))])
    except StoreUnavailable as error:
        failed.append(error)


def test_a_refused_reading_is_told_again_after_a_kill_and_never_after_a_stop(scene: Scene) -> None:
    store = scene.open()
    told = scene.append(store, (0, T, float("inf"), 0), (1, T, 1.0, 0)).refused
    assert len(told) == 1
    scene.offset += 1
    nothing_new = [(Offset(0, 1), Block.of([], [], [], []))]
    assert scene.open().append(nothing_new).refused == told, "a kill"
    store.close()
    assert scene.open().append(nothing_new).refused == (), "a stop"


def test_a_field_that_somebody_spoilt_costs_few_requests(scene: Scene) -> None:
    store = scene.open()
    assert scene.wire.write(scene.address.bucket, f'gas,device=X level="high" {T}'.encode()) is None
    appended = scene.append(store, *((series, T + 1, 1.5, 0) for series in range(4_000)))
    gas = sum(1 for series in range(0, 4_000, 2) if series // 2 % 3 != 2)
    assert len(appended.refused) == gas
    assert {refused.metric for refused in appended.refused} == {"level"}
    assert "conflict" in appended.refused[0].reason
    assert appended[:2] == (4_000 - gas, 0)
    assert len(store.rows(np.arange(4_000, dtype=np.int32), T, T + 2)) == 4_000 - gas
    assert scene.wire.writes < 20


def test_what_the_bucket_does_not_keep_any_more_is_refused(address_of: AddressOf, tmp_path: Path) -> None:
    address = address_of(f"r{random.getrandbits(48):x}")
    set_up(address, {address.bucket: 2})
    scene = Scene(address, tmp_path)
    store, now = scene.open(), SystemClock().now()
    old = now - 40 * DAY
    rows = [(series, old if series < 4 else now - HOUR, 1.0, 0) for series in range(1_000)]
    appended = scene.append(store, *rows)
    assert appended[:2] == (996, 0)
    assert [(refused.device, refused.at) for refused in appended.refused] == [
        ("DEV-0", old),
        ("DEV-0", old),
        ("DEV-1", old),
        ("DEV-1", old),
    ]
    many = scene.append(store, *((series, old + 1, 1.0, 0) for series in range(5_000)))
    assert (many.stored, len(many.refused)) == (0, 5_000)
    assert scene.wire.writes < 40
    store.close()


def test_a_series_that_the_registry_does_not_know_is_refused(scene: Scene) -> None:
    store = scene.open()
    appended = scene.append(store, (30_000, T, 1.0, 0), (0, T, 2.0, 0))
    assert (appended.stored, appended.refused[0].metric) == (1, "series 30000")
    scene.labels = small_labels(40_000)  # enrolled meanwhile
    assert scene.append(store, (30_000, T, 1.0, 0)).stored == 1


def test_flags_appear_and_vanish(scene: Scene) -> None:
    store = scene.open()
    scene.append(store, (0, T, 1.0, 4), (1, T, 1.0, 0))
    assert scene.open().latest([0, 1]) == {0: Point(T, 1.0, 4), 1: Point(T, 1.0, 0)}
    assert scene.append(store, (0, T, 2.0, 0), (1, T, 3.0, 2)) == Appended(0, 2, 0)
    assert scene.open().latest([0, 1]) == {0: Point(T, 2.0, 0), 1: Point(T, 3.0, 2)}
    scene.append(store, (0, T + 1, 5.0, 0))
    assert scene.open().latest([0]) == {0: Point(T + 1, 5.0, 0)}
    fields = [
        row[0] for _, answer in scene.wire.query(scene.address.bucket, ["SHOW FIELD KEYS"]) for row in answer.values
    ]
    assert sorted(set(fields)) == ["battery", "battery_q", "level", "level_q"]


def moved(labels: Labels, code: str) -> Labels:
    """The labels once this device stands elsewhere."""
    devices = [
        labelled._replace(place=("G02", "enterprise", "EN-2", "V2")) if labelled.code == code else labelled
        for labelled in labels.devices
    ]
    return replace(labels, version=labels.version + 1, devices=devices)


def test_a_moved_device_keeps_its_history_and_counts_once(scene: Scene) -> None:
    store = scene.open()
    scene.append(store, (0, T, 1.0, 0), (0, T + 1, 2.0, 0), (2, T, 9.0, 0))
    scene.labels = moved(scene.labels, "DEV-0")
    assert scene.append(store, (0, T + 1, 3.0, 0), (0, T + 2, 4.0, 0)) == Appended(1, 1, 0)
    for known in (store, scene.open()):
        assert values(known, 0) == {T: 1.0, T + 1: 3.0, T + 2: 4.0}
        assert known.latest([0]) == {0: Point(T + 2, 4.0, 0)}
        assert known.range(0, T, T + 3, 1).mean.tolist() == [pytest.approx(8 / 3)]
    assert store.counts() == Counts(4, 1)


def test_a_long_curve_is_made_by_the_server(scene: Scene) -> None:
    scene.open()
    store = InfluxStore(scene.wire, scene.ledger, lambda: scene.labels, most_raw=100)
    value = np.random.default_rng(1).normal(size=1_000)
    scene.append(store, *((0, T + 10 * n, float(value[n]), 0) for n in range(1_000)))
    curve = store.range(0, T, T + 10_000, 10)
    parts = value.reshape(10, 100)
    assert curve.at.tolist() == [T + 1_000 * n - 1 for n in range(1, 11)]
    np.testing.assert_array_equal(curve.low, parts.min(axis=1))
    np.testing.assert_array_equal(curve.high, parts.max(axis=1))
    np.testing.assert_allclose(curve.mean, parts.mean(axis=1), atol=1e-12)


def test_another_process_reads_what_is_newest(scene: Scene) -> None:
    store = scene.open()
    reader = InfluxStore(scene.wire, scene.ledger, lambda: scene.labels, written_here=False)
    asked = [5, 0, 1, 2, 4, 10**6, -1]
    assert reader.latest(asked) == reader.latest([]) == {}
    scene.append(store, (0, T, 1.0, 4), (1, T - 1, 2.0, 0), (4, T, 3.0, 0))
    for _ in range(2):
        assert reader.latest(asked) == store.latest(asked)
        scene.append(store, (0, T + 1, 5.0, 0), (2, T, 6.0, 1), (300, T, 7.0, 0))
    assert reader.latest(asked)[0] == Point(T + 1, 5.0, 0)
    assert reader.latest(range(20_000)) == store.latest(range(20_000))


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_kill_between_request_and_settling_counts_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    store = scene.open()
    scene.append(store, (0, T, 1.0, 0))
    write = InfluxWire.write

    def killed(wire: InfluxWire, bucket: str, lines: bytes) -> object:
        write(wire, bucket, lines)
        raise Killed

    blocks = [
        (Offset(0, 2), Block.of([0, 0, 1], [T, T + 1, T], [T, T, T], [2.0, 3.0, 4.0], [4, 0, 0])),
        (Offset(0, 3), Block.of([0, 1], [T, T + 1], [T, T], [5.0, 6.0])),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(InfluxWire, "write", killed)
        with pytest.raises(Killed):
            store.append(blocks)
    again = scene.open()
    assert again.applied() == Offset(0, 1)
    assert again.counts() == Counts(1, 0)
    assert again.append(blocks[:1]) == Appended(0, 0, 0), "smaller batches than before"
    assert again.append(blocks) == Appended(3, 2, 3)
    assert again.counts() == Counts(4, 2)
    assert values(again, 0) == {T: 5.0, T + 1: 3.0}
    assert values(again, 1) == {T: 4.0, T + 1: 6.0}
    assert scene.open().latest([0, 1]) == {0: Point(T + 1, 3.0, 0), 1: Point(T + 1, 6.0, 0)}


@pytest.mark.parametrize(("comes_again", "counts"), [((), (4, 0)), ((2,), (4, 0))])
def test_a_span_that_the_journal_let_go_is_counted_as_it_was_meant(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, comes_again: tuple[int, ...], counts: tuple[int, int]
) -> None:
    def killed(wire: InfluxWire, bucket: str, lines: bytes) -> object:
        raise Killed

    blocks = {n: (Offset(0, n), Block.of([n], [T], [T], [float(n)])) for n in (2, 3, 5, 6)}
    with monkeypatch.context() as patch:
        patch.setattr(InfluxWire, "write", killed)
        with pytest.raises(Killed):
            scene.open().append([blocks[2], blocks[3]])
    store = scene.open()
    store.append([*(blocks[n] for n in comes_again), blocks[5], blocks[6]])
    assert store.counts() == counts
    assert store.applied() == Offset(0, 6)
    assert scene.open().append([(Offset(0, 7), Block.of([5], [T], [T], [9.0]))]) == Appended(0, 1, 0)


def test_counts_exactly_through_kills_and_replays(scene: Scene) -> None:
    folder = scene.ledger.parent
    arguments = [
        sys.executable,
        str(SCRIPT),
        str(folder),
        scene.address.base,
        scene.address.token,
        scene.address.bucket,
    ]
    reached = 0
    for _ in range(3):
        process = subprocess.Popen(
            arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.readline() == "appending\n"
        time.sleep(random.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert scene.open().applied().n >= reached
        reached = scene.open().applied().n
    store = scene.open()
    last = [(Offset(0, n), block(n)) for n in range(max(1, reached - 4), reached + 9)]
    store.append(last)  # the span of an intent is written again
    kept: dict[tuple[int, int], float] = {}
    received = 0
    for n in range(1, reached + 9):
        rows = block(n)
        received += len(rows)
        kept.update(zip(zip(rows.series.tolist(), rows.at.tolist(), strict=True), rows.value.tolist(), strict=True))
    assert store.counts() == Counts(len(kept), received - len(kept))
    found = store.rows(np.arange(40, dtype=np.int32), -(10**9), 10**12)
    assert (
        dict(zip(zip(found.series.tolist(), found.at.tolist(), strict=True), found.value.tolist(), strict=True)) == kept
    )
    assert reached > 0


def test_a_lost_ledger_is_made_up_from_the_journal(scene: Scene) -> None:
    store = scene.open()
    scene.append(store, (0, T, 1.0, 0), (0, T + 1, 2.0, 0))
    scene.ledger.write_bytes(b"not a ledger")
    store = scene.open()
    assert store.applied() == Offset(0, 0)
    assert store.append([(Offset(0, 1), Block.of([0, 0], [T, T + 1], [T, T], [1.0, 2.0]))]) == Appended(0, 2, 0)
    assert values(store, 0) == {T: 1.0, T + 1: 2.0}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 400)), min_size=1, max_size=200))
def test_boxes_hold_every_reading_once_and_none_is_large(readings: list[tuple[int, int]]) -> None:
    series = np.array([number for number, _ in readings], np.int32)
    at = np.array([T + hours * HOUR for _, hours in readings], np.int64)
    found = list(boxes(series, at, most=100))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(readings)))
    for rows in found:
        span = int(at[rows].max()) - int(at[rows].min())
        assert not span or len(np.unique(series[rows])) * (HOUR + span) <= 100 * HOUR


def test_a_days_backlog_of_one_gateway_asks_for_no_day_of_the_whole_town(scene: Scene) -> None:
    """In one batch with a redelivery of everybody's newest readings: the query would never end."""
    store = scene.open()
    everybody = [(series, T + DAY, 1.0, 0) for series in range(0, 4_000, 2)]
    backlog = [(series, T + n * 10 * MINUTE, 2.0, 0) for n in range(144) for series in range(0, 20, 2)]
    scene.append(store, *everybody)
    asked: list[float] = []
    query = scene.wire.query

    def weighed(bucket: str, statements: Sequence[str]) -> Iterator[tuple[int, Answer]]:
        for statement in statements:
            since, until = (int(number) for number in re.findall(r"time >=? (\d+).*time < (\d+)", statement)[0])
            asked.append(statement.count('"device" =') * (until - since) / (HOUR * 1_000))
        return query(bucket, statements)

    scene.wire.query = weighed  # type: ignore[method-assign]
    appended = scene.append(store, *everybody, *backlog)
    assert appended[:2] == (len(backlog), len(everybody))
    assert 0 < sum(asked) < 2_000 * 24 / 4, "device-hours, of the 48,000 of all of them together"
