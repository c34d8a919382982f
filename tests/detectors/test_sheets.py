"""Edits of rules: checked as a whole, versioned with author and reason, never over another's, and what they loosen."""

from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Engine, func, select

from core.clock import SECOND
from core.database import reading, writing
from detectors import sheets
from detectors.rule import Override, Rule
from detectors.rule_changes import FieldChange, fields_of, loosened_fields
from detectors.rule_history import edits_of, history
from detectors.rules import RuleErrors, load_packs, load_version, newest_version
from detectors.sheets import EditRefused
from detectors.tables import rules_sheet, rules_version
from detectors.words import Severity
from ingest.words import RulesChanged

TOWN = """
rules:
  town.noise:
    kind: threshold
    device_types: [noise]
    metric: laeq
    unit: dB(A)
    limits: {warning: 70}
    dwell: 5min
    hazard: noise
    category: 环境保护
    class_code: E06
    title_zh: 噪声
    title_en: Noise
    advice_zh: 测
    advice_en: Measure
    basis: K
"""
LOWER = "overrides:\n- {rule: town.noise, site: S1, limits: {warning: 50}}\n"
START = 1_790_000_000 * SECOND
BY = ("li", "neighbours", START)
LEAK = load_packs().rules["gas.leak"]


@pytest.fixture
def begun(engine: Engine) -> Engine:
    with writing(engine) as connection:
        assert sheets.edit(connection, "base", TOWN, "platform", "as installed", START) == 1
    return engine


def noise(connection: Connection) -> Rule:
    return load_version(connection, newest_version(connection) or 0).rules["town.noise"]


def counts(connection: Connection) -> tuple[int, int]:
    tables = (rules_sheet, rules_version)
    first, second = (connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
    return first, second


def test_an_edit_is_a_version_with_author_and_reason(begun: Engine) -> None:
    with writing(begun) as connection:
        assert sheets.edit(connection, "quiet", LOWER, *BY) == 2
    with reading(begun) as connection:
        assert sheets.sheets_in_force(connection) == {"base": TOWN, "quiet": LOWER}
        newest = history(connection)[0]
        added = Override(site="S1", limits={Severity.WARNING: 50.0}, source="sheet quiet")
        assert noise(connection).overrides == (added,)
    assert newest[:4] == (2, START, "li", "neighbours")
    assert newest.changes == [FieldChange("town.noise", "overrides[site=S1].limits.warning", None, "50")]
    assert newest.loosened == {}


def test_the_same_text_again_is_no_new_version(begun: Engine) -> None:
    with writing(begun) as connection:
        assert sheets.edit(connection, "quiet", LOWER, *BY) == sheets.edit(connection, "quiet", LOWER, *BY) == 2
        assert counts(connection) == (2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("overrides: [{rule: no.such, site: S1, enabled: true}]", "no.such"),
        ("overrides: [{rule: gas.leak, site: S1, dwell: soon}]", "soon"),
        ("rules: [", "quiet"),
    ],
)
def test_what_does_not_hold_together_is_not_written(begun: Engine, text: str, said: str) -> None:
    with pytest.raises(RuleErrors, match=said), writing(begun) as connection:
        sheets.edit(connection, "quiet", text, *BY)
    with reading(begun) as connection:
        assert counts(connection) == (1, 1)


def test_an_edit_is_checked_with_the_towns_files(begun: Engine, tmp_path: Path) -> None:
    (tmp_path / "town.yaml").write_text("overrides: [{rule: nowhere, site: S1, enabled: true}]", encoding="utf-8")
    with pytest.raises(RuleErrors, match=r"town\.yaml"), writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER, *BY, extra=[tmp_path])


@pytest.mark.parametrize(
    ("author", "reason", "name", "why"),
    [(" ", "x", "quiet", "no_author"), ("li", " ", "quiet", "no_reason"), ("li", "x", "../x", "bad_name")],
)
def test_an_edit_is_signed_and_named(begun: Engine, author: str, reason: str, name: str, why: str) -> None:
    with pytest.raises(EditRefused) as refused, writing(begun) as connection:
        sheets.edit(connection, name, LOWER, author, reason, START)
    assert refused.value.why == why


def test_a_withdrawn_sheet_is_out_of_force_and_remembered(begun: Engine) -> None:
    with writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER, *BY)
        assert sheets.withdraw(connection, "quiet", "wang", "it was a mistake", START + 1) == 3
        assert sheets.sheets_in_force(connection) == {"base": TOWN}
        assert [each.author for each in sheets.editions(connection, "quiet")] == ["wang", "li"]
        assert noise(connection).overrides == ()
        with pytest.raises(EditRefused, match="no_sheet"):
            sheets.withdraw(connection, "quiet", *BY)


def test_the_second_of_two_editors_is_told_and_overwrites_nothing(begun: Engine) -> None:
    with writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER, *BY, seen=0)
    with pytest.raises(EditRefused) as refused, writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER.replace("50", "45"), "wang", "louder", START, seen=0)
    assert refused.value.why == "changed"
    assert refused.value.details == [
        "li: neighbours", "town.noise overrides[site=S1].limits.warning: — → 50",
    ]  # fmt: skip
    with writing(begun) as connection:
        seen = sheets.newest_sheets(connection)["quiet"].id
        assert sheets.edit(connection, "quiet", LOWER.replace("50", "45"), "wang", "louder", START, seen=seen) == 3


def test_of_editors_at_the_same_moment_one_wins(begun: Engine) -> None:
    outcomes: list[str] = []
    ready = Barrier(4)

    def one(limit: int) -> None:
        ready.wait()
        try:
            with writing(begun) as connection:
                sheets.edit(connection, "quiet", LOWER.replace("50", str(limit)), f"e{limit}", "x", START, seen=0)
            outcomes.append("made")
        except EditRefused as refused:
            outcomes.append(refused.why)

    threads = [Thread(target=one, args=(limit,)) for limit in (41, 42, 43, 44)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["changed", "changed", "changed", "made"]
    with reading(begun) as connection:
        assert counts(connection) == (2, 2)


def test_an_override_is_set_replaced_and_removed(begun: Engine) -> None:
    here, there = ("site", "S1"), ("attribute", "noise_class=1")
    with writing(begun) as connection:
        sheets.set_override(connection, "town.noise", here, {"limits": {"warning": 50}, "dwell": "5min"}, *BY)
        sheets.set_override(connection, "town.noise", there, {"limits": {2: 45.0}}, *BY)
        sheets.set_override(connection, "town.noise", here, {"limits": {"warning": 48}}, *BY)
        mine = [each for each in noise(connection).overrides if each.scope in (here, there)]
        assert {each.scope: (each.limits, each.dwell) for each in mine} == {
            here: ({Severity.WARNING: 48.0}, None), there: ({Severity.WARNING: 45.0}, None),
        }  # fmt: skip
        sheets.remove_override(connection, "town.noise", here, *BY)
        assert here not in [each.scope for each in noise(connection).overrides]
        with pytest.raises(EditRefused, match="no_override"):
            sheets.remove_override(connection, "town.noise", here, *BY)
        sheets.remove_override(connection, "town.noise", there, *BY)
        assert sheets.sheets_in_force(connection) == {"base": TOWN}


def test_spans_may_be_given_as_the_rule_holds_them(begun: Engine) -> None:
    with writing(begun) as connection:
        sheets.set_override(connection, "town.noise", ("site", "S1"), {"dwell": 90_000_000}, *BY)
        assert noise(connection).overrides[-1].dwell == 90_000_000
        assert "dwell: 90s" in sheets.sheets_in_force(connection)["console"]


@pytest.mark.parametrize(
    ("rule", "scope", "fields", "why"),
    [
        ("gas.leak", ("planet", "X"), {"dwell": "1s"}, "bad_scope"),
        ("gas.leak", ("attribute", "zone"), {"dwell": "1s"}, "bad_scope"),
        ("gas.leak", ("site", "S1"), {"colour": 1}, "bad_field"),
        ("gas.leak", ("site", "S1"), {"limits": {}}, "nothing_set"),
        ("no.such", ("site", "S1"), {"dwell": "1s"}, "no_rule"),
    ],
)
def test_an_override_that_says_nothing_usable(
    begun: Engine, rule: str, scope: tuple[str, str], fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(EditRefused) as refused, writing(begun) as connection:
        sheets.set_override(connection, rule, scope, fields, *BY)
    assert refused.value.why == why


def test_an_override_over_what_another_changed_is_refused_but_not_beside_it(begun: Engine) -> None:
    site = ("site", "S1")
    with writing(begun) as connection:
        sheets.set_override(connection, "town.noise", site, {"limits": {"warning": 50}}, *BY, seen=1)
        sheets.set_override(connection, "gas.leak", site, {"dwell": "1s"}, "wang", "x", START, seen=1)
        with pytest.raises(EditRefused) as refused:
            sheets.set_override(connection, "town.noise", site, {"dwell": "1s"}, "wang", "x", START, seen=1)
    assert refused.value.why == "changed"
    assert "overrides[site=S1].limits.warning: — → 50" in refused.value.details[0]


def test_a_looser_life_safety_rule_must_be_meant(begun: Engine) -> None:
    change = {"limits": {"alarm": 30, "critical": 60}}
    with writing(begun) as connection:
        with pytest.raises(EditRefused) as refused:
            sheets.set_override(connection, "gas.leak", ("site", "S1"), change, *BY)
        assert counts(connection) == (1, 1)
        assert refused.value.why == "loosens"
        assert "gas.leak overrides[site=S1].limits.alarm" in refused.value.details
        sheets.set_override(connection, "gas.leak", ("site", "S1"), change, *BY, may_loosen=True)
        newest = history(connection)[0]
        assert "overrides[site=S1].limits.alarm" in newest.loosened["gas.leak"]
        with pytest.raises(EditRefused, match="loosens"):
            sheets.edit(connection, "off", "overrides: [{rule: gas.leak, site: S2, enabled: false}]", *BY)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"limits": {Severity.ALARM: 20.0, Severity.CRITICAL: 50.0}, "recovery": 15.0}, []),
        ({"limits": {Severity.CRITICAL: 50.0}}, ["limits.alarm"]),
        ({"dwell": LEAK.dwell + 1}, ["dwell"]),
        ({"life_safety_from": None}, ["life_safety_from"]),
        ({"device_types": ()}, ["device_types"]),
        ({"not_when": ("aged",)}, ["not_when"]),
        ({"title_en": "Gas"}, []),
        ({"overrides": (Override(site="S1", enabled=False),)}, ["overrides[site=S1].enabled"]),
        ({"overrides": (Override(site="S1", dwell=0),)}, []),
        ({"recovery": 1.0, "recovery_share": 0.5}, []),
    ],
)
def test_what_counts_as_looser(change: dict[str, Any], fields: list[str]) -> None:
    changed = msgspec.structs.replace(LEAK, **change)
    assert [each for each in loosened_fields(LEAK, changed) if each != "recovery"] == fields


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_an_earlier_recovery_is_looser_however_it_is_written(share: float) -> None:
    by_share = msgspec.structs.replace(LEAK, recovery=1.0, recovery_share=0.5)
    assert loosened_fields(by_share, msgspec.structs.replace(by_share, recovery_share=share)) == ["recovery"]
    assert loosened_fields(LEAK, msgspec.structs.replace(by_share, recovery_share=share)) == ["recovery"]


def test_an_override_over_a_stricter_one_of_a_wider_scope_is_looser() -> None:
    wide, narrow = (
        Override(device_type="gas", limits={Severity.ALARM: 15.0}),
        Override(device="GAS-1", limits={Severity.ALARM: 22.0}),
    )
    before = msgspec.structs.replace(LEAK, overrides=(wide,))
    assert loosened_fields(before, msgspec.structs.replace(LEAK, overrides=(wide, narrow))) == [
        "overrides[device=GAS-1].limits.alarm",
        "overrides[device=GAS-1].recovery",
    ]
    strict = msgspec.structs.replace(LEAK, overrides=(narrow,))
    both = msgspec.structs.replace(LEAK, overrides=(msgspec.structs.replace(wide, enabled=False), narrow))
    assert "overrides[device_type=gas].enabled" in loosened_fields(strict, both)


def test_a_rule_that_is_gone_is_the_loosest(begun: Engine) -> None:
    assert loosened_fields(LEAK, None) == [""]
    dust = next(rule for rule in load_packs().rules.values() if rule.life_safety_from is None)
    assert loosened_fields(dust, None) == []


def test_fields_are_written_as_in_a_pack() -> None:
    fields = fields_of(LEAK)
    assert fields["dwell"] == "5s"
    assert fields["limits.alarm"] == f"{LEAK.limits[Severity.ALARM]:g}"
    assert "title_zh" in fields
    assert "overrides" not in fields


def test_the_history_of_one_rule(begun: Engine) -> None:
    with writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER, *BY)
        sheets.set_override(connection, "gas.leak", ("site", "S1"), {"dwell": "1s"}, "wang", "x", START)
        found = history(connection)
        assert [each.version for each in found] == [3, 2, 1]
        assert [each.version for each in edits_of(found, "gas.leak")] == [3]
        assert [each.version for each in history(connection, 1, before=3)] == [2]
        assert history(connection, 1, before=3)[0].changes == found[1].changes


def test_the_newest_version_is_announced(begun: Engine) -> None:
    journalled: list[RulesChanged] = []
    with writing(begun) as connection:
        sheets.edit(connection, "quiet", LOWER, *BY)
    assert sheets.announce(begun, journalled.append) == 2
    assert journalled == [RulesChanged(2)]


def test_a_file_that_changed_meanwhile_is_a_version_of_its_own_and_not_the_authors(
    begun: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "town.yaml"
    file.write_text(TOWN.replace("town.noise", "town.file").replace("warning: 70", "warning: 80"), encoding="utf-8")
    by = (*BY, None, [file])
    with writing(begun) as connection:
        made = sheets.edit(connection, "quiet", LOWER, *by)
    with reading(begun) as connection:
        own, of_files = history(connection)[:2]
    assert (own.version, own.author) == (made, "li")
    assert {change.rule for change in own.changes} == {"town.noise"}
    assert (of_files.author, {change.rule for change in of_files.changes}) == ("platform", {"town.file"})
    assert "li" in of_files.reason


def test_a_file_that_loosens_life_safety_is_confirmed_by_whoever_brings_it_along(begun: Engine, tmp_path: Path) -> None:
    file = tmp_path / "town.yaml"
    file.write_text("overrides:\n- {rule: gas.leak, device: GAS-1, enabled: false}\n", encoding="utf-8")
    by = (*BY, None, [file])
    with writing(begun) as connection, pytest.raises(EditRefused, match=r"gas\.leak"):
        sheets.edit(connection, "quiet", LOWER, *by)
    with writing(begun) as connection:
        assert counts(connection) == (1, 1)
        sheets.edit(connection, "quiet", LOWER, *by, may_loosen=True)
    with reading(begun) as connection:
        own, of_files = history(connection)[:2]
    assert (own.loosened, list(of_files.loosened)) == ({}, ["gas.leak"])
