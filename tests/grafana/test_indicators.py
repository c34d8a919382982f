"""The indicators against tickets and alerts made by hand, at the edges of what counts."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, insert, text

from alerts.case_tables import ticket_timer
from alerts.tables import alert, ticket, ticket_log
from core.clock import DAY, HOUR, MINUTE, SECOND
from core.database import open_engine, reading, writing
from detectors.words import Severity
from grafana import indicators
from grafana.views import ensure_views
from tests.alerts.desk_scene import MONDAY_TEN, fill_town
from tests.grafana.filling import Choice, Range, filled_sql
from tests.servers import Postgres

PERIOD = Range(MONDAY_TEN, MONDAY_TEN + 6 * HOUR)
START, END = PERIOD.start, PERIOD.end
ALL = "true"


class Desk:
    """A database in which tickets and alerts are written as they would stand, and asked as Grafana does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.number = 0

    def _add(self, table: Table, **values: Any) -> int:
        with writing(self.engine) as connection:
            return int(connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one())

    def ticket(self, **given: Any) -> int:
        self.number += 1
        values = {
            **{"number": str(self.number), "source": "iot", "status": "dispatched", "title": "x", "hazard": "gas"},
            **{"category": "安全生产", "severity": 3, "life_safety": False, "reported_at": START, "updated_at": START},
            **{"grid": "G17", "village": "V1", "team": "T-G17", "station": "ST1", "done_by": START + HOUR},
        }
        return self._add(ticket, **{**values, **given})

    def stage(self, ticket_id: int, stage: str, seconds: float, ended_at: int, **given: Any) -> None:
        started = ended_at - int(seconds * SECOND)
        values = {
            **{"ticket": ticket_id, "stage": stage, "state": "done", "clock": "running", "rule": "r", "paused": 0},
            **{"started_at": started, "ended_at": ended_at, "due_at": ended_at},
        }
        self._add(ticket_timer, **{**values, **given})

    def moved(self, ticket_id: int, action: str, at: int) -> None:
        self._add(
            ticket_log, ticket=ticket_id, at=at, who="DISP-1", action=action, to_status="dispatched", reason="asked"
        )

    def alarm(self, at: int, device: str = "PLANT-1", **given: Any) -> None:
        values = {
            **{"subject_kind": "device", "subject_id": device, "rule": "gas.lel", "onset": at, "state": "closed"},
            **{"severity": 3, "level": 0, "hazard": "gas", "category": "安全生产", "life_safety": True, "paged": True},
            **{"rules_version": 1, "at": at, "received_at": at, "journalled_at": at, "journal_n": 1},
            **{"opened_at": at, "updated_at": at, "closed_at": at + SECOND, "site": "PLANT", "grid": "G17"},
        }
        self._add(alert, **{**values, **given})

    def ask(self, sql: str, seats: int = 1, span: Range = PERIOD) -> list[dict[str, Any]]:
        filled = filled_sql(sql, {"seats": Choice([str(seats)], multi=False)}, span)
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(text(filled.replace(":", r"\:"))).mappings()]

    def value(self, sql: str, seats: int = 1, span: Range = PERIOD) -> float | None:
        [row] = self.ask(sql, seats, span)
        return None if row["value"] is None else float(row["value"])


@pytest.fixture
def desk(postgres: Postgres, postgres_template: str) -> Iterator[Desk]:
    name = postgres.create(postgres_template)
    engine = open_engine(postgres.url(name))
    with writing(engine) as connection:
        fill_town(connection)
        assert ensure_views(connection)
    yield Desk(engine)
    engine.dispose()
    postgres.drop(name)


FIGURES: dict[str, Callable[[], str]] = {
    "on_time": lambda: indicators.on_time(ALL),
    "registered": lambda: indicators.registered_on_time(ALL),
    "accurate": lambda: indicators.accurately_dispatched(ALL),
    "valid": lambda: indicators.validly_reported(ALL),
    "reworked": lambda: indicators.handled_with("reworks", ALL),
    "extended": lambda: indicators.handled_with("extensions", ALL),
    "top": lambda: indicators.top_share(ALL),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_share_of_nothing_is_no_share(desk: Desk, name: str) -> None:
    assert desk.value(FIGURES[name]()) is None


def test_handled_at_the_very_moment_is_on_time_and_a_microsecond_later_is_not(desk: Desk) -> None:
    due = START + HOUR
    desk.ticket(status="closed", result="handled", handled_at=due, closed_at=due + HOUR)
    assert desk.value(indicators.on_time(ALL)) == 100
    desk.ticket(status="closed", result="handled", handled_at=due + 1, closed_at=due + HOUR)
    assert desk.value(indicators.on_time(ALL)) == 50


def test_what_counts_in_on_time_handling(desk: Desk) -> None:
    """Each of these beside one that was on time and one that was late: 50 % stays where it does not count."""
    handled = {"status": "handled", "handled_at": START + MINUTE}
    desk.ticket(**handled)
    desk.ticket(status="accepted")  # nobody handled it, and its time is over
    assert desk.value(indicators.on_time(ALL)) == 50
    never: list[dict[str, Any]] = [
        {"status": "void", "result": "void", "closed_at": START + 2 * HOUR},
        {"status": "merged", "result": "merged", "closed_at": START + 2 * HOUR},
        {"status": "suspended", "suspended_from": "accepted"},
        {"status": "accepted", "done_by": None},
        {"status": "closed", "result": "self_recovered", "closed_at": START + MINUTE},
        {"status": "closed", "result": "test", "closed_at": START + MINUTE, "drill": 1},
        {"status": "accepted", "done_by": 2**50},  # not yet due
        {"status": "handled", "handled_at": START - 1},  # the period before
        {"status": "handled", "handled_at": END, "done_by": END + HOUR},  # the one after
    ]
    for each in never:
        desk.ticket(**each)
        assert desk.value(indicators.on_time(ALL)) == 50, each
    desk.ticket(status="false_alarm", result="false_alarm", closed_at=START + MINUTE)  # somebody looked in time
    assert desk.value(indicators.on_time(ALL)) == pytest.approx(200 / 3)


def test_a_late_one_counts_when_its_time_is_over_and_not_again_when_it_is_handled(desk: Desk) -> None:
    desk.ticket(status="handled", handled_at=END + HOUR, done_by=START)
    assert desk.value(indicators.on_time(ALL)) == 0
    assert desk.value(indicators.on_time(ALL), span=Range(END, END + 2 * HOUR)) is None


def test_on_time_handling_by_team_names_the_worst_first(desk: Desk) -> None:
    desk.ticket(handled_at=START + MINUTE, status="handled")
    desk.ticket(handled_at=START + MINUTE, status="handled", team="T-G18", grid="G18")
    desk.ticket(status="accepted", team="T-G18", grid="G18")
    found = desk.ask(indicators.on_time_by("team", ALL))
    assert [(row["team"], row["due"], row["late"], float(row["rate"])) for row in found] == [
        ("T-G18", 2, 1, 50.0),
        ("T-G17", 1, 0, 100.0),
    ]
    assert len(desk.ask(indicators.on_time_by("grid", "coalesce(grid, '') ~ '^(G17)$'"))) == 1


def test_response_times_leave_out_pauses_what_was_undone_and_drills(desk: Desk) -> None:
    numbers = [desk.ticket() for _ in range(3)]
    for number, seconds in zip(numbers, (60, 120, 600), strict=True):
        desk.stage(number, "accept", seconds, START + HOUR)
    desk.stage(numbers[0], "arrive", 1_000, START + HOUR, paused=400 * SECOND)
    desk.stage(numbers[0], "accept", 9_999, START + 2 * HOUR, state="void")
    desk.stage(desk.ticket(drill=1), "accept", 9_999, START + HOUR)
    desk.stage(desk.ticket(team="T-G18"), "accept", 30, START)  # the period's first moment
    desk.stage(desk.ticket(team="T-G18"), "accept", 9_999, END)  # and what is none of it any more
    first, second = desk.ask(indicators.response_by("team", ALL))
    assert (first["team"], first["tickets"]) == ("T-G17", 3)
    assert (first["accept_p50"], first["arrive_p50"], first["handle_p50"]) == (120.0, 600.0, None)
    assert first["accept_p90"] == pytest.approx(504.0)
    assert (second["team"], second["accept_p50"]) == ("T-G18", 30.0)


def test_registering_in_time_counts_what_had_a_time(desk: Desk) -> None:
    number = desk.ticket()
    desk.stage(number, "register", 10, START + MINUTE)
    desk.stage(desk.ticket(), "register", 10, START + MINUTE, state="overdue")
    desk.stage(desk.ticket(), "register", 10, START + MINUTE, due_at=None)
    desk.stage(desk.ticket(), "verify", 10, START + MINUTE, state="overdue")
    assert desk.value(indicators.registered_on_time(ALL)) == 50


def test_a_ticket_that_came_back_was_dispatched_wrongly_once(desk: Desk) -> None:
    right, returned, given_on, drill = desk.ticket(), desk.ticket(), desk.ticket(), desk.ticket(drill=1)
    for number in (right, returned, given_on, drill):
        desk.moved(number, "dispatch", START + MINUTE)
    desk.moved(returned, "return", END + HOUR)
    desk.moved(returned, "dispatch", START + HOUR)
    desk.moved(given_on, "reassign", START + HOUR)
    desk.moved(drill, "return", START + HOUR)
    assert desk.value(indicators.accurately_dispatched(ALL)) == pytest.approx(100 / 3)


def test_reports_by_hand_are_valid_when_they_led_to_work(desk: Desk) -> None:
    ended = {"closed_at": START + HOUR}
    for status, source in (("closed", "patrol"), ("closed", "12345"), ("void", "patrol"), ("false_alarm", "video")):
        desk.ticket(status=status, source=source, **ended)
    desk.ticket(status="merged", source="patrol", **ended)
    desk.ticket(status="false_alarm", source="iot", **ended)
    assert desk.value(indicators.validly_reported(ALL)) == 50


def test_rework_and_extension_are_shares_of_what_was_handled(desk: Desk) -> None:
    for reworks, extensions in ((0, 0), (2, 0), (0, 1), (0, 0)):
        desk.ticket(status="closed", handled_at=START + HOUR, reworks=reworks, extensions=extensions)
    desk.ticket(status="accepted", reworks=1, extensions=1)
    assert desk.value(indicators.handled_with("reworks", ALL)) == 25
    assert desk.value(indicators.handled_with("extensions", ALL)) == 25


def test_alarms_an_operator_s_hour(desk: Desk) -> None:
    for place in range(12):
        desk.alarm(START + place * MINUTE)
    desk.alarm(START - 1)
    desk.alarm(END)
    desk.alarm(START + HOUR, paged=False)
    assert desk.value(indicators.alarms_an_hour(ALL)) == 2
    assert desk.value(indicators.alarms_an_hour(ALL), seats=2) == 1
    lines = desk.ask(indicators.alarms_over_time(ALL))
    assert [(row["metric"], row["alarms"]) for row in lines] == [("3", 10), ("3", 2)]


def test_ten_alarms_in_ten_minutes_are_no_flood_and_eleven_are(desk: Desk) -> None:
    for place in range(10):
        desk.alarm(START + place * SECOND)
    assert desk.value(indicators.flood_share(ALL)) == 0
    desk.alarm(START + 10 * MINUTE - 1)
    assert desk.value(indicators.flood_share(ALL)) == pytest.approx(100 / 36)
    assert desk.value(indicators.flood_share(ALL), seats=2) == 0
    assert desk.value(indicators.flood_share(ALL), span=Range(START, START + 10 * MINUTE)) == 100
    beyond = Range(START - 5 * MINUTE, START + 15 * MINUTE)  # two halves of windows that are left out
    assert desk.value(indicators.flood_share(ALL), span=beyond) == 100
    assert desk.value(indicators.flood_share(ALL), span=Range(START + 1, START + 10 * MINUTE)) is None


def test_the_worst_ten_sources_and_their_share(desk: Desk) -> None:
    for place in range(12):
        for time in range(12 - place):
            desk.alarm(START + place * SECOND + time * MINUTE, device=f"D-{place:02}")
    desk.alarm(START, device="D-00", rule="gas.co")  # another rule on it is another source
    found = desk.ask(indicators.bad_actors(ALL))
    assert [row["alarms"] for row in found] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert found[0]["subject_id"] == "D-00"
    assert float(found[0]["share"]) == pytest.approx(100 * 12 / 79)
    assert desk.value(indicators.top_share(ALL)) == pytest.approx(100 * 75 / 79)


def test_standing_means_more_than_a_day_at_the_period_s_end(desk: Desk) -> None:
    def stood(count: int) -> None:
        assert desk.value(indicators.standing(ALL)) == count

    desk.alarm(END - DAY, state="open", closed_at=None)
    stood(0)
    desk.alarm(END - DAY - 1, device="D-2", state="open", closed_at=None)
    stood(1)
    desk.alarm(END - 2 * DAY, closed_at=END)
    stood(1)
    desk.alarm(END - 2 * DAY, device="D-3", closed_at=END + 1)  # it stood then, though it is over now
    stood(2)


def test_three_openings_within_a_minute_chatter(desk: Desk) -> None:
    for at in (START + 10 * SECOND, START + 30 * SECOND, START + 70 * SECOND + 1):
        desk.alarm(at)
    assert desk.value(indicators.chattering(ALL)) == 0
    desk.alarm(START + 90 * SECOND)  # within exactly a minute of the second
    assert desk.value(indicators.chattering(ALL)) == 1
    for at in (START - 40 * SECOND, START - 30 * SECOND, START + 20 * SECOND):  # it began before the period
        desk.alarm(at, device="D-2")
    assert desk.value(indicators.chattering(ALL)) == 2
    for place in range(3):
        desk.alarm(START + HOUR + place * SECOND, device=f"E-{place}")
    assert desk.value(indicators.chattering(ALL)) == 2


def test_priorities_share_out_to_the_whole(desk: Desk) -> None:
    for severity, count in ((Severity.WARNING, 6), (Severity.ALARM, 3), (Severity.CRITICAL, 1), (Severity.NOTICE, 5)):
        for place in range(count):
            desk.alarm(START + place * SECOND, device=f"{severity}", severity=int(severity))
    found = desk.ask(indicators.priorities(ALL))
    assert [(row["severity"], row["alarms"], float(row["share"]), float(row["wanted"])) for row in found] == [
        (2, 6, 60.0, 80.0),
        (3, 3, 30.0, 15.0),
        (4, 1, 10.0, 5.0),
    ]
