"""Dead letters over HTTP: found, read, replayed, and the device enrolled, on both databases."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from sqlalchemy import Engine, select

from console.language import LANGUAGES, texts
from core.clock import HOUR, SystemClock
from core.database import reading, writing
from core.journal import Offset
from devices import tables
from ingest.dead_letters import keep, mark_replayed
from ingest.formats.items import Measured
from ingest.formats.v1 import telemetry
from ingest.tables import dead_letter
from ingest.words import RegistryChanged, Reject
from tests.console.console_scene import Town, Visit, console_on

EUI = "a81758fffe05"


@pytest.fixture
def letters(engine: Engine) -> Iterator[tuple[Town, Visit]]:
    """A console over a town with letters: 1-3 of a device that nobody enrolled, 4 of bytes, 5 cut and yesterday's."""
    town = Town(engine, SystemClock())
    now = town.clock.now()
    payload = telemetry([Measured(EUI, {"gas_lel": 3.0, "battery": 90.0}, 1)])
    topic, detail = "sw/v1/GW-0001/telemetry", f"device {EUI} is not registered"
    rejects = [Reject(topic, payload, now - 3 + n, "GW-0001", "unknown_device", detail, 2) for n in range(3)]
    rejects.append(Reject("##", b"\x00\xff##0101<script>", now, "GW-9", "bad_crc", "1C80 expected"))
    rejects.append(Reject("big", b'{"a":', now - 30 * HOUR, "GW-9", "oversize", "300000 bytes", messages=7))
    with writing(engine) as connection:
        keep(connection, [(Offset(0, n), each) for n, each in enumerate(rejects, 1)], Offset(0, 5))
    with console_on(town) as url:
        visit = Visit(url)
        yield town, visit
        visit.close()


def asked(town: Town) -> list[int]:
    with reading(town.engine) as connection:
        waiting = select(dead_letter.c.id).where(dead_letter.c.replay_asked_at.is_not(None))
        return list(connection.execute(waiting.order_by(dead_letter.c.journal_n)).scalars())


def ids(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<td class="mono"><a href="/rejects/(\d+)">', page)]


def test_they_are_filtered_under_the_counts_of_all(letters: tuple[Town, Visit]) -> None:
    _, visit = letters
    desk = visit("disp")
    page = desk.get("/rejects").text
    assert ids(page) == [4, 3, 2, 1], "of the last day, the newest first"
    assert re.search(
        r'unknown_device&amp;hours=24&amp;contains=">未登记的设备</a></td><td class="num">3</td><td class="num">6<',
        page,
    )
    assert ids(desk.get("/rejects?hours=168").text) == [5, 4, 3, 2, 1]
    assert '<td class="num">7</td>' in desk.get("/rejects?hours=168&reason=oversize").text, "counted ones too"
    assert ids(desk.get("/rejects?gateway=GW-9").text) == [4]
    assert ids(desk.get("/rejects?reason=unknown_device&gateway=GW-0001").text) == [3, 2, 1]
    assert ids(desk.get(f"/rejects?contains={EUI}").text) == [3, 2, 1]
    assert ids(desk.get("/rejects?before=3").text) == [2, 1]
    assert desk.get("/rejects?hours=0").status_code == 422


def test_pages_go_on_where_the_last_one_ended(letters: tuple[Town, Visit]) -> None:
    town, visit = letters
    now = town.clock.now()
    with writing(town.engine) as connection:
        more = [(Offset(0, n), Reject("t", b"", now, "GW-7", "flood", "")) for n in range(10, 70)]
        keep(connection, more, Offset(0, 70))
    desk = visit("disp")
    first = desk.get("/rejects?gateway=GW-7").text
    (older,) = re.findall(r'href="(/rejects\?[^"]*before=[^"]*)"', first)
    second = desk.get(older.replace("&amp;", "&")).text
    assert (len(ids(first)), len(ids(second))) == (50, 10)
    assert set(ids(first)) & set(ids(second)) == set()


def test_one_is_shown_whole_with_what_to_do(letters: tuple[Town, Visit]) -> None:
    _, visit = letters
    desk = visit("disp")
    page = desk.get("/rejects/1").text
    assert "&#34;gas_lel&#34;: 3.0" in page, "indented"
    assert texts("zh")["reject_help.unknown_device"] in page
    binary = desk.get("/rejects/4").text
    assert "00000000  00 ff 23 23" in binary
    assert "|..##0101&lt;script&gt;|" in binary
    assert "/replay" not in desk.get("/rejects/5").text, "what was cut can't be replayed"
    assert "/enrol" not in binary
    assert desk.get("/rejects/99").status_code == 404


def test_one_is_replayed_and_its_outcome_seen(letters: tuple[Town, Visit]) -> None:
    town, visit = letters
    desk = visit("disp")
    assert desk.post("/rejects/2/replay").headers["location"] == "/rejects/2?asked=1"
    assert asked(town) == [2]
    assert "等待重放" in desk.get("/rejects/2").text
    with writing(town.engine) as connection:
        mark_replayed(connection, [2], town.clock.now())
    assert "已重放" in desk.get("/rejects/2").text
    with writing(town.engine) as connection:
        came = connection.scalar(select(dead_letter.c.received_at).where(dead_letter.c.id == 2))
        again = Reject("t", b"{}", int(came or 0), "GW-0001", "unknown_metric", "no such metric")
        keep(connection, [(Offset(0, 9), again)], Offset(0, 9))
    assert "重放后又被拒收：第 6 条" in desk.get("/rejects/2").text
    assert '<a href="/rejects/6">' in desk.get("/rejects?gateway=GW-0001").text
    assert desk.post("/rejects/99/replay").status_code == 404


def test_all_of_a_filter_are_replayed(letters: tuple[Town, Visit]) -> None:
    town, visit = letters
    form = {"gateway": "GW-0001", "reason": "unknown_device", "hours": "24", "contains": ""}
    answer = visit("disp").post("/rejects/replay", data=form)
    assert answer.headers["location"].endswith("contains=&asked=3")
    assert asked(town) == [1, 2, 3]


def test_a_device_is_enrolled_from_its_letter_and_its_letters_come_again(letters: tuple[Town, Visit]) -> None:
    town, visit = letters
    desk = visit("disp")
    page = desk.get("/rejects/3").text
    assert f'name="code" value="{EUI}"' in page
    assert re.search(r'<option value="gas" selected>[^<]*2/2', page), "the type that knows all it measures"
    assert 'name="site" value="S01"' in page, "where its gateway is"
    assert '<option value="S09">' in page
    form = {"code": "GAS-0100", "type": "gas", "site": "S02", "name": "厨房", "state": "in_service", "replay": "yes"}
    answer = desk.post("/rejects/3/enrol", data=form)
    assert answer.headers["location"] == "/rejects/3?enrolled=GAS-0100&asked=3"
    assert "已登记 GAS-0100" in desk.get(answer.headers["location"]).text
    assert asked(town) == [1, 2, 3]
    (control,) = town.controls
    with reading(town.engine) as connection:
        assert control == RegistryChanged(connection.scalar(select(tables.registry.c.version)) or 0)
        row = connection.execute(select(tables.device).where(tables.device.c.code == "GAS-0100")).one()
    assert (row.gateway, row.site, row.name, row.state) == ("GW-0001", "S02", "厨房", "in_service")
    assert row.attributes == {"alias": EUI}
    assert row.in_service_at > 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"code": "GAS-0001"}, "taken"), ({"code": "甲"}, "code"), ({"type": "x"}, "type"), ({"site": "S99"}, "site"),
     ({"state": "retired"}, "state")],
)  # fmt: skip
def test_what_can_not_be_enrolled_is_said_beside_what_was_filled_in(
    letters: tuple[Town, Visit], wrong: dict[str, str], said: str
) -> None:
    town, visit = letters
    form = {"code": "GAS-0100", "type": "gas", "site": "S02", "state": "in_service", "name": "厨房", **wrong}
    answer = visit("disp").post("/rejects/3/enrol", data=form)
    assert answer.status_code == 409
    assert texts("zh")[f"enrol_refused.{said}"] in answer.text
    assert 'name="name" value="厨房"' in answer.text
    assert town.controls == []
    assert asked(town) == []


def test_a_letter_of_an_unknown_gateway_or_of_no_device_offers_no_enrolment(letters: tuple[Town, Visit]) -> None:
    town, visit = letters
    with writing(town.engine) as connection:
        connection.execute(tables.gateway.update().values(retired=1))
    desk = visit("disp")
    assert "/enrol" not in desk.get("/rejects/1").text
    form = {"code": "GAS-0100", "type": "gas", "site": "S02", "state": "in_service"}
    assert desk.post("/rejects/1/enrol", data=form).status_code == 409
    assert desk.post("/rejects/4/enrol", data=form).status_code == 404


@pytest.mark.parametrize("path", ["/rejects", "/rejects/1"])
def test_patrollers_and_strangers_see_none(letters: tuple[Town, Visit], path: str) -> None:
    _, visit = letters
    assert visit("g01").get(path).status_code == 403
    assert visit().get(path).headers["location"].startswith("/signin")


@pytest.mark.parametrize("path", ["/rejects/replay", "/rejects/1/replay", "/rejects/1/enrol"])
def test_patrollers_and_other_sites_change_none(letters: tuple[Town, Visit], path: str) -> None:
    town, visit = letters
    assert visit("g01").post(path).status_code == 403
    assert visit("disp").post(path, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert asked(town) == []


def test_every_reason_of_the_gate_is_explained() -> None:
    """Whatever reason stands in the sources of ingest has a name and a help in both languages."""
    sources = [path for folder in ("", "formats") for path in (files("ingest") / folder).iterdir()]
    code = "\n".join(path.read_text("utf-8") for path in sources if path.name.endswith(".py"))
    reasons = set(re.findall(r'(?<!Stranger)(?<!Options)Refused\(\s*"([a-z_]+)"', code))
    reasons |= {"unknown_metric", "unknown_device", "retired_device", "foreign_device", "flood", "disabled_gateway"}
    assert len(reasons) > 15
    for language in LANGUAGES:
        known = texts(language)
        assert {r for r in reasons if f"reject_reason.{r}" not in known or f"reject_help.{r}" not in known} == set()


def test_english_is_spoken_too(letters: tuple[Town, Visit]) -> None:
    _, visit = letters
    desk = visit("disp")
    desk.cookies.set("shouwang_language", "en")
    assert "Not replayed" in desk.get("/rejects").text
    assert "Enrol this device" in desk.get("/rejects/1").text
