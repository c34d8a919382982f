"""`shouwang rules check` and `explain`, as who writes rules meets them."""

import re
from pathlib import Path

import pytest

from tests.devices.town_folder import write_town
from tests.shouwang.command_line import query, run

OWN = """
rules:
  own.battery:
    {kind: threshold, metric: battery, unit: "%", direction: below, limits: {notice: 30}, hazard: device,
     category: 公共服务, title_zh: 电量, title_en: Battery, advice_zh: 换, advice_en: change, basis: K}
  device.battery:
    {kind: threshold, metric: battery, unit: "%", direction: below, limits: {warning: 15}, hazard: device,
     category: 公共服务, title_zh: 电量, title_en: Battery, advice_zh: 换, advice_en: change, basis: K}
overrides:
  - {rule: gas.leak, device_type: gas, limits: {alarm: 20}}
"""

pytestmark = pytest.mark.usefixtures("folder")


def test_sound_packs_are_counted_and_told_what_they_replace(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN, "utf-8")
    told = run("rules", "check", "own.yaml").output
    assert re.match(r"\d+ rules and \d+ overrides are fine\n", told)
    assert "pack own.yaml: 2 rules, 1 overrides" in told
    assert "device.battery of pack own.yaml replaces the one of pack device_health.yaml" in told
    assert run("rules", "check", tmp_path).output == told


def test_packs_of_the_settings_are_not_read_twice(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yaml").write_text(OWN, "utf-8")
    (tmp_path / "shouwang.toml").write_text('rules = ["rules"]\n', "utf-8")
    assert run("rules", "check", "rules/own.yaml").output == run("rules", "check").output


def test_every_error_is_one_line_with_its_place_and_the_status_is_two(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN.replace("metric: battery", "metric: batery"), "utf-8")
    lines = run("rules", "check", "own.yaml", fails=2).output.splitlines()
    assert lines[0].startswith("own.yaml:3:3: rules.own.battery.device_types: ")
    assert all("did you mean battery?" in line for line in lines[:2])
    assert lines[-1].endswith("errors: nothing of this would be in force")
    assert len(lines) == 3


def test_a_missing_file_is_an_error() -> None:
    assert "absent.yaml: is no file or directory" in run("rules", "check", "absent.yaml", fails=2).output


def test_what_is_not_there_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    for command in (
        ("explain", "GAS-1"),
        ("history",),
        ("show", "gas.leak"),
        ("apply", "--author", "a", "--reason", "b"),
    ):
        assert "run `shouwang init`" in run("rules", *command, fails=1).stderr
    assert list(tmp_path.iterdir()) == []
    run("init")
    for command in (("history",), ("show", "gas.leak")):
        assert "no rules are recorded yet" in run("rules", *command, fails=1).stderr


def test_sheets_in_force_are_checked_too(tmp_path: Path) -> None:
    run("init")
    (tmp_path / "own.yaml").write_text(OWN, "utf-8")
    run("rules", "apply", "own.yaml", "--author", "li", "--reason", "a trial")
    assert "sheet own: 2 rules, 1 overrides" in run("rules", "check").output
    clashing = OWN.replace("own.battery", "town.battery")
    (tmp_path / "own.yaml").write_text(clashing, "utf-8")
    assert "sheet own" not in run("rules", "check", "own.yaml").output, "the file is what the sheet would become"


def test_a_devices_limits_are_told_in_both_languages(tmp_path: Path) -> None:
    run("init")
    run("town", "import", write_town(tmp_path / "town"))
    device = str(query("SELECT code FROM device WHERE type = 'water_depth' ORDER BY code")[0][0])
    zh = run("rules", "explain", device).output
    assert "道路积水" in zh
    assert "报警 ≥ 15 cm" in zh
    assert "生效" in zh
    en = run("rules", "explain", device, "--language", "en").output
    assert "Road flooding" in en
    assert "critical ≥ 25 cm" in en
    assert "pack roads.yaml" in en
    assert "did you mean" in run("rules", "explain", device[:-1], fails=1).output
    assert "choose zh or en" in run("rules", "explain", device, "--language", "fr", fails=1).output
