"""What is compiled is kept only while nothing that it was compiled from has changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from detectors.jit import digest_of

_ONE = """from detectors.jit import compiled
from pack.sizes import SIZE


@compiled
def one():
    return {number} * SIZE
"""
_TWO = "from detectors.jit import compiled\nfrom pack.one import one\n\n\n@compiled\ndef two():\n    return one() * 2\n"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "one.py").write_text(_ONE.format(number=1))
    (folder / "two.py").write_text(_TWO)
    (folder / "sizes.py").write_text("SIZE = 1\n")
    (folder / "plain.py").write_text("COLOUR = 1\n")
    return folder


def stamp(pack: Path) -> str:
    digest_of.cache_clear()  # a process reads its sources once
    return digest_of(pack)


def test_a_changed_file_with_machine_code_gives_another_stamp(pack: Path) -> None:
    before = stamp(pack)
    assert stamp(pack) == before
    (pack / "plain.py").write_text("COLOUR = 2\n")
    assert stamp(pack) == before, "nothing of it is in the machine code"
    (pack / "one.py").write_text(_ONE.format(number=3))
    after = stamp(pack)
    assert after != before
    (pack / "sizes.py").write_text("SIZE = 2\n")
    assert stamp(pack) != after, "a constant of it is"


def answered(pack: Path) -> tuple[int, int]:
    """What `two` returns in a process of its own, and how many times it was taken from the cache."""
    program = "from pack.two import two; print(two(), sum(two.stats.cache_hits.values()))"
    environment = {
        "PYTHONPATH": f"{pack.parent}:{Path(__file__).parents[2]}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(pack),
    }
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    value, hits = run.stdout.split()
    return int(value), int(hits)


def test_a_caller_is_compiled_anew_when_what_it_calls_has_changed(pack: Path) -> None:
    assert answered(pack) == (2, 0)
    assert answered(pack) == (2, 1)
    (pack / "one.py").write_text(_ONE.format(number=5))
    assert answered(pack) == (10, 0)
    (pack / "sizes.py").write_text("SIZE = 2\n")
    assert answered(pack) == (20, 0)
