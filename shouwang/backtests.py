"""Runs the backtests that wait, one at a time, each in a process of its own; the owner of the store hands it readings.

Nothing heavy runs in a thread of the platform: this side cuts the span into slices and has DuckDB copy them to files.
"""

import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy import Engine

from alerts.owners import this_process
from core.clock import Clock
from core.database import reading, writing
from detectors.backtest_requests import Requested, advance, claim, fail, finish, recover, release, runs, waits
from detectors.backtest_result import Result
from ingest.duckdb_store import DuckDbStore
from ingest.store import ReadingStore, Slice, StoreError
from shouwang.backtest_process import SLICE, Job, Said, work
from shouwang.settings import Settings

LONGEST_S = 2 * 3600.0
"""Seconds after which a backtest is given up."""
_PREFIX = "backtest-"
_PAUSE = 0.5  # s between two looks for work
_LOOK = 0.2  # s between two looks whether to end
_ASK = 1.0  # s between two looks whether it is still wanted
_log = structlog.get_logger()


class BacktestFailed(Exception):
    """A backtest found nothing; the text says why: a code of the console's texts "backtest_error", or errors."""


class BacktestCancelled(Exception):
    """Nobody wants the backtest any more."""


class BacktestStopped(Exception):
    """The platform stops: the backtest is to be run again."""


class Backtests:
    """The worker of the process that owns the readings store."""

    def __init__(self, engine: Engine, store: ReadingStore, settings: Settings, clock: Clock) -> None:
        self._engine, self._store, self._settings, self._clock = engine, store, settings, clock

    def run(self, ending: threading.Event) -> None:
        """Take up what waits until `ending`; what a killed platform left running waits again, once."""
        for left in self._settings.state.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        with writing(self._engine) as connection:
            recover(connection, self._clock.now())
        while not ending.wait(_PAUSE):
            while not ending.is_set() and self.step(ending):
                pass

    def step(self, ending: threading.Event) -> bool:
        """Run the oldest that waits; False when none does."""
        with reading(self._engine) as connection:
            if not waits(connection):
                return False
        now = self._clock.now()
        with writing(self._engine) as connection:
            taken = claim(connection, str(this_process("store", now)), now)
        if taken is not None:
            self._run(taken, ending)
        return taken is not None

    def _run(self, taken: Requested, ending: threading.Event) -> None:
        job = Job(self._settings, taken.text, taken.since, taken.until, tuple(taken.sites), self._clock.now())
        try:
            note, wanted = partial(self._note, taken.id), partial(self._wanted, taken.id)
            result = conduct(job, self._store, ending, note, wanted=wanted)
        except BacktestCancelled:
            _log.info("backtest cancelled", id=taken.id)
        except BacktestStopped:
            with writing(self._engine) as connection:
                release(connection, taken.id)
        except (BacktestFailed, StoreError) as error:
            _log.warning("backtest failed", id=taken.id, why=str(error))
            with writing(self._engine) as connection:
                fail(connection, taken.id, str(error), self._clock.now())
        else:
            with writing(self._engine) as connection:
                finish(connection, taken.id, result, self._clock.now())

    def _wanted(self, number: int) -> bool:
        with reading(self._engine) as connection:
            return runs(connection, number)

    def _note(self, number: int, percent: int) -> None:
        with writing(self._engine) as connection:
            advance(connection, number, percent)


def conduct(
    job: Job,
    store: ReadingStore,
    ending: threading.Event,
    progress: Callable[[int], None] = lambda _: None,
    longest_s: float = LONGEST_S,
    began: Callable[[BaseProcess], None] = lambda _: None,
    wanted: Callable[[], bool] = lambda: True,
) -> Result:
    """Have a job judged in a process of its own and wait for it. `progress` hears of each whole %, `wanted`
    is asked every second.

    `store` is the one that this process owns. Raises BacktestFailed, BacktestCancelled, BacktestStopped when `ending`
    is set, and the store's errors.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(job, theirs), name="backtest", daemon=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=job.settings.state) as folder, ours:
        process.start()
        theirs.close()
        began(process)
        try:
            return _Service(job, store, ours, process, Path(folder)).serve(ending, progress, longest_s, wanted)
        finally:
            process.kill()
            process.join()


class _Service:
    """Answers one process."""

    def __init__(self, job: Job, store: ReadingStore, pipe: Connection, process: BaseProcess, folder: Path) -> None:
        self._job, self._store, self._pipe, self._process, self._folder = job, store, pipe, process, folder
        self._series: npt.NDArray[np.int32] | None = None
        self._slices: list[Slice] = []
        self._given = 0
        self._asked = 0.0
        self._wanted: Callable[[], bool] = lambda: True

    def serve(
        self,
        ending: threading.Event,
        progress: Callable[[int], None],
        longest_s: float,
        wanted: Callable[[], bool],
    ) -> Result:
        """Until the result is there."""
        self._wanted, self._asked = wanted, time.monotonic()
        until, told = time.monotonic() + longest_s, 0
        while True:
            said = self._next(ending, until)
            if said.what == "series":
                self._cut(said.body)
            elif said.what == "next":
                self._hand_over()
            elif said.what == "progress" and isinstance(said.body, int) and said.body > told:
                told = said.body
                progress(told)
            elif said.what == "failed":
                raise BacktestFailed(str(said.body))
            elif said.what == "done" and isinstance(said.body, bytes):
                return msgspec.json.decode(said.body, type=Result)

    def _next(self, ending: threading.Event, until: float) -> Said:
        while True:
            if ending.is_set():
                raise BacktestStopped
            if time.monotonic() - self._asked > _ASK:
                self._asked = time.monotonic()
                if not self._wanted():
                    raise BacktestCancelled
            if time.monotonic() > until:
                raise BacktestFailed("too_slow")
            try:
                if self._pipe.poll(_LOOK):
                    said: Said = self._pipe.recv()
                    return said
            except (EOFError, ConnectionResetError):
                self._process.join()
                _log.warning("the process of a backtest ended by itself", exit_code=self._process.exitcode)
                raise BacktestFailed("process_ended") from None

    def _cut(self, series: object) -> None:
        self._series = series if isinstance(series, np.ndarray) else None
        self._slices = self._store.slices(self._series, self._job.since, self._job.until, SLICE)
        self._pipe.send(self._slices)

    def _hand_over(self) -> None:
        if not isinstance(self._store, DuckDbStore):
            raise BacktestFailed("only a store in a file is handed over in files")
        piece, file = self._slices[self._given], self._folder / f"{self._given}.parquet"
        self._store.export(self._series, piece.since, piece.until, file)
        self._given += 1
        self._pipe.send(str(file))
