"""Edits of rules under a running platform, from here and from another process: held values meet the new limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import Clock
from core.database import writing
from detectors import sheets
from ingest.words import RulesChanged
from shouwang.announcing import announce_rules
from shouwang.settings import Settings
from shouwang.wiring import Platform
from tests.servers import wait_until
from tests.shouwang.small_platform import controls, found_town, gateway, measure, rows, running, small_settings, workday

pytestmark = pytest.mark.long

OPEN = "SELECT rule, rules_version FROM alert WHERE state = 'open' AND rule LIKE '%gas%' ORDER BY id"
TOWN = """
rules:
  town.gas:
    kind: threshold
    device_types: [gas]
    metric: gas_lel
    unit: "%LEL"
    limits: {warning: 12}
    hazard: gas
    category: 安全生产
    class_code: E04
    title_zh: 微量燃气
    title_en: A little gas
    advice_zh: 测
    advice_en: Measure
    basis: K
"""


class Town:
    """A platform's settings, clock and passwords, and edits as any process makes them."""

    def __init__(self, folder: Path) -> None:
        self.clock: Clock = workday(10)
        self.settings: Settings = small_settings(folder)
        self.passwords = found_town(self.settings, self.clock)

    def level(self, level: float) -> None:
        """GAS-1 measures `level` now."""
        with gateway(self.settings, "GW-1", self.passwords["GW-1"]) as client:
            measure(client, "GAS-1", level, self.clock.now())


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def platform(town: Town) -> Iterator[Platform]:
    with running(town.settings, town.clock) as platform:
        yield platform


def test_a_held_value_is_judged_by_a_lowered_limit_at_the_next_tick(town: Town, platform: Platform) -> None:
    town.level(15.0)
    wait_until(lambda: rows(platform, "SELECT last_received_at FROM gateway_report") != [], "the reading", 20)
    assert rows(platform, OPEN) == []
    fields = {"limits": {"alarm": 10, "critical": 40}, "recovery": 8, "dwell": "1s"}
    with writing(platform.engine) as connection:
        by = ("li", "after the drill", town.clock.now())
        version = sheets.set_override(connection, "gas.leak", ("device", "GAS-1"), fields, *by)
    sheets.announce(platform.engine, platform.control)
    wait_until(lambda: rows(platform, OPEN) != [], "the alert of the held value", 20)
    assert rows(platform, OPEN) == [("gas.leak", version)]
    assert controls(platform)[-1] == RulesChanged(version)


def test_a_withdrawn_rule_clears_and_another_process_is_heard(town: Town, platform: Platform) -> None:
    with writing(platform.engine) as connection:
        made = sheets.edit(connection, "town", TOWN, "li", "a trial", town.clock.now())
    announce_rules(town.settings)  # as a command does, by the journal
    town.level(15.0)
    wait_until(lambda: rows(platform, OPEN) == [("town.gas", made)], "the alert by the new rule", 20)
    with writing(platform.engine) as connection:
        sheets.withdraw(connection, "town", "li", "the trial is over", town.clock.now())
    announce_rules(town.settings)
    wait_until(lambda: rows(platform, OPEN) == [], "the end of the withdrawn rule's alert", 20)
    assert rows(platform, "SELECT closed_how FROM alert WHERE rule = 'town.gas'") == [("rule_withdrawn",)]


def test_an_edited_limit_keeps_the_open_alert(town: Town, platform: Platform) -> None:
    with writing(platform.engine) as connection:
        first = sheets.edit(connection, "town", TOWN, "li", "a trial", town.clock.now())
    announce_rules(town.settings)
    town.level(15.0)
    wait_until(lambda: rows(platform, OPEN) == [("town.gas", first)], "the alert", 20)
    with writing(platform.engine) as connection:
        raised = TOWN.replace("warning: 12", "warning: 14")
        sheets.edit(connection, "town", raised, "li", "less", town.clock.now())
    announce_rules(town.settings)
    town.level(13.0)
    wait_until(lambda: rows(platform, OPEN) == [], "the end by the raised limit", 20)
    closed = "SELECT closed_how FROM alert WHERE rule = 'town.gas'"
    assert rows(platform, closed) == [("recovered",)], "the same one all along"


def test_an_edit_while_the_platform_is_stopped_is_in_force_at_its_start(town: Town) -> None:
    with running(town.settings, town.clock) as platform, writing(platform.engine) as connection:
        made = sheets.edit(connection, "town", TOWN, "li", "a trial", town.clock.now())
    with running(town.settings, town.clock) as platform:
        assert RulesChanged(made) in controls(platform)
        town.level(15.0)
        wait_until(lambda: rows(platform, OPEN) == [("town.gas", made)], "the alert", 20)
