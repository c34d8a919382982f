import os
import subprocess
import sys

import pytest

from alerts.owners import LEASE, Owner, process_runs, this_process, why_gone
from tests.alerts.notices.notice_rows import NOW, owner

ME = owner(pid=10, thread="robot")
OTHER_HOST = owner(pid=11, host="town-2")


def _runs(pid: int) -> bool:
    return pid == 20


@pytest.mark.parametrize(
    ("other", "alone", "since", "reason"),
    [
        (ME, False, NOW, "left_by_myself"),
        (ME._replace(thread="phone"), True, NOW - 2 * LEASE, None),
        (owner(pid=11), True, NOW, "role_runs_once"),
        (OTHER_HOST, True, NOW, "role_runs_once"),
        (owner(pid=11), False, NOW, "process_ended"),
        (owner(pid=10, started=6), False, NOW, "process_ended"),
        (owner(pid=20), False, NOW, None),
        (owner(pid=20), False, NOW - LEASE, "lease_over"),
        (OTHER_HOST, False, NOW - LEASE + 1, None),
        (OTHER_HOST, False, NOW - LEASE, "lease_over"),
        (owner(role="all", pid=20), True, NOW, None),
    ],
)
def test_when_an_owner_is_gone(other: Owner, alone: bool, since: int, reason: str | None) -> None:
    assert why_gone(other, ME, since, NOW, alone=alone, runs=_runs) == reason


def test_this_process_runs_and_one_that_ended_does_not() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process_runs(os.getpid())
    assert not process_runs(ended.pid)


def test_an_owner_fits_its_column_and_comes_back_from_text() -> None:
    mine = this_process("dispatch" * 10, NOW, "robot" * 10)
    assert len(str(mine)) <= 120
    assert Owner.parse(str(mine)) == mine
    assert Owner.parse(str(owner(host="::1"))).host == "::1"
