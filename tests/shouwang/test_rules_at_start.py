"""A platform starts under the last rules that held when its packs, files and sheets don't hold together any more."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, update

from core.clock import MINUTE
from core.database import reading, writing
from detectors import sheets
from detectors.rules import RuleErrors, load_packs, load_version, newest_version, record_version
from detectors.tables import rules_sheet, rules_version
from devices.device_types import load_device_types
from ingest.words import RulesChanged
from shouwang import unannounced
from shouwang.rules_at_start import Refused, rules_at_start
from shouwang.unannounced import Unannounced
from tests.servers import wait_until
from tests.shouwang.small_platform import controls, found_town, gateway, measure, rows, running, small_settings, workday
from tests.shouwang.test_rules_live import TOWN

pytestmark = pytest.mark.long

OPEN = "SELECT rule FROM alert WHERE state = 'open'"
NOW = 1_790_000_000_000_000
TYPES = load_device_types()
GONE = "overrides:\n  - {rule: gas.renamed, device: GAS-1, limits: {alarm: 10}}\n"
"""A sheet whose rule an upgrade's packs don't have any more."""


def upgrade(engine: Engine, text: str = GONE) -> None:
    """What an upgrade leaves behind: a sheet that was fine with the packs of then."""
    with writing(engine) as connection:
        row = {"name": "console", "text": text, "at": NOW, "author": "li", "reason": "a dusty road"}
        connection.execute(insert(rules_sheet).values(**row))


def test_rules_that_hold_are_recorded_once_and_nothing_is_refused(engine: Engine) -> None:
    first = rules_at_start(engine, [], TYPES, NOW)
    assert first.refused == []
    assert rules_at_start(engine, [], TYPES, NOW + MINUTE) == first
    assert Refused(engine, first).count() == 0


def test_a_first_start_without_rules_that_hold_is_refused(engine: Engine) -> None:
    upgrade(engine)
    with pytest.raises(RuleErrors, match=r"gas\.renamed"):
        rules_at_start(engine, [], TYPES, NOW)


def test_a_sheet_that_does_not_fit_keeps_the_last_rules_until_it_is_edited(engine: Engine) -> None:
    good = rules_at_start(engine, [], TYPES, NOW)
    upgrade(engine)
    began = rules_at_start(engine, [], TYPES, NOW)
    assert began.version == good.version
    assert "gas.renamed" in began.refused[0]
    refused = Refused(engine, began)
    assert refused.count() == 1
    with writing(engine) as connection, pytest.raises(RuleErrors):
        sheets.edit(connection, "town", TOWN, "li", "another sheet does not mend it", NOW, TYPES)
    assert refused.count() == 1
    with writing(engine) as connection:
        sheets.withdraw(connection, "console", "li", "the rule is gone", NOW, TYPES)
    assert refused.count() == 0


def test_rules_of_an_older_program_learn_of_the_fault_and_stay_themselves(engine: Engine) -> None:
    old = {code: rule for code, rule in load_packs((), TYPES).rules.items() if code != "platform.rules_refused"}
    with writing(engine) as connection:
        record_version(connection, type(load_packs((), TYPES))(0, old), "platform", "the release before", NOW)
    upgrade(engine)
    began = rules_at_start(engine, [], TYPES, NOW)
    with reading(engine) as connection:
        rules = load_version(connection, began.version).rules
        why = connection.scalar(select(rules_version.c.reason).where(rules_version.c.version == began.version))
    assert rules.keys() - old.keys() == {"platform.rules_refused"}
    assert all(rules[code] == rule for code, rule in old.items())
    assert why is not None
    assert "as version 1" in why
    assert rules_at_start(engine, [], TYPES, NOW) == began, "and no version more at the next start"


def test_rules_that_only_another_program_reads_are_left_aside(engine: Engine) -> None:
    good = rules_at_start(engine, [], TYPES, NOW)
    with writing(engine) as connection:
        row = {"digest": "x", "content": '{"gas.leak": {"kind": "oracle"}}', "created_at": NOW, "author": "li"}
        connection.execute(insert(rules_version).values(**row, reason="a newer program"))
    upgrade(engine)
    began = rules_at_start(engine, [], TYPES, NOW)
    with reading(engine) as connection:
        assert newest_version(connection) == began.version > good.version
        assert load_version(connection, began.version).rules == load_version(connection, good.version).rules


def test_rules_of_another_program_are_replaced_where_the_files_hold(engine: Engine) -> None:
    good = rules_at_start(engine, [], TYPES, NOW)
    with writing(engine) as connection:
        connection.execute(update(rules_version).values(content='{"gas.leak": {"kind": "oracle"}}', digest="x"))
    began = rules_at_start(engine, [], TYPES, NOW)
    assert began.refused == []
    assert began.version == good.version + 1


def test_a_town_whose_sheet_broke_still_alarms_and_its_administrator_hears_of_it(tmp_path: Path) -> None:
    clock = workday(10)
    settings = small_settings(tmp_path)
    passwords = found_town(settings, clock)
    with running(settings, clock) as platform:
        engine = platform.engine
        upgrade(engine)
    with running(settings, clock) as platform:
        with gateway(settings, "GW-1", passwords["GW-1"]) as client:
            measure(client, "GAS-1", 60.0, clock.now())
        expected = {"gas.leak", "platform.rules_refused"}  # and the disk may be low here
        wait_until(lambda: expected <= {row[0] for row in rows(platform, OPEN)}, "the leak, and what is wrong", 30)
        with writing(platform.engine) as connection:
            sheets.withdraw(connection, "console", "li", "the rule is gone", clock.now())
        ended = "SELECT rule FROM alert WHERE state = 'closed'"
        wait_until(lambda: ("platform.rules_refused",) in rows(platform, ended), "the end of the fault", 30)
        assert ("gas.leak",) not in rows(platform, ended)


def test_an_edit_is_announced_at_the_second_look_and_only_once(engine: Engine) -> None:
    began = rules_at_start(engine, [], TYPES, NOW)
    journal: list[RulesChanged] = []
    followed = began.version
    looking = Unannounced(engine, journal.append, lambda: followed)
    assert [looking.step(), looking.step()] == [False, False]
    with writing(engine) as connection:
        made = sheets.edit(connection, "town", TOWN, "li", "a trial", NOW, TYPES)
    assert [looking.step() for _ in range(4)] == [False, True, False, False]
    assert journal == [RulesChanged(made)]
    followed = made
    with writing(engine) as connection:
        again = sheets.withdraw(connection, "town", "li", "the trial is over", NOW, TYPES)
    assert [looking.step(), looking.step()] == [False, True]
    assert journal[-1] == RulesChanged(again)


_EDIT_AND_DIE = """
import os, signal, sys
from core.database import open_engine, writing
from detectors import sheets
engine = open_engine(sys.argv[1])
with writing(engine) as connection:
    sheets.edit(connection, "town", sys.argv[2], "li", "a trial", int(sys.argv[3]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_edit_whose_author_is_killed_before_it_is_announced_comes_into_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unannounced, "INTERVAL_S", 0.2)
    clock = workday(10)
    settings = small_settings(tmp_path)
    passwords = found_town(settings, clock)
    with running(settings, clock) as platform:
        with gateway(settings, "GW-1", passwords["GW-1"]) as client:
            measure(client, "GAS-1", 15.0, clock.now())
        before = len(controls(platform))
        command = [sys.executable, "-c", _EDIT_AND_DIE, settings.database_url, TOWN, str(clock.now())]
        assert subprocess.run(command, check=False, timeout=60).returncode == -9
        wait_until(lambda: ("town.gas",) in rows(platform, OPEN), "the alert by the edit", 30)
        with reading(platform.engine) as connection:
            made = newest_version(connection) or 0
        assert [each for each in controls(platform)[before:] if isinstance(each, RulesChanged)] == [RulesChanged(made)]
