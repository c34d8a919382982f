"""The commands on the page about rules work as they are written, one after another, in both languages."""

import re
import shlex
from pathlib import Path

import pytest

from tests.shouwang.command_line import run

PAGES = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("page", ["rules.md", "rules.zh-CN.md"])
def test_a_sheet_is_checked_applied_shown_and_withdrawn_as_the_page_says(page: str, tmp_path: Path) -> None:
    text = (PAGES / page).read_text("utf-8")
    pack = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert pack is not None
    (tmp_path / "town.yaml").write_text(pack[1], "utf-8")
    run("init")
    written = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in written if line.startswith("shouwang rules ")]
    told = {command[2]: run(*command[1:]).output for command in commands if command[2] != "explain"}
    assert told.keys() == {"check", "apply", "history", "show", "withdraw"}
    assert "gas.leak" in told["show"]


@pytest.mark.parametrize("page", ["rules.md", "rules.zh-CN.md"])
def test_a_backtest_is_run_as_the_page_says(page: str, tmp_path: Path) -> None:
    text = (PAGES / page).read_text("utf-8")
    (tmp_path / "town.yaml").write_text("overrides:\n  - {rule: gas.leak, site: S1, limits: {warning: 8}}\n", "utf-8")
    run("init")
    first, of_a_site = re.findall(r"^shouwang backtest .*$", text, re.MULTILINE)
    days = re.findall(r"\d{4}-\d\d-\d\d", first)
    assert len(days) == 2
    assert "没有已存的读数" in run(*shlex.split(first)[1:], fails=1).output, (
        "it judged all that is stored here: nothing"
    )
    assert "EN-0042" in run(*shlex.split(of_a_site)[1:], fails=1).output, "there is no such site here"
