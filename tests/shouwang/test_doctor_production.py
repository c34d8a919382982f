"""What the doctor says, in both languages, of what a town in service needs."""

import os
import re
from pathlib import Path

import pytest

from core.clock import HOUR, MINUTE, SECOND, SystemClock
from shouwang.findings import Finding, Standing
from shouwang.healthy import Beat, pulse_file, why_unwell
from shouwang.production_findings import production_findings
from shouwang.pulse import (
    DATABASE_AWAY,
    STANDSTILLS,
    console_why,
    detection_why,
    dispatch_why,
    ingest_why,
    store_why,
)
from shouwang.pulse_words import words_of_pulse
from shouwang.restored import MARKER
from shouwang.settings import Settings
from tests.servers import free_port
from tests.shouwang.command_line import run

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def found(**settings: object) -> dict[str, Finding]:
    made = Settings(state=Path("state"), **settings)  # type: ignore[arg-type]
    return {each.what: each for each in production_findings(made, Path("shouwang.toml"), SystemClock())}


@pytest.fixture
def fresh(folder: None) -> None:
    """A platform that was just made."""
    run("init")


def test_it_speaks_chinese_first_and_english_by_choice(fresh: None) -> None:
    chinese = run("doctor").output.splitlines()
    assert all(CHINESE.search(line.partition("  ")[0]) for line in chinese)
    assert any(line.startswith("注意  备份：") for line in chinese)
    names = [line.partition("  ")[2].partition("：")[0] for line in chinese]
    assert [name for name in names if not CHINESE.search(name) and name != "Grafana"] == []
    english = run("doctor", "--language", "en").output
    assert not CHINESE.search(english)
    assert "doubtful backup: none in state/backups: run `shouwang backup` each day" in english
    assert len(english.splitlines()) == len(chinese)


def test_everything_that_is_not_good_is_said_in_both_languages(fresh: None) -> None:
    for each in found().values():
        assert each.standing is Standing.GOOD or (each.zh and CHINESE.search(each.zh)), each


def test_a_backup_must_be_of_today_and_lie_elsewhere(fresh: None) -> None:
    assert "none in" in found()["backup"].text
    run("backup")
    assert "on the same disk" in found()["backup"].text
    file = next(Path("state/backups").glob("*.gz"))
    before = SystemClock().now() // SECOND - 30 * HOUR // SECOND
    os.utime(file, (before, before))
    finding = found()["backup"]
    assert finding.standing is Standing.DOUBTFUL
    assert "does its timer still run?" in finding.text


def test_settings_that_others_can_read_are_told(fresh: None) -> None:
    assert "settings" not in found()
    Path("shouwang.toml").chmod(0o644)
    assert (
        found()["settings"].text
        == "shouwang.toml can be read by others, and may hold passwords: chmod 600 shouwang.toml"
    )


def test_settings_of_another_owner_are_mended_by_who_owns_them(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    Path("shouwang.toml").chmod(0o640)
    assert "settings" not in found(), "root's, and our group's: to close it would shut ourselves out"
    Path("shouwang.toml").chmod(0o644)
    assert found()["settings"].text.endswith(": sudo chmod o= shouwang.toml")


def test_links_must_lead_somewhere_and_not_in_the_clear(fresh: None) -> None:
    assert "base_url is not set" in found()["console"].text
    assert "in clear" in found(console={"base_url": "http://town.example"})["console"].text
    assert "console" not in found(console={"base_url": "https://town.example"})


def test_a_restore_that_was_cut_short_and_a_role_that_stands_still(fresh: None) -> None:
    (Path("state") / MARKER).touch()
    assert found()["restore"].standing is Standing.BROKEN
    pulse_file(Path("state"), "store").write_text('{"at": 1, "why": ""}')
    now = SystemClock().now()
    pulse_file(Path("state"), "detect").write_text(f'{{"at": {now}, "why": "detection_behind"}}')
    told = found()
    assert told["role store"].text.startswith("nothing was heard of it for ")
    assert told["role detect"].standing is Standing.BROKEN
    assert told["role detect"].text.startswith("detection is more than a minute behind: see its log, start it again")


def test_every_reason_of_a_role_has_words_and_a_restart_is_advised_where_it_helps() -> None:
    reasons = {
        ingest_why(False, 0, MINUTE), ingest_why(False, 0, 0), detection_why(0, 0), detection_why(1, HOUR),
        store_why(0, HOUR), dispatch_why(None, []), dispatch_why(1, []), dispatch_why(0, ["robot"]),
        console_why(free_port()), "console_answers_503", DATABASE_AWAY, why_unwell(None, 0),
        why_unwell(Beat(0, ""), HOUR),
    }  # fmt: skip
    for why in reasons - {""}:
        said = words_of_pulse("detect", why)
        assert CHINESE.search(said.zh)
        assert "_" not in said.en.replace("shouwang@", "")
        assert ("restart" in said.en) == why.startswith((*STANDSTILLS, "no_pulse", "never"))
    assert "robot" in words_of_pulse("dispatch", dispatch_why(0, ["robot"])).zh


def test_accounts_and_contacts(town: Path) -> None:
    assert "one-time password" in found()["accounts"].text
    assert "nobody can be told" in found()["people"].text
    for name, text in {
        "teams.csv": "code,name,grid\nT1,队,G02\n",
        "people.csv": "code,name,role,phone,wecom_userid,team,station,shift,skills\nP1,张,patroller,138,,T1,,all,\n",
        "contacts.csv": "owner_kind,owner,channel,address\nperson,P1,robot,https://x.example\n",
    }.items():
        (town / name).write_text(text, encoding="utf-8")
    run("town", "import", town)
    assert "1 contacts name the channel robot" in found()["people"].text


def test_a_grafana_that_is_away_is_told(fresh: None) -> None:
    away = found(grafana={"url": f"http://127.0.0.1:{free_port()}", "token": "t"})["grafana"]
    assert away.standing is Standing.DOUBTFUL
    assert "Alerts go on" in away.text
