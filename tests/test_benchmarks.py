"""What the measurements make of their numbers; the measuring itself is `make bench`."""

from pathlib import Path

import pytest

from benchmarks.cost import BEGIN, END, table, write_table
from benchmarks.memory import growth_of

ROWS = [{"series": 1_000, "registry_s": 0.04}, {"series": 1_000_000, "registry_s": 0.5}]
TABLE = "| series | registry, s |\n|---|---|\n| 1,000 | 0.04 |\n| 1,000,000 | 0.5 |"


def test_memory_that_grew_only_in_the_first_half_is_flat() -> None:
    assert growth_of([50, 70, 90, 100, 100, 100, 100, 100]) == 0
    assert growth_of([50, 60, 70, 80, 90, 100, 110, 120]) > 0.2


def test_the_table_stands_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n", encoding="utf-8")
    write_table(page, table(ROWS))
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{TABLE}\n{END}\nbehind\n"


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        write_table(page, TABLE)
    assert page.read_text(encoding="utf-8") == "nothing\n"
