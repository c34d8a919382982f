"""The chain's hops and the running clock, as pure functions."""

from typing import Any

import pytest

from alerts.lifecycle import LIVE, Status
from console.chain import Hop, chain, present_step, steps
from console.stages import TABS, Due, due

TICKET: dict[str, Any] = {
    "status": "dispatched",
    "reported_at": 5_000,
    "dispatched_at": 5_000,
    "accepted_at": None,
    "on_scene_at": None,
    "handled_at": None,
    "checked_at": None,
    "closed_at": None,
}


def alert(number: int, opened: int, at: int = 1_000) -> dict[str, Any]:
    return {"id": number, "at": at, "received_at": 3_000, "journalled_at": 4_000, "opened_at": opened}


def notice(created: int, requested: int | None = None) -> dict[str, Any]:
    return {"created_at": created, "requested_at": requested, "accepted_at": None, "acknowledged_at": None}


def test_each_hop_is_timed_from_the_hop_before_that_happened() -> None:
    hops = chain(
        {**TICKET, "accepted_at": 9_000}, [alert(2, 7_000), alert(1, 5_000)], [notice(5_500), notice(5_200, 8_000)]
    )
    assert hops[:4] == [
        Hop("reading", 1_000, None),
        Hop("received", 3_000, 2_000),
        Hop("journalled", 4_000, 1_000),
        Hop("alert", 5_000, 1_000),
    ]
    assert hops[6:12] == [
        Hop("queued", 5_200, 200),
        Hop("requested", 8_000, 2_800),
        Hop("provider", None, None),
        Hop("acknowledged", None, None),
        Hop("accepted", 9_000, 1_000),
        Hop("on_scene", None, None),
    ]


def test_a_ticket_dispatched_anew_shows_the_notices_of_that_dispatch() -> None:
    hops = chain({**TICKET, "dispatched_at": 90_000}, [alert(1, 5_000)], [notice(5_000, 5_100), notice(90_000, 90_200)])
    assert [hop for hop in hops if hop.name in ("dispatched", "queued", "requested")] == [
        Hop("dispatched", 90_000, 85_000),
        Hop("queued", 90_000, 0),
        Hop("requested", 90_200, 200),
    ]


def test_a_device_whose_clock_is_ahead_is_shown_as_it_is() -> None:
    hops = chain(TICKET, [alert(1, 5_000, at=3_500)], [])
    assert hops[1] == Hop("received", 3_000, -500)


def test_a_ticket_reported_by_hand_begins_with_itself() -> None:
    assert chain(TICKET, [], [])[0] == Hop("ticket", 5_000, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("reported", Due("accept", 1)),
        ("dispatched", Due("accept", 1)),
        ("accepted", Due("arrive", 2)),
        ("on_scene", Due("done", 3)),
        ("handled", None),
        ("checked", None),
        ("closed", None),
    ],
)
def test_the_clock_that_runs_belongs_to_the_status(status: str, expected: Due | None) -> None:
    assert due({"status": status, "accept_by": 1, "arrive_by": 2, "done_by": 3}) == expected


def test_every_live_status_stands_in_exactly_one_tab() -> None:
    split = [status for tab, statuses in TABS.items() if tab != "all" for status in statuses]
    assert sorted(split) == sorted(TABS["all"])
    assert set(TABS["all"]) == set(Status) - {"closed", "void", "false_alarm", "merged"}


def test_the_bar_shows_every_stage_of_the_lifecycle() -> None:
    """上报 → 受理 → 立案 → 派遣 → 接单 → 到场 → 处置 → 核查 → 结案, in this order."""
    row = {**TICKET, "verified_at": 5_100, "registered_at": 5_200}
    straight = [str(status) for status in Status if status in (*LIVE, Status.CLOSED) and status != Status.SUSPENDED]
    assert [name for name, _ in steps(row)] == straight
    assert dict(steps(row))["registered"] == 5_200


@pytest.mark.parametrize("status", ["verified", "registered", "dispatched"])
def test_the_bar_says_where_a_ticket_stands(status: str) -> None:
    assert present_step({**TICKET, "status": status}) == status
    assert present_step({**TICKET, "status": "suspended", "suspended_from": status}) == status
