"""A role runs once on a state folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.lifecycle import PartFailed
from shouwang.role_lock import RoleLocks


def test_a_second_process_is_refused_by_the_roles_name_and_the_firsts_number(tmp_path: Path) -> None:
    first, second = RoleLocks(tmp_path), RoleLocks(tmp_path)
    first.take(["ingest", "store"])
    second.take(["detect"])
    with pytest.raises(PartFailed, match=f"进程 {os.getpid()} (?s:.*)process {os.getpid()} runs the role store"):
        RoleLocks(tmp_path).take(["dispatch", "store"])
    RoleLocks(tmp_path).take(["dispatch"])
    first.release()
    RoleLocks(tmp_path).take(["store"])
    second.release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from shouwang.role_lock import RoleLocks;"
        "RoleLocks(Path(sys.argv[1])).take(['store']); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    RoleLocks(tmp_path).take(["store"])
