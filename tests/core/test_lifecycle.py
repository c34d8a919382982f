"""Order of start and stop, and a supervisor that brings a failed task back."""

import threading
import time

import pytest

import core.lifecycle
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


def test_a_fault_after_a_good_run_is_mended_as_soon_as_the_first(monkeypatch):
    monkeypatch.setattr(core.lifecycle, "_LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(core.lifecycle, "_FIRST_PAUSE", 0.01)
    failed_at: list[float] = []
    begun_at: list[float] = []

    def work(ending: threading.Event) -> None:
        begun_at.append(time.monotonic())
        ending.wait(0.25 if len(begun_at) == 7 else 0)
        failed_at.append(time.monotonic())
        raise ValueError("a bug")

    worker = Worker("consumer", work)
    worker.start()
    while len(begun_at) < 8:
        time.sleep(0.01)
    worker.stop(5)
    pauses = [begun - failed for begun, failed in zip(begun_at[1:], failed_at, strict=False)]
    assert pauses[5] >= 0.2, "it grew to the longest"
    assert pauses[6] < 0.1, "and began anew"


def test_all_stop_within_the_time_even_when_some_hang():
    ending, given = threading.Event(), []

    class Hanging(Recorded):
        def stop(self, timeout: float) -> None:
            given.append(timeout)
            ending.wait(timeout)

    lifecycle = Lifecycle([Hanging(str(number), []) for number in range(12)], drain=0.4)
    lifecycle.start()
    began = time.monotonic()
    lifecycle.stop()
    assert sum(given) <= 0.4
    assert time.monotonic() - began < 2, "twelve that were all given the whole time would take five"
    assert given[0] == pytest.approx(0.2, abs=0.05)


def test_a_part_that_fails_to_stop_keeps_no_other_from_it():
    log: list[str] = []

    def fail() -> None:
        raise OSError("disk gone")

    lifecycle = Lifecycle([Recorded("database", log), Cleanup("journal", fail), Recorded("broker", log)])
    lifecycle.start()
    with pytest.raises(OSError, match="disk gone"):
        lifecycle.stop()
    assert log == ["+database", "+broker", "-broker", "-database"]
    lifecycle.stop()
    assert log[-1] == "-database", "nothing is stopped twice"
