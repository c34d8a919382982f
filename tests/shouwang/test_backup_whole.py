"""Every file that a platform keeps goes with a backup or is known to stay; what comes back opens the same doors."""

import re
import shutil
import stat
from pathlib import Path

import pytest

from core.clock import MILLISECOND
from shouwang.backup import STATE, make_backup
from shouwang.kept_secrets import kept_secret, link_key
from shouwang.restore import restore
from shouwang.settings import Settings
from tests.servers import wait_until
from tests.shouwang.small_platform import found_town, gateway, measure, running, small_settings, values, workday

STAYS = {
    r"shouwang\.db(-wal|-shm)?": "copied as the member database.sqlite",
    r"journal\.db(-wal|-shm)?": "copied as the member journal.sqlite",
    r"models\.db(-wal|-shm)?": "what is normal is learnt anew in two days",
    r"readings\.duckdb(\.wal)?": "readings are backed up by their own means",
    r"\w+\.lock": "tells which process runs",
    r"pulse-\w+\.json": "tells of a process of this machine",
    r"heartbeat\.json": "tells of this machine",
    r"restored\.json": "tells of this folder",
}
"""What of a state folder is in no backup under its own name, and why. A new file that must not be lost isn't here."""


@pytest.fixture
def lived(tmp_path: Path) -> Settings:
    """A town in which every role has run, a reading came in, and people were told by personal links."""
    settings, clock = small_settings(tmp_path), workday(10)
    passwords = found_town(settings, clock)
    with running(settings, clock) as platform, gateway(settings, "GW-1", passwords["GW-1"]) as client:
        measure(client, "GAS-1", 1.0, clock.now() // MILLISECOND)
        wait_until(lambda: values(platform) == [1.0], "the reading in the store")
    return settings


def kept(settings: Settings) -> dict[str, Path]:
    return {file.relative_to(settings.state).as_posix(): file for file in settings.state.rglob("*") if file.is_file()}


def test_every_file_of_a_lived_town_is_in_the_backup_or_known_to_stay(lived: Settings, tmp_path: Path) -> None:
    made = make_backup(lived, None, tmp_path / "kept", workday(11).now())
    inside = {member.name.removeprefix(STATE) for member in made.manifest.members if member.name.startswith(STATE)}
    there = kept(lived)
    assert {"links.secret", "embedded-broker.secret", "safety.snapshot", "gate.snapshot"} <= there.keys()
    forgotten = [name for name in there.keys() - inside if not any(re.fullmatch(each, name) for each in STAYS)]
    assert forgotten == [], "is it in the backup, or does it stay?"
    assert [name for name in inside if any(re.fullmatch(each, name) for each in STAYS)] == []
    unused = [each for each in STAYS if not any(re.fullmatch(each, name) for name in there)]
    assert set(unused) <= {r"heartbeat\.json", r"restored\.json"}, "nothing is called so any more"


def test_what_comes_back_is_the_same_and_its_owners_alone(lived: Settings, tmp_path: Path) -> None:
    (lived.state / "broker-platform.password").write_text("s3cret", encoding="utf-8")
    before = {name: file.read_bytes() for name, file in kept(lived).items() if name.endswith((".secret", ".password"))}
    assert len(before) == 3
    codes = link_key(lived.state)
    made = make_backup(lived, None, tmp_path / "kept", workday(11).now())
    shutil.rmtree(lived.state)
    restore(lived, made.file, workday(12).now(), "head")
    assert link_key(lived.state) == codes, "links on phones open their tickets as before"
    there = kept(lived)
    for name, content in before.items():
        assert (there[name].read_bytes(), stat.S_IMODE(there[name].stat().st_mode)) == (content, 0o600), name
    assert stat.S_IMODE(lived.state.stat().st_mode) == 0o700
    with running(lived, workday(12)):  # on what came back
        pass


def test_a_secret_of_a_later_day_goes_along_too(tmp_path: Path) -> None:
    settings = small_settings(tmp_path)
    found_town(settings, workday(10))
    kept_secret(settings.state / "some-day.secret")
    (settings.state / "deep" / "er").mkdir(parents=True)
    kept_secret(settings.state / "deep" / "er" / "another.key")
    made = make_backup(settings, None, tmp_path / "kept", workday(11).now())
    names = {member.name for member in made.manifest.members}
    assert {f"{STATE}some-day.secret", f"{STATE}deep/er/another.key"} <= names
