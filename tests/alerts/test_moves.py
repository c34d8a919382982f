"""Every status × action × role, double taps, refusals, and two people at once."""

from itertools import pairwise, product
from threading import Barrier, Thread
from typing import Any, get_args

import pytest
from sqlalchemy import update

from alerts import event_tables, tables
from alerts.lifecycle import ACTION_WORDS, ARROWS, LIVE, TRANSITIONS, Mark, Role, Status, actions_for, statuses_for
from alerts.move_decisions import Actor, Asked, Standing, decide_move
from alerts.moves import MoveRefused, move
from alerts.refusals import REFUSALS
from alerts.tickets import update_ticket
from core.clock import DAY, MINUTE
from core.database import writing
from detectors.words import Change, Severity
from ingest.words import Rearm
from tests.alerts.desk_scene import Scene

ROLES: tuple[Role, ...] = get_args(Role)
ACTIONS = list(ACTION_WORDS)
HUMAN_WAY = ["accept", "arrive", "handle", "check", "close"]


NOW = 10 * DAY
WAITING = {kind: {"id": 1, "kind": kind, "until": NOW + DAY} for kind in ("extension", "suspension")}


def ticket_row(status: Status, **more: Any) -> dict[str, Any]:
    row = {"id": 1, "status": status, "accepted_by": None, "on_scene_at": 1, "life_safety": False, "team": "T"}
    row |= {
        "station": None,
        "assignment": {},
        "acceptance": "first",
        "suspended_from": "on_scene",
        "storm": None,
        "drill": None,
    }
    row |= {"done_by": NOW + DAY, "extensions": 0, "supervised_at": 1, "replied_at": None, "dispatched_at": 1}
    return {**row, **more}


def judged(row: dict[str, Any], action: str, role: Role, **more: Any) -> str:
    """The new status, or why not; everything that a move could want is there, but no request waits where one is asked
    for."""
    waiting = {} if action.startswith("ask_") else WAITING
    asked: dict[str, Any] = {"opinion": "because", "cause": "works", "until": NOW + DAY, "into": 2}
    asked |= {name: more.pop(name) for name in [*more] if name in asked}
    standing = Standing(row, NOW, **{"requests": waiting, "target": ticket_row(Status.ACCEPTED, id=2), **more})
    try:
        return decide_move(standing, Asked(action, Actor("me", role, "T"), **asked)).to
    except MoveRefused as refused:
        return refused.reason


def goal(status: Status, action: str) -> Status:
    return TRANSITIONS[status, action].target(status, "on_scene")


@pytest.mark.parametrize(("status", "action"), list(product(Status, ACTIONS)))
def test_the_whole_matrix_is_the_table_and_nothing_else(status: Status, action: str) -> None:
    transition = TRANSITIONS.get((status, action))
    for role in ROLES:
        expected = (
            "not_from_here"
            if transition is None
            else goal(status, action)
            if role in transition.roles
            else "not_allowed"
        )
        assert judged(ticket_row(status), action, role) == expected


def test_what_has_ended_stays_ended() -> None:
    assert {status for status, _ in TRANSITIONS} == LIVE


def test_nothing_else_changes_a_status(sent: Scene) -> None:
    """Not even the platform's own code, which moves tickets by the same rows."""
    (ticket,) = sent.tickets
    with writing(sent.engine) as connection:
        for to in set(Status) - {to for source, to in ARROWS if source == "dispatched"} - {Status.DISPATCHED}:
            with pytest.raises(ValueError, match="no move leads"):
                update_ticket(connection, ticket, sent.clock.now(), status=to)
    assert sent.tickets == [ticket]


def test_every_live_status_has_a_way_to_the_end_for_a_dispatcher() -> None:
    reached = {Status.CLOSED}
    for _ in Status:
        ways = ((source, goal(source, action), way) for (source, action), way in TRANSITIONS.items())
        reached |= {source for source, to, way in ways if to in reached and "dispatcher" in way.roles}
    assert reached >= LIVE


@pytest.mark.parametrize(("status", "action"), sorted(pair for pair, way in TRANSITIONS.items() if way.needs))
def test_a_move_that_needs_words_is_refused_without(status: Status, action: str) -> None:
    absent = {"opinion": "  ", "cause": "  ", "until": None, "into": None}
    for need in TRANSITIONS[status, action].needs:
        lacking = {need: absent[need], "requests": {} if need == "until" else WAITING}
        assert judged(ticket_row(status), action, "dispatcher", **lacking) == f"needs_{need}"


@pytest.mark.parametrize(("status", "action"), sorted(pair for pair, way in TRANSITIONS.items() if way.answers))
def test_nothing_is_answered_that_was_not_asked(status: Status, action: str) -> None:
    nothing: dict[str, Any] = {"requests": {}}
    assert judged(ticket_row(status, replied_at=2), action, "dispatcher", **nothing) == "nothing_asked"


@pytest.mark.parametrize(("status", "action"), sorted(pair for pair, way in TRANSITIONS.items() if way.arrival))
def test_life_safety_is_not_finished_from_afar(status: Status, action: str) -> None:
    row = ticket_row(status, life_safety=True, on_scene_at=None)
    assert judged(row, action, "dispatcher") == "needs_arrival"
    assert judged({**row, "life_safety": False}, action, "dispatcher") == goal(status, action)


def test_buttons_are_what_would_be_allowed() -> None:
    for status, role, arrived in product(LIVE, ROLES, (True, False)):
        row = ticket_row(status, life_safety=True, on_scene_at=1 if arrived else None)
        marks: list[Mark] = ["supervised", "extension", "suspension"]
        offered = set(actions_for(status, role, life_safety=True, arrived=arrived, marks=marks))
        assert offered == {action for action in ACTIONS if judged(row, action, role) not in REFUSALS}


def test_statuses_of_an_action_come_in_the_order_of_life() -> None:
    assert list(statuses_for("return")) == [Status.DISPATCHED, Status.ACCEPTED, Status.ON_SCENE]


def test_every_refusal_speaks_both_languages() -> None:
    facts = {"status_zh": "状态", "status_en": "state", "action_zh": "操作", "action_en": "move", "who": "G17-01"}
    facts |= dict.fromkeys(("days", "code", "limit", "most", "known", "channel", "seconds"), "30")
    for reason in REFUSALS:
        refused = MoveRefused(reason, **facts)
        assert refused.text
        assert refused.text_en.isascii() or "“" in refused.text_en


@pytest.fixture
def sent(scene: Scene) -> Scene:
    """A dispatched life-safety ticket."""
    scene.detect("PLANT-1", severity=Severity.CRITICAL)
    return scene


def refused(scene: Scene, action: str, who: str, **more: Any) -> MoveRefused:
    with pytest.raises(MoveRefused) as caught:
        scene.move(action, who, **more)
    return caught.value


def test_the_way_of_a_ticket_stamps_who_and_when_and_logs_each_step(sent: Scene) -> None:
    for action in HUMAN_WAY:
        sent.clock.advance(MINUTE)
        sent.move(action, "DISP-1" if action in ("check", "close") else "G17-01", opinion="done")
    (ticket,) = sent.tickets
    stamps = ("dispatched_at", "accepted_at", "on_scene_at", "handled_at", "checked_at", "closed_at")
    gaps = [ticket[later] - ticket[earlier] for earlier, later in pairwise(stamps)]
    assert gaps == [MINUTE] * 5
    assert (ticket["accepted_by"], ticket["handled_by"], ticket["result"]) == ("G17-01", "G17-01", "handled")
    log = [row for row in sent.rows(tables.ticket_log) if row["who"] != "platform"]
    assert [row["action"] for row in log] == [*HUMAN_WAY, "alert_closed"]
    assert {row["opinion"] for row in log[:5]} == {"done"}


def test_accepting_acknowledges_the_notices_that_went_to_them(sent: Scene) -> None:
    with writing(sent.engine) as connection:
        connection.execute(update(tables.notice).values(state="accepted"))
    sent.move("accept", "G17-01")
    states = {notice["recipient"]: notice["state"] for notice in sent.notices}
    assert states["G17-01"] == "acknowledged"
    assert states["G17-02"] == "accepted"


def test_a_double_tap_is_no_error_and_changes_nothing(sent: Scene) -> None:
    for action in HUMAN_WAY:
        who = "DISP-1" if action in ("check", "close") else "G17-01"
        first = sent.move(action, who)
        before = sent.tickets, sent.log
        sent.clock.advance(MINUTE)
        assert sent.move(action, who).status == first.status
        assert (sent.tickets, sent.log) == before


def test_accepting_again_from_further_on_is_no_error(sent: Scene) -> None:
    sent.handle()
    assert sent.move("accept", "G17-01").status == "handled"


def test_somebody_elses_accept_says_who_was_first(sent: Scene) -> None:
    sent.move("accept", "G17-01")
    late = refused(sent, "accept", "G17-02")
    assert (late.reason, late.text) == ("already_accepted", "G17-01 已接单")


def test_an_accept_of_what_is_over_says_that_it_is_over(sent: Scene) -> None:
    sent.handle()
    sent.move("check", "DISP-1")
    sent.move("close", "DISP-1")
    for who in ("G17-01", "G17-02"):
        assert refused(sent, "accept", who).reason == "not_from_here"


@pytest.mark.parametrize(("who", "reason"), [("ST2-01", "not_yours"), ("stranger", "unknown_person")])
def test_only_those_whom_it_concerns_may(sent: Scene, who: str, reason: str) -> None:
    assert refused(sent, "accept", who).reason == reason


@pytest.mark.parametrize("who", ["G17-04", "ST1-01", "LEAD-1", "DISP-1"])
def test_team_station_leader_and_dispatcher_may_accept(sent: Scene, who: str) -> None:
    assert sent.move("accept", who).status == "accepted"


def test_an_account_acts_by_its_role(sent: Scene) -> None:
    assert sent.move("accept", "console-account", role="dispatcher").status == "accepted"


def test_what_is_not_there_is_refused(sent: Scene) -> None:
    assert refused(sent, "accept", "G17-01", ticket=99).reason == "unknown_ticket"
    assert refused(sent, "explode", "G17-01").reason == "unknown_action"
    assert refused(sent, "reassign", "DISP-1", team="T-99").reason == "unknown_responder"


def test_a_return_goes_to_the_desk_which_sends_it_elsewhere(sent: Scene) -> None:
    sent.move("accept", "G17-01")
    assert refused(sent, "return", "G17-01").reason == "needs_opinion"
    assert sent.move("return", "G17-01", opinion="not ours").status == "registered"
    (returned,) = sent.tickets
    assert (returned["accepted_by"], returned["team"], returned["accept_by"]) == (None, "T-G17", None)
    assert [n["recipient"] for n in sent.notices if n["cause"] == "returned"] == ["DISP-1"]

    sent.clock.advance(MINUTE)
    assert sent.move("dispatch", "DISP-1", team="T-G18", station="ST2").status == "dispatched"
    (again,) = sent.tickets
    assert (again["team"], again["station"]) == ("T-G18", "ST2")
    assert again["accept_by"] == sent.clock.now() + 5 * MINUTE
    assert again["done_by"] == returned["done_by"], "a return buys no time"
    assert again["assignment"]["reason"] == "chosen_by_dispatcher"
    assert sent.move("accept", "G18-01").status == "accepted"


def test_reassigning_takes_it_off_whoever_had_accepted(sent: Scene) -> None:
    sent.move("accept", "G17-01")
    assert sent.move("reassign", "DISP-1", station="ST2").status == "dispatched"
    (ticket,) = sent.tickets
    assert (ticket["team"], ticket["station"], ticket["accepted_by"]) == (None, "ST2", None)
    assert refused(sent, "arrive", "ST2-01").reason == "not_from_here"


def test_nobody_is_sent_where_there_is_nobody(scene: Scene) -> None:
    scene.detect("OUTSIDE-1", rule="noise", severity=Severity.WARNING)
    assert refused(scene, "dispatch", "DISP-1").reason == "nobody_to_send"


def test_rework_goes_to_the_same_people(sent: Scene) -> None:
    sent.handle()
    assert sent.move("rework", "DISP-1", opinion="still smells").status == "accepted"
    assert sent.tickets[0]["handled_at"] is None
    told = [notice["recipient"] for notice in sent.notices if notice["cause"] == "rework"]
    assert "G17-01" in told
    sent.clock.advance(MINUTE)
    sent.move("handle", "G17-01")
    sent.move("rework", "DISP-1", opinion="still")
    assert [n["recipient"] for n in sent.notices if n["cause"] == "rework"] == told * 2


def test_closing_over_open_alerts_is_the_dispatchers_and_rearms_them(sent: Scene) -> None:
    sent.handle()
    sent.move("check", "LEAD-1")
    assert refused(sent, "close", "LEAD-1").reason == "alerts_open"
    moved = sent.move("close", "DISP-1")
    assert moved.status == "closed"
    assert moved.rearm == [Rearm("device", "PLANT-1", "gas.lel")]
    assert (sent.alerts[0]["closed_how"], sent.tickets[0]["recovered_at"]) == ("by_hand", None)


def test_closing_after_recovery_is_a_leaders_too_and_rearms_nothing(sent: Scene) -> None:
    sent.detect("PLANT-1", Change.CLEARED)
    sent.handle()
    sent.move("check", "LEAD-1")
    assert sent.move("close", "LEAD-1") == ("closed", [])


def test_every_move_is_a_change_of_the_page(sent: Scene) -> None:
    sent.finish()
    told = [row["what"]["action"] for row in sent.rows(event_tables.change) if row["kind"] == "ticket"]
    assert told == ["dispatch", *HUMAN_WAY]


def test_two_who_accept_at_once_one_wins_and_the_other_hears_who(sent: Scene) -> None:
    barrier = Barrier(2)
    outcomes: list[str] = []

    def accept(who: str) -> None:
        barrier.wait()
        try:
            with writing(sent.engine) as connection:
                move(connection, sent.town, 1, "accept", who, sent.clock.now())
            outcomes.append("won")
        except MoveRefused as late:
            outcomes.append(late.reason)

    threads = [Thread(target=accept, args=(who,)) for who in ("G17-01", "G17-02")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_accepted", "won"]
    assert sent.log.count("accept") == 1
