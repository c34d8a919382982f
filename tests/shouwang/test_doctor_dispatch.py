"""What the doctor says of rosters and of a routing service."""

from datetime import date, datetime
from pathlib import Path

import pytest

from alerts.distances import Route
from alerts.notices import enqueue
from alerts.routes import keep_routes
from alerts.working_time import WorkCalendar
from core.clock import DAY, HOUR, MINUTE, SHANGHAI, SystemClock, moment_of
from core.database import open_engine, writing
from shouwang.dispatch_findings import calendar_finding
from tests.alerts.notices.notice_rows import put_ticket, to_robot
from tests.shouwang.command_line import run

PEOPLE = "code,name,role,team,shift\nP1,甲,patroller,T1,{shift}\nP2,乙,patroller,T1,day\n"


def said() -> str:
    return " ".join(run("doctor", "--language", "en").stdout.split())


def responders(folder: Path, shift: str) -> None:
    (folder / "teams.csv").write_text("code,name,grid\nT1,一队,G01\n", "utf-8")
    (folder / "people.csv").write_text(PEOPLE.format(shift=shift), "utf-8")
    run("town", "import", folder)


def told(age: int) -> None:
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        keep_routes(connection, {(("station", "S1"), "PLANT"): Route(1.0, 1.0)}, "test", SystemClock().now() - age)
    engine.dispose()


def test_a_patrol_without_roster_is_told_until_something_tells_its_people_apart(town: Path) -> None:
    run("town", "import", town)
    assert "doubtful rosters: there is no patrol" in said()
    responders(town, "")
    assert "doubtful rosters: 1 of 1 patrols have none today, such as T1: all of a grid hear by day" in said()
    responders(town, "night")
    assert "good rosters: 1 patrols" in said()


@pytest.mark.parametrize(
    ("named", "month", "good"),
    [((), 10, False), ((2090,), 10, True), ((2090,), 12, False), ((2090, 2091), 12, True)],
)
def test_a_year_whose_holidays_nobody_knows_is_told_ahead(named: tuple[int, ...], month: int, good: bool) -> None:
    calendar = WorkCalendar(overrides={date(year, 1, 1): False for year in named})
    assert calendar_finding(calendar, moment_of(datetime(2090, month, 20, tzinfo=SHANGHAI)))[1] is good


def test_a_service_that_tells_nothing_is_doubtful(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "good routes: straight lines" in said()
    monkeypatch.setenv("SHOUWANG_ROUTING__URL", "http://user:s3cret@routes.example")
    assert "doubtful routes: the service told none yet" in said()
    told(3 * DAY)
    assert "doubtful routes: 1 ways, told 72 h ago" in said()
    told(2 * HOUR)
    answer = said()
    assert "good routes: 1 ways, told 2 h ago" in answer
    assert "s3cret" not in answer


def test_notices_that_wait_with_nobody_to_send_them_are_told(town: Path) -> None:
    run("town", "import", town)
    assert "good senders: no notice waits" in said()
    now = SystemClock().now()
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        row = put_ticket(connection, site=None, grid=None)
        enqueue(connection, row, None, [to_robot()], "dispatched", now - 3 * MINUTE, now - 3 * MINUTE)
    engine.dispose()
    answer = " ".join(run("doctor", "--language", "en", fails=1).stdout.split())  # the ticket has no next step either
    assert "doubtful senders: 1 notices wait, for up to 3 min" in answer
