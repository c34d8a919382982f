"""Who may speak and hear where: gateways stay within their own topics, whatever their registration says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from ingest.topic_rights import FilterOwners, TownRights, covers, gateway_rights, overlap, town_rights

LEVELS = st.sampled_from(["a", "b", "sw", "v1", "", "$SYS"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)
FILTERS = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=3),
    st.sampled_from([[], ["#"]]),
) | st.just("#")


@given(FILTERS, TOPICS)
def test_a_filter_covers_the_topics_that_it_matches(granted: str, topic: str) -> None:
    if not topic.startswith("$") or granted.startswith("$"):
        assert covers(granted, topic) == topic_matches_sub(granted, topic)
    else:
        assert not covers(granted, topic)


@given(FILTERS, FILTERS, TOPICS)
def test_what_a_covered_filter_matches_its_cover_matches(granted: str, asked: str, topic: str) -> None:
    if covers(granted, asked) and topic_matches_sub(asked, topic):
        assert topic_matches_sub(granted, topic) or topic.startswith("$")


@given(FILTERS, FILTERS, TOPICS)
def test_filters_with_a_topic_in_common_overlap(one: str, other: str, topic: str) -> None:
    assert overlap(one, other) == overlap(other, one)
    if topic_matches_sub(one, topic) and topic_matches_sub(other, topic):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a/c"), ("a/b/#", "a/c/#"), ("a", "a/b"), ("+/x", "+/y"), ("a/+", "a")]
)
def test_filters_with_none_do_not(one: str, other: str) -> None:
    assert not overlap(one, other)


@dataclass
class Spoken:
    """A dialect as far as rights look at it."""

    topics: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass
class Dialects:
    dialects: Mapping[str, Any] = field(default_factory=dict)


def rights(**dialects: Spoken) -> TownRights:
    return town_rights(Dialects(dialects), dict.fromkeys(dialects), "shouwang")  # type: ignore[arg-type]


def test_a_format_adds_its_topics_and_answers() -> None:
    town = rights(A=Spoken(("spBv1.0/g/+/A/#",), ("spBv1.0/g/NCMD/A",)), B=Spoken())
    assert town.gateways["A"].allow("publish", "spBv1.0/g/NDATA/A")
    assert town.gateways["A"].allow("subscribe", "spBv1.0/g/NCMD/A")
    assert not town.gateways["A"].allow("subscribe", "spBv1.0/g/NCMD/#")
    assert not town.gateways["B"].allow("publish", "spBv1.0/g/NDATA/A")
    assert town.gateways["B"] == gateway_rights("B")
    assert town.platform.allow("publish", "spBv1.0/g/NCMD/A")
    assert town.platform.allow("publish", "sw/v1/A/rejects")
    assert not town.platform.allow("publish", "sw/v1/A/telemetry")
    assert town.problems == ()


@pytest.mark.parametrize(
    "stolen",
    ["sw/v1/B/#", "#", "+/v1/#", "sw/#", "$SYS/#", "$CONTROL/dynamic-security/v1", "", " x", "x\nuser B", "x\x7f"],
)
def test_no_registration_reaches_into_what_is_not_its_own(stolen: str) -> None:
    town = rights(A=Spoken((stolen,), (stolen,)), B=Spoken())
    assert town.gateways["A"] == gateway_rights("A")
    assert [code for code, _ in town.problems] == ["A", "A"]
    assert town.platform == rights(B=Spoken()).platform


@pytest.mark.parametrize("wanted", ["tele/#", "tele/x", "+/x", "tele/+/y", "tele"])
def test_of_two_gateways_that_want_a_topic_the_first_has_it(wanted: str) -> None:
    town = rights(A=Spoken(("tele/#",)), B=Spoken((wanted, "b/#")))
    assert town.gateways["A"].allow("publish", "tele/x")
    assert town.gateways["B"].publish == ("sw/v1/B/#", "b/#")
    assert town.problems == (("B", f"{wanted} means topics that A has already"),)


def test_no_answers_are_heard_on_topics_that_another_speaks_on_or_is_answered_on() -> None:
    town = rights(A=Spoken(("a/#",), ("a/reply", "b/#", "c/reply")), B=Spoken(("b/up",), ("c/reply",)))
    assert town.gateways["A"].subscribe == (*gateway_rights("A").subscribe, "a/reply", "c/reply")
    assert town.gateways["B"].subscribe == gateway_rights("B").subscribe
    assert [code for code, _ in town.problems] == ["A", "B"]


def test_a_gateways_own_filters_may_overlap() -> None:
    assert rights(A=Spoken(("tele/#", "tele/x"))).problems == ()


@given(st.lists(FILTERS, max_size=6))
def test_filters_that_overlap_never_get_two_owners(filters: list[str]) -> None:
    owners, had = FilterOwners(), dict[str, str]()
    for number, filter_ in enumerate(filters):
        sharing = [owner for other, owner in had.items() if overlap(filter_, other)]
        got = owners.claim(filter_, f"GW-{number}")
        assert got in sharing if sharing else got == f"GW-{number}"
        if not sharing:
            had[filter_] = got


def test_the_platform_hears_all_and_a_gateway_what_is_for_it() -> None:
    town = rights(A=Spoken())
    assert town.platform.allow("subscribe", "sw/v1/+/telemetry")
    assert town.platform.allow("subscribe", "$SYS/broker/publish/messages/dropped")
    assert not town.platform.allow("subscribe", "$CONTROL/#")
    for wrong in ("#", "sw/v1/#", "sw/v1/+/rejects", "sw/v1/B/rejects", "sw/v1/A/#", "$SYS/#"):
        assert not town.gateways["A"].allow("subscribe", wrong)
    assert town.gateways["A"].allow("subscribe", "sw/v1/A/commands")
