"""Sends curves after notices: drawn in a process of its own, since drawing holds Python for a fifth of a second."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures import TimeoutError as DrawingTooLong
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from threading import Event as Signal

import numpy as np
import structlog
from sqlalchemy import Engine

from alerts.channels import Channel, PictureChannel
from alerts.curves import Curve, drawn
from alerts.measurements import Language
from alerts.picturing import Pictures
from core.clock import Clock
from ingest.store import ReadingStore

IDLE = 1.0  # s between two looks
_PATIENCE = 30.0  # s that one picture may take; the first one starts the process
_LOOK = 0.5  # s between two looks at whether the platform ends
_DRAWN_BY_ONE = 500
_log = structlog.get_logger()


def can_draw() -> bool:
    """Whether the extra [reports] is installed."""
    return find_spec("matplotlib") is not None


class Draughtsman:
    """Draws in a process that starts with the first picture and is replaced when it breaks, until `ending`."""

    def __init__(self, ending: Signal) -> None:
        self._ending = ending
        self._process: ProcessPoolExecutor | None = None

    def draw(self, curve: Curve, until: int, language: Language) -> bytes | None:
        """The picture; None when it could not be drawn in time, or the platform ends before it is."""
        if self._process is None:
            self._process = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=_DRAWN_BY_ONE)
        try:
            drawing = self._process.submit(drawn, curve, until, language)
            for _ in range(round(_PATIENCE / _LOOK)):
                if self._ending.is_set() or wait([drawing], _LOOK).done:
                    break
            return drawing.result(0)
        except (BrokenProcessPool, DrawingTooLong) as error:
            _log.warning("a picture was not drawn", why=type(error).__name__)
            self.close()
            return None

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.shutdown(wait=False, cancel_futures=True)
            self._process = None


def picturing(
    engine: Engine, channels: Sequence[Channel], store: ReadingStore, clock: Clock, language: Language
) -> Callable[[Signal], None] | None:
    """The worker that sends pictures; None where no channel takes one, or none can be drawn."""
    taking = [channel for channel in channels if isinstance(channel, PictureChannel) and channel.takes_pictures]
    if not taking or not can_draw():
        return None

    def readings(series: int, since: int, until: int) -> tuple[Sequence[int], Sequence[float]]:
        found = store.rows(np.array([series], np.int32), since, until)
        return found.at.tolist(), found.value.tolist()

    def work(ending: Signal) -> None:
        draughtsman = Draughtsman(ending)
        pictures = Pictures(engine, taking, readings, draughtsman.draw, clock, language)
        try:
            while not ending.is_set():
                if not pictures.step(clock.now()):
                    ending.wait(IDLE)
        finally:
            draughtsman.close()

    return work
