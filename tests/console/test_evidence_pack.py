import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import Engine, insert, select, update

from alerts import tables
from alerts.case_file import spans_of
from console import evidence_work
from console.case_pdf import printable
from console.case_sheets import READINGS, TIMELINE
from console.evidence_work import Job, Kept, PackRefused, collect, make_pack, units_of, write
from core.clock import SECOND, ManualClock
from core.database import reading, writing
from devices.tables import series
from ingest.duckdb_store import DuckDbStore
from tests.console.console_scene import TYPES, Town
from tests.console.evidence_scene import MOBILE, SECRET, fill_store, jpeg, make_case

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def town(engine: Engine) -> Town:
    return Town(engine, ManualClock(NOW))


@pytest.fixture
def lel(town: Town) -> int:
    with reading(town.engine) as connection:
        return int(min(connection.scalars(select(series.c.number).where(series.c.device == "GAS-0001"))))


def pack(
    town: Town, folder: Path, number: str, lel: int = -1, language: str = "zh", phones: bool = False
) -> zipfile.ZipFile:
    """The pack, made in this process."""
    folder.mkdir()
    kept: Kept = ()
    why = "left_out"
    if lel >= 0:
        store = DuckDbStore(folder / "readings.duckdb").open()
        fill_store(store, lel, NOW)
        with reading(town.engine) as connection:
            spans = spans_of(connection, number, NOW)
        assert spans is not None
        kept, why = collect(store, spans, NOW, units_of(town.engine, TYPES, spans), folder), ""
        store.close()
    database = town.engine.url.render_as_string(hide_password=False)
    to = folder / "evidence.zip"
    write(Job(database, (number, language, phones, NOW + SECOND), kept, why, to))
    return zipfile.ZipFile(to)


def text_of(packed: zipfile.ZipFile) -> str:
    pages = PdfReader(io.BytesIO(packed.read("case.pdf"))).pages
    return "".join(page.extract_text() for page in pages).replace("\n", "")


def table(packed: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    """The rows of a Chinese pack by the English names of their columns."""
    heads = TIMELINE if name == "timeline.csv" else READINGS
    head, *found = csv.reader(io.StringIO(packed.read(name).decode("utf-8-sig")))
    assert head == list(heads["zh"])
    return [dict(zip(heads["en"], row, strict=True)) for row in found]


def test_the_case_file_says_what_happened(town: Town, tmp_path: Path, lel: int) -> None:
    number = make_case(town, lel)["number"]
    said = text_of(pack(town, tmp_path / "a", number, lel))
    for each in ("案件卷宗", number, "可燃气体", "紧急", "示例点位 01", "示例村", "物联感知", "张三", "已处置", "接单"):
        assert each in said
    assert "申请延期：等配件" in said
    for each in ("62.5", "%LEL", "gas.leak", "规则版本 1", "GB", "网格员 G01-01", "138****5678", "SHA-256"):
        assert each in said
    assert "[U+1F525]" in said


def test_phones_are_masked_and_robots_addresses_never_shown(town: Town, tmp_path: Path) -> None:
    number = make_case(town)["number"]
    packed = pack(town, tmp_path / "a", number)
    whole = pack(town, tmp_path / "b", number, phones=True)
    for name in ("case.pdf", "timeline.csv"):
        hidden = text_of(packed) if name == "case.pdf" else packed.read(name).decode()
        shown = text_of(whole) if name == "case.pdf" else whole.read(name).decode()
        assert MOBILE not in hidden
        assert MOBILE in shown
        assert SECRET not in shown
        assert "0123456789abcdef" not in shown
        assert f"138****{MOBILE[-4:]}" in hidden


def test_english_by_choice(town: Town, tmp_path: Path, lel: int) -> None:
    number = make_case(town, lel)["number"]
    said = text_of(pack(town, tmp_path / "a", number, language="en"))
    for each in ("Case file", "Sample site 01", "Life-safety", "Handled", "Critical", "Readings are not included"):
        assert each in said


def test_no_code_stands_where_a_word_belongs(town: Town, tmp_path: Path) -> None:
    number = make_case(town)["number"]
    packed = pack(town, tmp_path / "a", number)
    said = text_of(packed).replace(" ", "")
    assert "default-1紧急：接单5分钟，到场30分钟，处置2小时" in said
    assert "accept5min" not in said
    rows = table(packed, "timeline.csv")
    queued = [each for each in rows if each["what"] == "通知入队"]
    assert {each["reason"] for each in queued} <= {"派单", "申请延期"}
    assert queued
    assert not [each["reason"] for each in rows if each["reason"].isascii() and each["reason"]]
    assert "platform" not in {each["who"] for each in rows}
    assert "on scene" not in packed.read("timeline.csv").decode()
    english = pack(town, tmp_path / "b", number, language="en")
    assert "accept5min" in text_of(english).replace(" ", "")
    assert english.read("timeline.csv").decode("utf-8-sig").startswith("utc,local,what,who")


def test_readings_have_their_quality_in_words_and_both_times(town: Town, tmp_path: Path, lel: int) -> None:
    number = make_case(town, lel)["number"]
    rows = table(pack(town, tmp_path / "a", number, lel), "readings.csv")
    assert len(rows) == 420
    assert rows[0]["utc"] == "2026-09-21T13:03:20.000000Z"
    assert rows[0]["local"] == "2026-09-21T21:03:20.000000+08:00"
    assert {row["unit"] for row in rows} == {TYPES["gas"].metrics[rows[0]["metric"]].unit}
    assert {row["quality"] for row in rows} == {"正常"}
    assert float(rows[-1]["value"]) == 60.0


def test_the_sums_are_right_and_what_checks_them_accepts_them(town: Town, tmp_path: Path, lel: int) -> None:
    number = make_case(town, lel)["number"]
    packed = pack(town, tmp_path / "a", number, lel)
    names = packed.namelist()
    assert names[0] == "case.pdf"
    assert names[-1] == "SHA256SUMS"
    photo = next(name for name in names if name.startswith("photos/"))
    assert packed.read(photo) == jpeg()
    assert hashlib.sha256(jpeg()).hexdigest()[:12] in photo
    out = tmp_path / "out"
    packed.extractall(out)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(names) - 1


def test_the_same_case_at_the_same_moment_makes_the_same_bytes(town: Town, tmp_path: Path, lel: int) -> None:
    number = make_case(town, lel)["number"]
    made = [pack(town, tmp_path / name, number, lel).filename for name in ("a", "b")]
    first, second = (Path(str(each)).read_bytes() for each in made)
    assert first == second


def test_the_timeline_is_in_order_and_no_text_is_a_formula(town: Town, tmp_path: Path) -> None:
    row = make_case(town)
    with writing(town.engine) as connection:
        entry = {"ticket": row["id"], "at": NOW, "who": "disp", "action": "note", "to_status": "handled"}
        connection.execute(insert(tables.ticket_log).values(entry | {"reason": "x", "opinion": "=1+1"}))
    rows = table(pack(town, tmp_path / "a", row["number"]), "timeline.csv")
    assert [each["utc"] for each in rows] == sorted(each["utc"] for each in rows)
    assert "'=1+1" in {each["said"] for each in rows}
    assert {"接单", "到场", "处置完成"} <= {each["what"] for each in rows}


def test_what_the_font_lacks_is_named() -> None:
    assert printable("a\u202e龘䶮\U0001f525\nb") == "a[U+202E][U+9F98]䶮[U+1F525] b"


def test_a_large_case_fits(town: Town, tmp_path: Path) -> None:
    row = make_case(town)
    with writing(town.engine) as connection:
        entry = {"ticket": row["id"], "at": NOW, "who": "disp", "action": "note", "to_status": "handled"}
        connection.execute(insert(tables.ticket_log), [entry | {"reason": "x", "opinion": "长" * 3000}] * 230)
    packed = pack(town, tmp_path / "a", row["number"])
    said = text_of(packed)
    assert "全文见 timeline.csv" in said
    assert "另有" in said
    assert sum(each["said"] == "长" * 3000 for each in table(packed, "timeline.csv")) == 230


def test_a_missing_extra_is_said(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setattr("console.evidence_work.find_spec", lambda name: None)
    with pytest.raises(PackRefused, match="no_reports"):
        make_pack(town.engine, None, TYPES, ("x", "zh", False, NOW), tmp_path)


def test_a_drill_says_so_on_every_page(town: Town, tmp_path: Path) -> None:
    row = make_case(town)
    with writing(town.engine) as connection:
        connection.execute(update(tables.ticket).values(source="drill"))
    pages = PdfReader(io.BytesIO(pack(town, tmp_path / "a", row["number"]).read("case.pdf"))).pages
    assert all("演练：并未发生真实事件" in page.extract_text() for page in pages)


def test_a_process_that_fails_or_takes_too_long_is_told(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = make_case(town)["number"]
    wanted = (number, "zh", False, NOW)
    with pytest.raises(PackRefused, match="failed"):
        make_pack(town.engine, None, TYPES, wanted, tmp_path / "missing")
    monkeypatch.setattr(evidence_work, "_TIMEOUT", 0.01)
    with pytest.raises(PackRefused, match="too_slow"):
        make_pack(town.engine, None, TYPES, wanted, tmp_path)
    monkeypatch.setattr(evidence_work, "_PATIENCE", 0.01)
    with evidence_work._one, pytest.raises(PackRefused, match="busy"):
        make_pack(town.engine, None, TYPES, wanted, tmp_path)


def test_an_unknown_ticket_has_no_pack(town: Town, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match="no_ticket"):
        make_pack(town.engine, None, TYPES, ("20200101-0001", "zh", False, NOW), tmp_path)
