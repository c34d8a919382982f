"""`shouwang rules apply | withdraw | history | show` as an operator meets them."""

from pathlib import Path

import pytest

from core.journal import START, RecordKind
from core.sqlite_journal import SqliteJournal
from ingest.words import RulesChanged, decode_control
from tests.shouwang.command_line import query, run

pytestmark = pytest.mark.usefixtures("in_force")
BY = ("--author", "li", "--reason", "after the drill")
SOONER = "overrides:\n- {rule: gas.leak, site: EN-1, dwell: 2s}\n"
LATER = "overrides:\n- {rule: gas.leak, site: EN-1, dwell: 20s}\n"


@pytest.fixture
def in_force(town: Path) -> None:
    run("town", "import", town)
    run("rules", "apply", "--author", "platform", "--reason", "as installed")


def announced() -> list[int]:
    """The versions that the journal told a running platform of."""
    ((registry,),) = query("SELECT id FROM registry")
    journal = SqliteJournal(Path("state/journal.db"), str(registry), ())
    controls = [decode_control(r.payload) for r in journal.read(START, 1000) if r.kind is RecordKind.CONTROL]
    journal.close()
    return [control.version for control in controls if isinstance(control, RulesChanged)]


def write(text: str, name: str = "drill.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_a_file_becomes_a_sheet_and_a_version() -> None:
    said = run("rules", "apply", write(SOONER), *BY).output
    assert "version 2" in said
    assert "li: after the drill" in said
    assert "gas.leak overrides[site=EN-1].dwell: — → 2s" in said
    assert query("SELECT name, author FROM rules_sheet") == [("drill", "li")]
    assert announced() == [1, 2]
    assert "overrides[site=EN-1].dwell" in run("rules", "show", "gas.leak").output
    assert "EN-1" not in run("rules", "show", "gas.leak", "--version", 1).output


def test_the_same_file_again_says_so() -> None:
    run("rules", "apply", write(SOONER), "--name", "en-1", *BY)
    assert "version 2 already" in run("rules", "apply", "drill.yaml", "--name", "en-1", *BY).output
    assert announced() == [1, 2]


def test_errors_name_line_and_column_and_nothing_is_changed() -> None:
    said = run("rules", "apply", write("overrides:\n- {rule: gas.leak, site: EN-1, dwell: soon}\n"), *BY, fails=1)
    assert said.stderr.startswith("drill.yaml:2:32: overrides[0].dwell: 'soon' is no span")
    assert said.stderr.endswith("1 error: nothing was changed\n")
    assert query("SELECT COUNT(*) FROM rules_sheet") == [(0,)]
    assert "is empty" in run("rules", "apply", write(SOONER), "--author", "li", "--reason", " ", fails=1).stderr


def test_a_looser_life_safety_rule_must_be_meant() -> None:
    said = run("rules", "apply", write(LATER), *BY, fails=1).stderr
    assert "gas.leak overrides[site=EN-1].dwell" in said
    assert "--loosen" in said
    assert "(looser)" in run("rules", "apply", "drill.yaml", "--loosen", *BY).output


def test_a_withdrawn_sheet_and_the_history() -> None:
    run("rules", "apply", write(SOONER), *BY)
    said = run("rules", "withdraw", "drill", *BY, fails=1).stderr
    assert "--loosen" in said, "what the sheet made stricter is looser again"
    assert "2s → —" in run("rules", "withdraw", "drill", "--loosen", *BY).output
    assert "no sheet" in run("rules", "withdraw", "drill", *BY, fails=1).stderr
    history = run("rules", "history").output
    assert history.index("version 3") < history.index("version 2") < history.index("version 1")
    assert "version 1" not in run("rules", "history", "--rule", "gas.leak").output
    assert run("rules", "history", 2).output.startswith("version 2")
    assert run("rules", "history", 9, fails=1).stderr == "there is no version 9; the newest is 3\n"
    assert "no rule no.such" in run("rules", "show", "no.such", fails=1).stderr
    assert "did you mean gas.leak?" in run("rules", "show", "gas.leek", fails=1).stderr
    assert "did you mean gas.leak?" in run("rules", "history", "--rule", "gas.leek", fails=1).stderr
    assert "none of these versions" in run("rules", "history", "--rule", "flood.road").output


@pytest.mark.parametrize(
    ("file", "content", "said", "status"),
    [
        ("absent.yaml", None, "does not exist", 2),
        (".", None, "is a directory", 2),
        ("drill.yaml", b"\xff\xfe", "drill.yaml:1:1: is no UTF-8 text", 1),
        ("drill.yaml", b" \n", "shouwang rules withdraw", 1),
        ("Drill 1.yaml", SOONER.encode(), "give one with --name", 1),
        ("drill.yaml", b"# " + b"x" * 100_000, "limits of each device belong in its attributes", 1),
    ],
)
def test_a_file_that_can_be_no_sheet_changes_nothing(file: str, content: bytes | None, said: str, status: int) -> None:
    if content is not None:
        Path(file).write_bytes(content)
    assert said in run("rules", "apply", file, *BY, fails=status).stderr
    assert query("SELECT COUNT(*) FROM rules_sheet") == [(0,)]


def test_changed_files_are_taken_at_once() -> None:
    Path("rules").mkdir()
    write(SOONER, "rules/town.yaml")
    Path("shouwang.toml").write_text('rules = ["rules"]\n' + Path("shouwang.toml").read_text("utf-8"), "utf-8")
    assert "2s" in run("rules", "apply", *BY).output
    assert announced() == [1, 2]
