"""The platform as a process of its own whose clock the test moves: how far it is ahead stands in a file.

python tests/e2e/scripted_platform.py STATE/settings.json CLOCK_FILE [ROLE …]
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from core.clock import SystemClock
from shouwang.settings import ROLES, Role, Settings
from shouwang.wiring import build

ROOT = Path(__file__).parents[2]


class FileClock:
    """The machine's clock, ahead by the microseconds that stand in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> int:
        return SystemClock().now() + int(self._file.read_text())

    def set(self, moment: int) -> None:
        """Show `moment` now; whoever reads the file meanwhile sees the old or the new span."""
        draft = self._file.with_suffix(".new")
        draft.write_text(str(moment - SystemClock().now()))
        draft.replace(self._file)


class ScriptedProcess:
    """`build(…).lifecycle.run()` in a process, on a state folder that outlives its deaths."""

    def __init__(self, settings: dict[str, Any], folder: Path, clock: Path, roles: Sequence[Role] = ROLES) -> None:
        self._file = folder / "settings.json"
        self._file.write_text(json.dumps(settings))
        self._log = folder / "run.log"
        self._command = [sys.executable, str(Path(__file__)), str(self._file), str(clock), *roles]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def log(self) -> str:
        """What it said so far, over all its lives."""
        return self._log.read_text(errors="replace")

    def starts(self, part: str) -> int:
        """How often a part of it was started, over all its lives."""
        return sum("started" in line and part in line for line in self.log().splitlines())

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        assert self._process
        assert self._process.poll() is None, f"the platform ended by itself: {self.log()[-2000:]}"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and its end; gone already is gone. What it said is shown with a test that failed."""
        sys.stderr.write(self.log()[-6000:])
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def main(settings: str, clock: str, *roles: str) -> None:
    chosen = cast(tuple[Role, ...], roles or ROLES)
    given = json.loads(Path(settings).read_text())
    build(Settings(**given), FileClock(Path(clock)), chosen).lifecycle.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
