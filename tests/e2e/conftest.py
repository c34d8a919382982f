"""What tests of whole processes share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.town_under_fire import ROOT
from tests.servers import accepts, free_port, wait_until


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The robot as a process of its own: it does not deduplicate, and it keeps a message before it answers, slowly."""
    port, log = free_port(), tmp_path / "robot.jsonl"
    fake = str(ROOT / "tests" / "fakes" / "wecom_robot.py")
    command = [sys.executable, fake, "--port", str(port), "--log", str(log), "--limit", "1000", "--delay", "0.2"]
    process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    wait_until(lambda: accepts(port), "the robot")
    yield port, log
    process.terminate()
    process.wait(10)
