"""Routes are filled ahead: for every site, again each day and when the town changes; away, the last ones stand."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from alerts import tables
from alerts.distances import Route
from alerts.escalation_tables import route
from alerts.routes import BELIEVED, routes_to
from core.clock import DAY, MINUTE
from core.database import reading, writing
from devices.tables import registry, site
from shouwang.osrm import Osrm
from shouwang.present import town_of
from shouwang.routing import Asked, Routing, requests
from shouwang.settings import SettingsError, load_settings
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, MONDAY_TEN, Scene
from tests.fakes.osrm import OsrmServer
from tests.providers.provider import Answer

ENDS = [("station", "ST1"), ("station", "ST2"), ("team", "T-G17"), ("team", "T-G18")]
AWAY = Answer(b"", status=503)


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene(engine)


@pytest.fixture
def server() -> Iterator[OsrmServer]:
    with OsrmServer() as running:
        yield running


def routing(scene: Scene, server: OsrmServer, most: int = 100) -> Routing:
    return Routing(scene.engine, scene.clock, town_of(scene.engine), Osrm(server.url, most=most, timeout_s=2))


def known(scene: Scene, to: str = "PLANT", now: int = MONDAY_TEN) -> dict[tuple[str, str], Route]:
    with reading(scene.engine) as connection:
        return routes_to(connection, to, ENDS, now)


def test_every_site_has_its_ways_from_stations_and_near_patrols(scene: Scene, server: OsrmServer) -> None:
    assert routing(scene, server).step(MONDAY_TEN) == Asked(known=18)
    assert set(known(scene)) == set(ENDS)
    assert known(scene)["station", "ST2"].metres == pytest.approx(4000, abs=15)
    assert set(known(scene, "OUTSIDE")) == set(ENDS[:2]), "outside every grid only stations are asked for"


def test_a_tickets_choice_says_that_its_ways_are_real(scene: Scene, server: OsrmServer) -> None:
    scene.detect("PLANT-2", rule="noise")
    routing(scene, server).step(MONDAY_TEN)
    scene.detect("FAR-1", rule="noise")
    straight, real = (each["assignment"] for each in scene.tickets)
    assert (straight["way"], real["way"]) == ("straight", "route")
    station = next(each for each in real["candidates"] if each["code"] == "ST1")
    assert (station["way"], station["distance"], station["seconds"]) == ("route", pytest.approx(400, abs=2), 40)


def test_it_asks_once_a_day_and_again_when_the_town_changes(scene: Scene, server: OsrmServer) -> None:
    worker = routing(scene, server)
    worker.step(MONDAY_TEN)
    assert worker.step(MONDAY_TEN + DAY - MINUTE) is None
    with writing(scene.engine) as connection:
        north = LAT + 1000 * METRE_NORTH
        connection.execute(update(tables.station).where(tables.station.c.code == "ST1").values(lat=north))
        connection.execute(update(registry).values(version=registry.c.version + 1))
    assert worker.step(MONDAY_TEN + DAY - MINUTE) == Asked(known=18)
    assert known(scene)["station", "ST1"].metres == pytest.approx(1000, abs=5)
    assert worker.step(MONDAY_TEN + 2 * DAY) is not None


def test_while_it_is_away_the_last_ways_stand_for_a_week(scene: Scene, server: OsrmServer) -> None:
    worker = routing(scene, server)
    worker.step(MONDAY_TEN)
    server.script.extend([AWAY, AWAY])
    assert worker.step(MONDAY_TEN + DAY) is None
    assert worker.step(MONDAY_TEN + DAY + MINUTE) is None, "not asked again at once"
    assert len(server.script) == 1
    assert known(scene, now=MONDAY_TEN + DAY)
    assert worker.step(MONDAY_TEN + BELIEVED + MINUTE) is None
    assert not known(scene, now=MONDAY_TEN + BELIEVED + MINUTE)
    with reading(scene.engine) as connection:
        assert connection.execute(select(route)).first() is None


def test_what_moves_while_it_is_away_loses_its_ways_at_once(scene: Scene, server: OsrmServer) -> None:
    worker = routing(scene, server)
    worker.step(MONDAY_TEN)
    with writing(scene.engine) as connection:
        connection.execute(update(site).where(site.c.code == "PLANT").values(lng=LNG + 0.005))
        connection.execute(update(registry).values(version=registry.c.version + 1))
    server.script.append(AWAY)
    assert worker.step(MONDAY_TEN + MINUTE) is None
    assert not known(scene)
    assert known(scene, "NEXT")


def test_a_service_that_takes_less_is_asked_in_smaller_pieces(scene: Scene, server: OsrmServer) -> None:
    server.most = 2  # four ways in a request
    assert routing(scene, server).step(MONDAY_TEN) == Asked(known=18)
    assert any(len(each.sites) > 1 for each in requests(scene.town, 4, 100)), "else nothing was cut"


def test_each_request_keeps_to_the_services_limit(scene: Scene, server: OsrmServer) -> None:
    assert routing(scene, server, most=3).step(MONDAY_TEN) == Asked(known=18)
    assert max(len(each.ends) + len(each.sites) for each in requests(scene.town, 4, 3)) <= 3


def test_a_way_that_does_not_exist_is_not_kept(scene: Scene, server: OsrmServer) -> None:
    server.unreachable = {(LNG, round(LAT + 500 * METRE_NORTH, 6))}
    assert routing(scene, server).step(MONDAY_TEN) == Asked(known=13, missing=5)
    assert ("station", "ST1") not in known(scene)


def test_the_settings_that_the_docs_show_are_read(tmp_path: Path) -> None:
    (shown,) = re.findall(
        r"```toml\n(.*?)```", (Path(__file__).parents[2] / "docs/dispatch.md").read_text("utf-8"), re.DOTALL
    )
    (tmp_path / "shouwang.toml").write_text(shown, "utf-8")
    routing = load_settings(tmp_path / "shouwang.toml").routing
    assert (routing.url.get_secret_value(), routing.most, routing.every_h) == ("http://127.0.0.1:5000", 100, 24)


def test_a_service_without_a_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOUWANG_ROUTING__URL", "routes.example:5000")
    with pytest.raises(SettingsError, match="must begin with http"):
        load_settings(None)
