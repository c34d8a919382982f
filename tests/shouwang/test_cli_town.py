"""`shouwang town` as an operator meets it: previews, imports, exports and the gateways' passwords."""

import filecmp
import re
import stat
from pathlib import Path

import pytest

from core.journal import START, RecordKind
from core.sqlite_journal import SqliteJournal
from devices.credentials import verify
from ingest.words import RegistryChanged, decode_control
from tests.devices.town_folder import spoil
from tests.shouwang.command_line import query, run

WANGTING = Path(__file__).parents[2] / "examples" / "wangting"

pytestmark = pytest.mark.usefixtures("folder")


def test_the_example_town_previewed_imported_and_unchanged() -> None:
    run("init")
    previewed = run("town", "import", WANGTING, "--preview").output
    assert "nothing was written: this was a preview" in previewed
    devices = len((WANGTING / "devices.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert re.search(rf"devices +{devices} added, 0 changed, 0 retired, 0 unchanged", previewed)
    assert query("SELECT count(*) FROM device") == [(0,)]
    applied = run("town", "import", WANGTING).output
    assert applied.endswith("applied\n")
    assert applied.splitlines()[:-1] == previewed.splitlines()[:-1], "the preview told what was done"
    version = query("SELECT version FROM registry")
    again = run("town", "import", WANGTING).output
    assert not re.search(r"[1-9]\d* (added|changed|retired)", again)
    assert query("SELECT version FROM registry") == version
    assert announced() == [version[0][0]]


def announced() -> list[int]:
    """The registry versions that the journal tells a running platform."""
    ((registry,),) = query("SELECT id FROM registry")
    journal = SqliteJournal(Path("state/journal.db"), str(registry), ())
    records = [record for record in journal.read(START, 1000) if record.kind is RecordKind.CONTROL]
    journal.close()
    controls = [decode_control(record.payload) for record in records]
    return [control.version for control in controls if isinstance(control, RegistryChanged)]


def test_a_change_is_told_column_by_column(town: Path) -> None:
    run("town", "import", town)
    spoil(town, "devices.csv", "GAS-1", state="in_service")
    assert "~ GAS-1: state: 'commissioning' → 'in_service'" in run("town", "import", town).output


def test_a_preview_names_what_it_would_retire_and_shortens_what_is_long(town: Path) -> None:
    run("town", "import", town)
    lines = (town / "devices.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("GAS-1,")]
    (town / "devices.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    told = run("town", "import", town, "--prune", "--preview", "--crs", "gcj02").output
    assert "  - GAS-1\n" in told
    assert "polygon: '{" in told
    assert max(map(len, told.splitlines())) < 300


def test_an_unknown_datum_is_told_once(town: Path) -> None:
    said = run("town", "import", town, "--crs", "nad27", fails=1).stderr
    assert said == "unknown datum 'nad27': choose from wgs84, cgcs2000, gcj02, bd09\n"


def test_an_import_with_faults_tells_all_and_writes_nothing(town: Path) -> None:
    spoil(town, "devices.csv", "GAS-1", type="gass")
    spoil(town, "devices.csv", "WTR-1", gateway="GW-9")
    spoil(town, "sites.csv", "RD-1", kind="bridge")
    said = run("town", "import", town, fails=1).stderr
    places = [line.split(":")[0] for line in said.splitlines()]
    assert places == ["sites.csv, row 2, kind", "devices.csv, row 2, gateway", "devices.csv, row 3, type"]
    assert query("SELECT count(*) FROM village") == [(0,)]
    assert announced() == []


def test_an_export_brings_the_same_town_back(town: Path, tmp_path: Path) -> None:
    run("town", "import", town)
    run("town", "export", "out")
    again = run("town", "import", "out").output
    assert not re.search(r"[1-9]\d* (added|changed|retired)", again)
    run("town", "export", "twice")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert filecmp.cmpfiles("out", "twice", names, shallow=False) == (names, [], [])


def test_gateways_passwords_are_shown_once_and_stored_as_hashes(town: Path) -> None:
    run("town", "import", town)
    code, password = run("town", "password", "GW-1").output.strip().split(",")
    ((hashed,),) = query("SELECT password_hash FROM gateway WHERE code = 'GW-1'")
    assert code == "GW-1"
    assert verify(str(hashed), password)
    assert password.encode() not in Path("state/shouwang.db").read_bytes()
    assert len(announced()) == 2, "a running platform hears of it"


def test_passwords_in_a_file_are_for_its_owner_alone(town: Path) -> None:
    run("town", "import", town)
    said = run("town", "password", "GW-1", "--file", "passwords.csv").output
    file = Path("passwords.csv")
    code, password = file.read_text(encoding="utf-8").strip().split(",")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert code == "GW-1"
    assert password not in said
    assert verify(str(query("SELECT password_hash FROM gateway")[0][0]), password)


@pytest.mark.parametrize("file", ["taken.csv", "missing/passwords.csv"])
def test_passwords_that_cannot_be_written_leave_the_old_ones(town: Path, file: str) -> None:
    Path("taken.csv").touch()
    run("town", "import", town)
    run("town", "password", "GW-1")
    before = query("SELECT password_hash FROM gateway")
    assert file in run("town", "password", "GW-1", "--file", file, fails=1).stderr
    assert query("SELECT password_hash FROM gateway") == before


def test_a_gateway_that_is_unknown_changes_no_password(town: Path) -> None:
    run("town", "import", town)
    said = run("town", "password", "GW-1", "GW-9", "--file", "passwords.csv", fails=1).stderr
    assert said == "there is no gateway GW-9 in service: nothing was changed\n"
    assert query("SELECT password_hash FROM gateway") == [("",)]
    assert not Path("passwords.csv").exists()
