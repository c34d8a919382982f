"""Makes an evidence pack in a process of its own: drawing and writing pages would hold the pipeline's Python.

The readings store belongs to this process, so the readings go ahead of it as files.
"""

import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from threading import BoundedSemaphore

import numpy as np
from sqlalchemy import Engine

from alerts.case_file import SeriesSpan, spans_of
from core.clock import DAY, HOUR
from core.database import open_engine, reading
from devices.device_types import DeviceType
from devices.tables import device
from ingest.store import ReadingStore, StoreError

EXTRA = ("reportlab", "matplotlib", "PIL")
_SLICE = 200_000  # readings in memory at a time
_MEMORY = 4 * 2**30
_NICE = 10
_TIMEOUT = 180.0  # s
_PATIENCE = 20.0  # s for the one before
_LATE = DAY  # how long after a span its readings may have come
_one = BoundedSemaphore(1)

Kept = tuple[tuple[SeriesSpan, str, tuple[Path, ...]], ...]
"""Each series' span, unit and files: the fields of `evidence_pack.KeptReadings`."""


class PackRefused(Exception):
    """No pack can be made: `reason` is no_ticket, no_reports, busy, too_slow or failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Job:
    """What the process is to make; `wanted` are the fields of `evidence_pack.Wanted`."""

    database: str
    wanted: tuple[str, str, bool, int]
    readings: Kept
    why: str
    to: Path


def can_make() -> bool:
    """Whether the extra [reports] is installed."""
    return all(find_spec(name) is not None for name in EXTRA)


def make_pack(
    engine: Engine,
    store: ReadingStore | None,
    types: Mapping[str, DeviceType],
    wanted: tuple[str, str, bool, int],
    folder: Path,
    why: str = "",
) -> Path:
    """Make the pack of `wanted` (as `evidence_pack.Wanted`) in an existing folder; one at a time. Raises PackRefused.

    Without a `store`, or when it can't be read, the pack says so; `why` gives another reason to leave readings out.
    """
    if not can_make():
        raise PackRefused("no_reports")
    number, _, _, now = wanted
    with reading(engine) as connection:
        spans = spans_of(connection, number, now)
    if spans is None:
        raise PackRefused("no_ticket")
    if not _one.acquire(timeout=_PATIENCE):
        raise PackRefused("busy")
    try:
        kept: Kept = ()
        if store is None and not why:
            why = "store_away"
        if store is not None and not why:
            try:
                kept = collect(store, spans, now, units_of(engine, types, spans), folder)
            except StoreError:
                why = "store_away"
        to = folder / "evidence.zip"
        database = engine.url.render_as_string(hide_password=False)
        _run(Job(database, wanted, kept, why, to))
    finally:
        _one.release()
    return to


def collect(store: ReadingStore, spans: Sequence[SeriesSpan], now: int, units: Mapping[int, str], folder: Path) -> Kept:
    """The readings of a case as files, a slice each, as they were known at `now`. Raises StoreError."""
    from console.evidence_pack import keep_block  # noqa: PLC0415 - needs the extra [reports]

    found = []
    for span in spans:
        numbers = np.array([span.number], np.int32)
        files: list[Path] = []
        for piece in store.slices(numbers, span.since - HOUR, min(span.until + _LATE, now + 1), _SLICE):
            block = store.scan(numbers, piece.since, piece.until)
            if len(block):
                files.append(folder / f"{span.number}-{len(files)}.npz")
                keep_block(block, files[-1])
        found.append((span, units.get(span.number, ""), tuple(files)))
    return tuple(found)


def units_of(engine: Engine, types: Mapping[str, DeviceType], spans: Sequence[SeriesSpan]) -> dict[int, str]:
    """The unit of each of a case's series, as the catalogue has it."""
    found: dict[int, str] = {}
    with reading(engine) as connection:
        for span in spans:
            kind = connection.execute(device.select().where(device.c.code == span.device)).mappings().first()
            metric = types[kind["type"]].metrics.get(span.metric) if kind and kind["type"] in types else None
            found[span.number] = metric.unit if metric else ""
    return found


def work(job: Job) -> None:
    """The process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process too
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    write(job)


def write(job: Job) -> None:
    """Write the pack in this process."""
    from console.evidence_pack import KeptReadings, Wanted, write_pack  # noqa: PLC0415 - needs the extra [reports]

    number, language, phones, now = job.wanted
    wanted = Wanted(number, "en" if language == "en" else "zh", phones, now)
    engine = open_engine(job.database)
    try:
        with reading(engine) as connection:
            write_pack(connection, wanted, [KeptReadings(*each) for each in job.readings], job.why, job.to)
    finally:
        engine.dispose()


def _run(job: Job) -> None:
    process = get_context("spawn").Process(target=work, args=(job,), daemon=True, name="evidence pack")
    process.start()
    process.join(_TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()
        raise PackRefused("too_slow")
    if process.exitcode != 0:
        raise PackRefused("failed")


def new_folder() -> Path:
    """A folder for one pack; `drop_folder` removes it."""
    return Path(tempfile.mkdtemp(prefix="shouwang-evidence-"))


def drop_folder(folder: Path) -> None:
    """Remove a pack's folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
