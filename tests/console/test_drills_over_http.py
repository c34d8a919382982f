"""A drill on people's phones: from its notice by the personal link to an answer."""

from sqlalchemy import select

from alerts.drills import define, run_due, runs_of, start
from alerts.tables import phone_message
from core.database import reading, writing
from tests.alerts.notices.notice_rows import make_link
from tests.console.console_scene import Town, Visit


def test_an_answer_is_one_tap_on_the_personal_link(town: Town, visit: Visit, url: str) -> None:
    now = town.clock.now()
    with writing(town.engine) as connection:
        define(connection, town.view, "联络演练", "li", now, ("T-G01",))
        run = start(connection, town.view, 1, now)
        stranger = make_link(connection, "ST1-01", run["ticket"], now)
    assert town.send_notices(url)
    with reading(town.engine) as connection:
        links = dict(connection.execute(select(phone_message.c.person, phone_message.c.link)).all())
        texts = connection.scalars(select(phone_message.c.text)).all()
    assert all("演练" in text for text in texts)
    for who in ("G01-01", "G01-02"):
        path = links[who].removeprefix(url)
        asked = visit().get(path).text
        assert "演练" in asked
        assert "<b>位置不明" not in asked
        done = visit().post(f"{path}/accept")
        assert done.status_code == 303
        told = visit().get(done.headers["location"]).text
        assert "已应答演练" in told
        assert "另一方" not in told
    assert visit().post(f"/t/{stranger}/accept").status_code == 409
    with writing(town.engine) as connection:
        assert run_due(connection, town.view, town.rules, town.clock.now()) == 1
    with reading(town.engine) as connection:
        (run,) = runs_of(connection, 1)
    assert {row["code"]: (row["outcome"], row["channel"]) for row in run["report"]["people"]} == {
        "G01-01": ("answered", "phone"),
        "G01-02": ("answered", "phone"),
    }
    hall = visit("disp").get("/api/v1/state").json()
    assert hall["figures"]["open_tickets"] == 0
