"""The patroller's page, personal links and the demo's phones."""

import re

from sqlalchemy import insert, select

from alerts.categories import ensure_categories
from alerts.manual_tickets import Report, report
from alerts.tables import link, notice, phone_message, ticket, ticket_log
from core.clock import DAY
from core.database import reading, writing
from tests.alerts.notices.notice_rows import make_link
from tests.console.console_scene import LAT, LNG, Town, Visit, console_on


def code_for(town: Town, person: str = "G01-01", ticket_id: int = 1, before: int = 0) -> str:
    with writing(town.engine) as connection:
        return make_link(connection, person, ticket_id, town.clock.now() - before)


def row_of(town: Town) -> tuple[str, str | None]:
    with reading(town.engine) as connection:
        row = connection.execute(select(ticket.c.status, ticket.c.accepted_by)).one()
    return row.status, row.accepted_by


def test_a_card_says_what_where_and_what_to_mind(town: Town, visit: Visit) -> None:
    town.alert()
    page = visit("g01").get("/m").text
    for text in ("可燃气体泄漏", "示例点位 01", "62.5", "%LEL", "tel:00000000000", "coordinate=wgs84", "切勿单人进入"):
        assert text in page
    assert page.count('data-action="accept"') == 1


def test_an_english_card_is_english(town: Town, visit: Visit) -> None:
    town.alert()
    client = visit("g01")
    client.post("/language", data={"language": "en"})
    page = client.get("/m").text
    assert "Combustible gas leak" in page
    assert "Never go in alone" in page


def test_opening_a_link_changes_nothing_however_often(town: Town, visit: Visit) -> None:
    town.alert()
    code = code_for(town)
    with reading(town.engine) as connection:
        before = [connection.execute(select(table)).all() for table in (ticket, ticket_log, link)]
    for _ in range(3):
        assert visit().get(f"/t/{code}").status_code == 200
    with reading(town.engine) as connection:
        assert [connection.execute(select(table)).all() for table in (ticket, ticket_log, link)] == before


def test_a_link_acts_as_its_person_without_signing_in(town: Town, visit: Visit) -> None:
    town.alert()
    code = code_for(town)
    answer = visit().post(f"/t/{code}/accept")
    assert answer.headers["location"] == f"/t/{code}?done=accept"
    assert row_of(town) == ("accepted", "G01-01")


def test_a_double_tap_is_no_error(town: Town, visit: Visit) -> None:
    town.alert()
    code = code_for(town)
    assert [visit().post(f"/t/{code}/accept").status_code for _ in range(2)] == [303, 303]


def test_the_second_to_accept_is_told_who_was_first(town: Town, visit: Visit) -> None:
    town.alert()
    visit().post(f"/t/{code_for(town)}/accept")
    late = visit().post(f"/t/{code_for(town, 'G01-02')}/accept")
    assert late.status_code == 409
    assert "G01-01" in late.text
    assert row_of(town) == ("accepted", "G01-01")


def test_a_return_says_its_reason_in_one_tap(town: Town, visit: Visit) -> None:
    town.alert()
    visit().post(f"/t/{code_for(town)}/return", data={"reason": "no_way"})
    with reading(town.engine) as connection:
        said = connection.execute(select(ticket_log.c.opinion).where(ticket_log.c.action == "return")).scalar_one()
    assert said == "无法到达"


def test_a_link_that_ran_out_or_never_was_is_refused(town: Town, visit: Visit) -> None:
    town.alert()
    for code in (code_for(town, before=DAY), "abcdefghijkmn"):
        assert visit().get(f"/t/{code}").status_code == 404
        assert visit().post(f"/t/{code}/accept").status_code == 404
    assert row_of(town) == ("dispatched", None)


def test_a_link_can_do_only_what_a_patroller_does(town: Town, visit: Visit) -> None:
    town.alert()
    assert visit().post(f"/t/{code_for(town)}/void").status_code == 404


def test_somebody_elses_ticket_can_not_be_moved(town: Town, visit: Visit) -> None:
    town.alert("GAS-0009")
    with writing(town.engine) as connection:  # by day the only patrol is sent there too
        connection.execute(ticket.update().values(team=None, assignment={}))
        connection.execute(notice.delete())
        number = connection.scalar(select(ticket.c.number))
    answer = visit("g01").post(f"/m/tickets/{number}/accept")
    assert answer.status_code == 409
    assert row_of(town)[0] == "dispatched"


def test_the_phones_show_messages_with_links_that_work(town: Town, visit: Visit) -> None:
    town.alert()
    assert town.send_notices(visit.url) > 0
    page = visit().get("/phone?person=G01-01").text
    found = re.search(r'href="(http[^"]+/t/[^"]+)"', page)
    assert found
    assert visit().get(found[1]).status_code == 200
    with reading(town.engine) as connection:
        newest = connection.scalar(select(phone_message.c.notice).order_by(phone_message.c.sent_at.desc()))
    assert newest
    seen = re.search(r"seen=(\d+)", page)
    assert seen
    assert visit().get(f"/phone?seen={seen[1]}").status_code == 204


def test_the_phone_on_top_has_a_link_to_tap_though_a_group_was_told_last(town: Town, visit: Visit) -> None:
    town.alert()
    assert town.send_notices(visit.url) > 0
    group = {"notice": 10**6, "person": "demo-G01", "text": "组", "link": "", "sent_at": town.clock.now() + 1}
    with writing(town.engine) as connection:
        connection.execute(insert(phone_message).values(group))
    page = visit().get("/phone").text
    assert "demo-G01" in page
    assert re.search(r'href="http[^"]+/t/[^"]+"', page)


def test_outside_a_demo_there_are_no_phones(town: Town) -> None:
    with console_on(town, demo=False) as url:
        made = Visit(url)
        assert made().get("/phone").status_code == 404
        assert "/phone" not in made("disp").get("/").text
        made.close()


def test_who_no_longer_has_the_ticket_sees_so_and_is_offered_nothing(town: Town, visit: Visit) -> None:
    town.alert()
    code, buttons = code_for(town), 'data-action="'
    visit().post(f"/t/{code}/accept")
    assert buttons in visit().get(f"/t/{code}").text
    with writing(town.engine) as connection:
        later = town.clock.now() + 1
        sent = {"status": "dispatched", "team": None, "station": "ST1", "accepted_by": None, "assignment": {}}
        connection.execute(ticket.update().values(**sent, dispatched_at=later))
    page = visit().get(f"/t/{code}").text
    assert "已转交他人办理，您不用再去" in page
    assert buttons not in page


def test_a_place_with_a_position_is_not_called_unknown(town: Town, visit: Visit) -> None:
    with writing(town.engine) as connection:
        ensure_categories(connection)
        reported = Report(title="占道", category="城市管理", lng=LNG + 0.005, lat=LAT + 0.005)
        report(connection, town.view, reported, town.clock.now(), "leader", "L-01")
    page = visit().get(f"/t/{code_for(town)}").text
    assert "图上位置（无地址）" in page
    assert "<b>位置不明" not in page
