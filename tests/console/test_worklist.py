"""The queue's order, filters and counts, and the board's figures, on both databases."""

from sqlalchemy import Engine, select, update

from alerts.case_tables import ticket_timer
from alerts.categories import ensure_categories
from alerts.manual_tickets import Report, report
from alerts.moves import move
from alerts.tables import alert, notice, ticket
from alerts.timers import DESK_STAGES
from console.board import figures, open_alerts_by_site, town_shapes, unproven
from console.stages import badges_of
from console.worklist import Filter, mine, posting, queue, tab_counts
from core.clock import MINUTE, ManualClock
from core.database import reading, writing
from detectors.words import Severity
from devices.tables import device
from tests.console.console_scene import Town


def numbers(engine: Engine, wanted: Filter = Filter()) -> list[int]:  # noqa: B008
    with reading(engine) as connection:
        return [row["id"] for row in queue(connection, wanted)]


def open_tickets(engine: Engine, clock: ManualClock) -> Town:
    """Three tickets: 1 critical gas in G01, 2 an alarm flood in G02, 3 a warning in G03."""
    town = Town(engine, clock)
    town.alert("GAS-0001")
    town.alert("WTR-0002", "flood.road", Severity.ALARM, 18.0, 15.0)
    town.alert("GAS-0003", "device.silence", Severity.WARNING, None, None)
    return town


def test_least_time_left_comes_first_and_what_no_clock_runs_on_last(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    assert numbers(engine) == [1, 2, 3]
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 2).values(accept_by=1))
        connection.execute(update(ticket).where(ticket.c.id == 1).values(status="handled"))
    assert numbers(engine) == [2, 3, 1]


def test_what_the_desk_owes_counts_as_any_stage_does(engine: Engine, clock: ManualClock) -> None:
    """Reported by hand behind one that is due in 15 minutes: by its own clock, not at the end for ever."""
    scene = open_tickets(engine, clock)
    with writing(engine) as connection:
        ensure_categories(connection)
        said = Report("井盖缺失", "城市管理", Severity.ALARM, site="S01")
        number = report(connection, scene.view, said, clock.now(), "patrol", "DISP-1")["id"]
    with reading(engine) as connection:
        rows = queue(connection, Filter())
    assert [row["due_by"] for row in rows] == sorted(row["due_by"] for row in rows)
    (own,) = (row for row in rows if row["id"] == number)
    assert own["due_stage"] in DESK_STAGES
    assert rows[-1]["id"] != number, "the warning has a working day, the desk has less"
    with writing(engine) as connection:
        move(connection, scene.view, 1, "accept", "G01-01", clock.now())
        for action in ("arrive", "handle"):
            move(connection, scene.view, 1, action, "G01-01", clock.advance(MINUTE))
        kept = connection.execute(select(ticket).where(ticket.c.id == 1)).mappings().one()
        check = connection.execute(
            select(ticket_timer.c.due_at).where(ticket_timer.c.ticket == 1, ticket_timer.c.stage == "check")
        ).scalar_one()
    assert kept["desk_by"] == kept["queue_by"] == check


def test_filters_narrow_the_queue_and_the_counts_alike(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    assert numbers(engine, Filter(severity=3)) == [1, 2]
    assert numbers(engine, Filter(grid="G02")) == [2]
    assert numbers(engine, Filter(hazard="gas")) == [1]
    assert numbers(engine, Filter(tab="working")) == []
    with reading(engine) as connection:
        counted = {"all": 2, "to_assign": 0, "waiting": 2, "working": 0, "to_check": 0, "suspended": 0}
        assert tab_counts(connection, Filter(severity=3)) == counted


def test_what_somebody_presses_for_comes_first(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        pressed = {"priority": 1, "supervised_at": 5, "source": "12345"}
        connection.execute(update(ticket).where(ticket.c.id == 3).values(**pressed))
    assert numbers(engine) == [3, 1, 2]
    assert numbers(engine, Filter(source="12345")) == [3]
    with reading(engine) as connection:
        assert badges_of(queue(connection, Filter())[0], clock.now()) == ["supervised"]


def test_a_suspended_ticket_says_when_it_goes_on(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 3).values(status="suspended", resume_at=77))
    with reading(engine) as connection:
        shown = queue(connection, Filter("suspended"))
    assert [(row["id"], row["due_stage"], row["due_by"]) for row in shown] == [(3, "resume", 77)]


def test_an_ended_ticket_is_in_no_queue(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 1).values(status="closed"))
    assert numbers(engine) == [2, 3]


def test_a_patroller_sees_the_tickets_of_the_own_team_or_station(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        connection.execute(update(ticket).values(team=None, station=None))
        connection.execute(update(ticket).where(ticket.c.id == 1).values(team="T-G01"))
        connection.execute(update(ticket).where(ticket.c.id == 2).values(station="ST1"))
    with reading(engine) as connection:
        patroller, officer = posting(connection, "G01-01"), posting(connection, "ST1-01")
        assert patroller is not None
        assert officer is not None
        assert [row["id"] for row in mine(connection, patroller)] == [1]
        assert [row["id"] for row in mine(connection, officer)] == [2]
        assert posting(connection, "nobody") is None


def test_the_map_shows_open_alerts_by_site_severity_and_hazard(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        connection.execute(update(alert).where(alert.c.id == 2).values(state="closed"))
    with reading(engine) as connection:
        assert open_alerts_by_site(connection) == {"S01": [(4, "gas", 1)], "S03": [(2, "device", 1)]}
        shapes = town_shapes(connection)
    assert len(shapes["grids"]) == 9
    assert shapes["grids"][0]["geometry"]["type"] == "Polygon"
    assert shapes["sites"][0][:4] == ["S01", "enterprise", "示例点位 01", "Sample site 01"]


def test_the_figures_count_what_is_open_now(engine: Engine, clock: ManualClock) -> None:
    town = open_tickets(engine, clock)
    town.alert("GW-0001", "gateway.offline", Severity.ALARM, None, None)
    with reading(engine) as connection:
        found = figures(connection, town.rules, {"readings_per_s": 7.0}, clock.now())
    assert found["silent"] == 1
    assert found["gateways_down"] == 1
    assert found["open_alerts"] == 4
    assert found["in_service"] == 18
    assert found["readings_per_s"] == 7.0
    assert found["lag_ms"] is None


def test_a_notice_counts_as_unproven_until_somebody_accepts(engine: Engine, clock: ManualClock) -> None:
    open_tickets(engine, clock)
    with writing(engine) as connection:
        rows = connection.execute(select(notice.c.id).where(notice.c.ticket == 1).order_by(notice.c.id)).scalars().all()
        connection.execute(update(notice).values(state="queued"))
        connection.execute(update(notice).where(notice.c.id == rows[0]).values(state="accepted"))
        connection.execute(update(notice).where(notice.c.id == rows[1]).values(state="uncertain"))
    with reading(engine) as connection:
        assert unproven(connection) == 2
    with writing(engine) as connection:
        connection.execute(update(ticket).where(ticket.c.id == 1).values(status="accepted"))
    with reading(engine) as connection:
        assert unproven(connection) == 0


def test_a_maintenance_that_is_over_counts_as_in_service(engine: Engine, clock: ManualClock) -> None:
    town = Town(engine, clock)
    with writing(engine) as connection:
        ended = {"state": "maintenance", "state_until": clock.now()}
        going = {"state": "maintenance", "state_until": clock.now() + MINUTE}
        connection.execute(update(device).where(device.c.code == "GAS-0001").values(**ended))
        connection.execute(update(device).where(device.c.code == "GAS-0002").values(**going))
    with reading(engine) as connection:
        assert figures(connection, town.rules, {}, clock.now())["in_service"] == 17
