"""What holds an alert: labels, hours that cross midnight, and who may quiet what for how long."""

from typing import Any

import pytest

from alerts.inhibition import INHIBITORS, Inhibitor, Source, Sources
from alerts.matching import LABELS, labels_of, matcher, matches, same, stored_matchers
from alerts.quiet_decisions import Quiet, Weekly, decide_hold, minutes_of, weekly_of
from alerts.quiet_limits import QUIET_REFUSALS, Asked, QuietRefused, check_quiet, read_matchers
from core.clock import DAY, HOUR, MINUTE
from tests.alerts.desk_scene import MONDAY_TEN, at_local
from tests.alerts.quieting.quiet_scene import RULES, QuietScene

NOTHING = Sources(())
AT_SITE = (matcher("site", "=", "S1"),)
HOURS: dict[str, Any] = {"days": [1], "from": "01:00", "to": "02:00"}


def quiet(**more: Any) -> Quiet:
    given = {"id": 1, "kind": "silence", "matchers": AT_SITE, "life_safety": False, "starts_at": 0, "ends_at": HOUR}
    return Quiet(**(given | more))


def test_a_missing_label_matches_nothing() -> None:
    for op in ("=", "in", "!="):
        assert not matches((matcher("site", op, "S1"),), {"rule": "gas"})  # type: ignore[arg-type]
        assert not matches((matcher("site", op, ""),), {"site": ""})  # type: ignore[arg-type]
    assert not matches((), {"site": "S1"})
    assert not same({}, {}, ("site",))
    assert not same({"site": ""}, {"site": ""}, ("site",))


def test_matchers_are_stored_and_read_again() -> None:
    given = (matcher("site", "=", "S1"), matcher("hazard", "!=", "gas"), matcher("rule", "in", "a", "b"))
    assert stored_matchers([each.as_json() for each in given]) == given
    for wrong in ([{"label": "site"}], [{"label": "site", "op": "=", "value": None}], ["site"]):
        with pytest.raises(QuietRefused):
            check_quiet(Asked("silence", read_matchers(wrong), 0, HOUR, "x"), "leader", 0)  # type: ignore[arg-type]


def test_an_alert_has_the_labels_that_are_known_of_it(quiets: QuietScene) -> None:
    quiets.detect("PLANT-1")
    quiets.detect("GW-0001", rule="gateway")
    quiets.detect("GHOST-1", rule="of-old")
    device, gateway, ghost = (labels_of(each, quiets.town, RULES.rules) for each in quiets.alerts)
    assert set(device) == set(LABELS)
    assert (device["gateway"], device["site_kind"], device["village"]) == ("GW-0001", "enterprise", "V1")
    assert (gateway["gateway"], gateway["kind"], "device_type" in gateway) == ("GW-0001", "gateway", False)
    assert set(ghost) == {"rule", "severity", "subject_kind", "subject"}


@pytest.mark.parametrize(
    ("local", "holds"),
    [
        ("2026-09-21 21:59", False),  # Monday
        ("2026-09-21 22:00", True),
        ("2026-09-22 05:59", True),
        ("2026-09-22 06:00", False),
        ("2026-09-22 23:00", False),  # Tuesday is not among the days
        ("2026-09-27 23:59", True),  # Sunday
        ("2026-09-28 00:00", True),  # Monday morning belongs to Sunday's night
        ("2026-09-28 06:00", False),
    ],
)
def test_a_window_crosses_midnight_in_local_time(local: str, holds: bool) -> None:
    nights = weekly_of({"days": [1, 7], "from": "22:00", "to": "06:00"})
    window = quiet(kind="window", weekly=nights, starts_at=MONDAY_TEN, ends_at=MONDAY_TEN + 30 * DAY)
    until = window.until(at_local(local))
    assert (until is not None) is holds
    if until is not None:
        assert until in (at_local("2026-09-22 06:00"), at_local("2026-09-28 06:00"))


def test_hours_to_the_days_end_and_around_the_clock() -> None:
    assert Weekly(frozenset({1}), minutes_of("08:00"), minutes_of("24:00")).span == 16 * HOUR
    day = weekly_of({"days": [1], "from": "00:00", "to": "24:00"})
    assert day is not None
    assert day.span == DAY
    assert day.until(at_local("2026-09-21 23:59")) == at_local("2026-09-22 00:00")
    for wrong in ({"days": [], "from": "1:00", "to": "2:00"}, {"days": [1], "from": "25:00", "to": "2:00"}):
        with pytest.raises(ValueError, match="no "):
            weekly_of(wrong)


def test_the_longest_hold_of_those_that_cover_it_wins() -> None:
    short, long = quiet(id=1), quiet(id=2, kind="shelf", ends_at=2 * HOUR)
    hold = decide_hold({"site": "S1"}, False, [short, long], NOTHING, MINUTE)
    assert hold is not None
    assert (hold.kind, hold.by, hold.until, hold.reason) == ("shelf", 2, 2 * HOUR, "shelved")
    assert decide_hold({"site": "S2"}, False, [short, long], NOTHING, MINUTE) is None
    assert decide_hold({"site": "S1"}, False, [short], NOTHING, HOUR) is None, "its end is not part of it"
    assert decide_hold({"site": "S1"}, False, [short], NOTHING, -1) is None, "nor is what was before it"


def test_only_what_was_made_for_it_holds_life_safety() -> None:
    plain, made = quiet(), quiet(id=2, life_safety=True)
    assert decide_hold({"site": "S1"}, True, [plain], NOTHING, 0) is None
    assert decide_hold({"site": "S1"}, True, [plain, made], NOTHING, 0) is not None
    every = Inhibitor("any", (matcher("rule", "=", "a"),), (matcher("rule", "=", "b"),), ("site",))
    sources = Sources((every,), [Source(1, {"rule": "a", "site": "S1"})])
    target = {"rule": "b", "site": "S1"}
    assert decide_hold(target, False, [], sources, 0) is not None
    assert decide_hold(target, True, [], sources, 0) is None, "inhibition never does"


def test_inhibition_needs_the_labels_on_both_sides() -> None:
    gateway = Source(1, {"subject_kind": "gateway", "kind": "gateway", "gateway": "G1"})
    nameless = Source(2, {"subject_kind": "gateway", "kind": "gateway"})
    target = {"subject_kind": "device", "kind": "silence"}
    sources = Sources(INHIBITORS, [gateway, nameless])
    assert sources.inhibiting({**target, "gateway": "G1"}, 9) == ("gateway_offline", 1)
    assert sources.inhibiting({**target, "gateway": "G2"}, 9) is None
    assert sources.inhibiting(target, 9) is None
    sources.drop(1)
    assert sources.inhibiting({**target, "gateway": "G1"}, 9) is None


def test_nothing_inhibits_itself_or_what_inhibits_it() -> None:
    a, b = (matcher("rule", "=", "a"),), (matcher("rule", "=", "b"),)
    around = (Inhibitor("ab", a, b, ("site",)), Inhibitor("ba", b, a, ("site",)))
    labels_a, labels_b = {"rule": "a", "site": "S1"}, {"rule": "b", "site": "S1"}
    sources = Sources(around, [Source(1, labels_a), Source(2, labels_b, held_by=1)])
    assert sources.inhibiting(labels_b, 2) == ("ab", 1)
    assert sources.inhibiting(labels_a, 1) is None, "the second is held by it"
    both = (Inhibitor("aa", a, a, ("site",)),)
    assert Sources(both, [Source(1, labels_a), Source(2, labels_a)]).inhibiting(labels_a, 2) is None


@pytest.mark.parametrize(
    ("asked", "role", "refusal"),
    [
        (Asked("silence", AT_SITE, 0, HOUR, "x"), "patroller", "not_allowed"),
        (Asked("silence", AT_SITE, 0, HOUR, "x", life_safety=True), "dispatcher", "leader_only"),
        (Asked("silence", AT_SITE, 0, HOUR, " "), "leader", "needs_reason"),
        (Asked("silence", (), 0, HOUR, "x"), "leader", "needs_matchers"),
        (Asked("silence", (matcher("colour", "=", "red"),), 0, HOUR, "x"), "leader", "unknown_label"),
        (Asked("silence", (matcher("site", "=", ""),), 0, HOUR, "x"), "leader", "bad_matcher"),
        (Asked("silence", (matcher("site", "=", "a", "b"),), 0, HOUR, "x"), "leader", "bad_matcher"),
        (Asked("silence", (matcher("grid", "=", "G1"),), 0, HOUR, "x", life_safety=True), "leader", "name_a_place"),
        (Asked("silence", (matcher("site", "!=", "S1"),), 0, HOUR, "x", life_safety=True), "leader", "name_a_place"),
        (
            Asked("silence", (matcher("site", "in", *map(str, range(11))),), 0, HOUR, "x", life_safety=True),
            "leader",
            "name_a_place",
        ),
        (Asked("silence", AT_SITE, HOUR, HOUR, "x"), "leader", "ends_before_it_starts"),
        (Asked("silence", AT_SITE, -HOUR, 0, "x"), "leader", "ends_before_it_starts"),
        (Asked("shelf", AT_SITE, 0, 8 * HOUR + 1, "x"), "leader", "too_long"),
        (Asked("shelf", AT_SITE, 0, HOUR + 1, "x", life_safety=True), "leader", "too_long"),
        (Asked("silence", AT_SITE, 0, 7 * DAY + 1, "x"), "leader", "too_long"),
        (Asked("silence", AT_SITE, 0, 4 * HOUR + 1, "x", life_safety=True), "admin", "too_long"),
        (Asked("window", AT_SITE, 0, HOUR, "x"), "leader", "bad_schedule"),
        (Asked("window", AT_SITE, 0, HOUR, "x", schedule=HOURS | {"days": [8]}), "leader", "bad_schedule"),
        (Asked("window", AT_SITE, 0, HOUR, "x", schedule=HOURS | {"from": 22}), "leader", "bad_schedule"),
        (Asked("window", AT_SITE, 0, HOUR, "x", schedule=HOURS | {"to": None}), "leader", "bad_schedule"),
        (Asked("window", AT_SITE, 0, HOUR, "x", schedule=HOURS | {"days": ["1"]}), "leader", "bad_schedule"),
        (Asked("silence", (matcher("site", "=", "S" * 201),), 0, HOUR, "x"), "leader", "bad_matcher"),
        (Asked("silence", (matcher("site", "=", "S\x001"),), 0, HOUR, "x"), "leader", "bad_matcher"),
        (Asked("silence", AT_SITE, 0, HOUR, "x", schedule=HOURS), "leader", "bad_schedule"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_refused_by_name(asked: Asked, role: Any, refusal: str) -> None:
    with pytest.raises(QuietRefused) as refused:
        check_quiet(asked, role, 0)
    assert refused.value.reason == refusal
    assert refused.value.text
    assert refused.value.text_en


@pytest.mark.parametrize(
    ("asked", "role"),
    [
        (Asked("shelf", AT_SITE, 0, 8 * HOUR, "x"), "dispatcher"),
        (Asked("shelf", AT_SITE, 0, HOUR, "x", life_safety=True), "leader"),
        (Asked("silence", (matcher("grid", "!=", "G1"),), DAY, 8 * DAY, "x"), "dispatcher"),
        (Asked("window", AT_SITE, 0, 366 * DAY, "x", schedule={"days": [1], "from": "22:00", "to": "06:00"}), "admin"),
    ],
)
def test_what_may_be_is_not_refused(asked: Asked, role: Any) -> None:
    check_quiet(asked, role, 0)


def test_every_refusal_says_what_it_means_in_both_languages() -> None:
    facts = {"zh": "1 小时", "en": "1 h", "label": "x", "devices": "9", "all": "12"}
    for reason, words in QUIET_REFUSALS.items():
        assert QuietRefused(reason, **facts).text == words.zh.format(**facts)


def test_an_inhibitor_without_equal_labels_holds_nothing() -> None:
    everywhere = (Inhibitor("all", (matcher("rule", "=", "a"),), (matcher("rule", "=", "b"),), ()),)
    assert Sources(everywhere, [Source(1, {"rule": "a"})]).inhibiting({"rule": "b"}, 2) is None
