"""`shouwang` and `python -m shouwang`."""

import gc

import pytest

from shouwang import cli
from shouwang.__main__ import main


def test_what_runs_collects_garbage_but_does_not_look_at_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool]] = []
    imported: list[list[int]] = [[number] for number in range(1000)]
    frozen = gc.get_freeze_count()
    monkeypatch.setattr(cli, "app", lambda: seen.append((gc.isenabled(), gc.get_freeze_count() >= frozen + 1000)))
    try:
        main()
    finally:
        gc.freeze()  # as all tests are run
        gc.enable()
    assert seen == [(True, True)]
    assert len(imported) == 1000
