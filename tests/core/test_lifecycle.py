"""Order of start and stop, and a supervisor that brings a failed task back."""

import threading

import pytest

from core.lifecycle import Cleanup, Lifecycle, Worker


class Recorded:
    def __init__(self, name: str, log: list[str], broken: bool = False) -> None:
        self.name, self._log, self._broken = name, log, broken

    def start(self) -> None:
        if self._broken:
            raise OSError("port in use")
        self._log.append(f"+{self.name}")

    def stop(self, timeout: float) -> None:
        self._log.append(f"-{self.name}")


def test_last_in_first_out():
    log: list[str] = []
    parts = [Recorded("journal", log), Cleanup("flush", lambda: log.append("flush")), Recorded("broker", log)]
    lifecycle = Lifecycle(parts)
    lifecycle.start()
    lifecycle.stop()
    assert log == ["+journal", "+broker", "-broker", "flush", "-journal"]


def test_a_part_that_cannot_start_stops_what_stands():
    log: list[str] = []
    with pytest.raises(OSError, match="port in use"):
        Lifecycle([Recorded("journal", log), Recorded("broker", log, broken=True)]).start()
    assert log == ["+journal", "-journal"]


def test_a_failed_task_runs_again_and_is_counted():
    runs, failures, done = [], [], threading.Event()

    def work(ending: threading.Event) -> None:
        runs.append(threading.current_thread().name)
        if len(runs) < 3:
            raise ValueError("a bug")
        done.set()
        ending.wait()

    worker = Worker("consumer", work, failures.append)
    worker.start()
    assert done.wait(5)
    worker.stop(5)
    assert runs == ["consumer"] * 3
    assert failures == ["consumer"] * 2
