"""What is compiled ahead is all that the first reading needs."""

import os
import subprocess
import sys
from pathlib import Path

_FIRST_READING = """
from tests.detectors.stage import Device, Row, Stage

stage = Stage.of(Device("GAS-1", "gas"), Device("ELE-1", "electrical"))
stage.rows(Row("GAS-1", "gas_lel", 0, 60), Row("ELE-1", "cable_temp", 0, 20))
stage.tick(1)
"""


def test_the_first_reading_of_a_new_process_waits_for_no_compiler(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def run(*arguments: str) -> set[str]:
        subprocess.run([sys.executable, *arguments], env=environment, cwd=Path(__file__).parents[2], check=True)
        return {file.name for file in tmp_path.rglob("*.nbc")}

    ahead = run("-m", "detectors.compiling")
    assert ahead
    assert run("-c", _FIRST_READING) == ahead
