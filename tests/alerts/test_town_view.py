"""Where subjects are, who could be sent, and what retirement hides."""

import pytest
from sqlalchemy import update

from alerts import tables
from alerts.town_view import Contact, load_town_view
from core.database import reading, writing
from detectors.words import Subject
from devices import tables as town
from tests.alerts.desk_scene import LAT, LNG, METRE_NORTH, Scene


@pytest.mark.parametrize(
    ("subject", "site", "grid", "road"),
    [
        (Subject("device", "PLANT-1"), "PLANT", "G17", False),
        (Subject("gateway", "GW-0001"), "PLANT", "G17", False),
        (Subject("site", "ROAD"), "ROAD", "G18", True),
        (Subject("device", "OUTSIDE-1"), "OUTSIDE", None, False),
        (Subject("device", "GHOST"), None, None, False),
        (Subject("platform", "journal"), None, None, False),
    ],
)
def test_where_a_subject_is(scene: Scene, subject: Subject, site: str | None, grid: str | None, road: bool) -> None:
    place = scene.town.place(subject)
    assert (place.site, place.grid, place.road) == (site, grid, road)


def test_a_device_with_a_position_of_its_own_belongs_to_the_grid_that_contains_it(scene: Scene) -> None:
    own = LAT + 600 * METRE_NORTH  # in G18, its site in G17
    with writing(scene.engine) as connection:
        connection.execute(update(town.device).where(town.device.c.code == "PLANT-1").values(lng=LNG, lat=own))
    with reading(scene.engine) as connection:
        view = load_town_view(connection)
    place = view.place(Subject("device", "PLANT-1"))
    assert (place.site, place.lat, place.grid, place.village) == ("PLANT", own, "G18", "V1")
    assert view.place(Subject("device", "PLANT-2")).grid == "G17"


def test_retired_devices_are_not_counted_and_retired_people_not_sent(scene: Scene) -> None:
    with writing(scene.engine) as connection:
        connection.execute(update(town.device).where(town.device.c.code == "PLANT-1").values(state="retired"))
        connection.execute(update(tables.person).where(tables.person.c.code == "G17-01").values(retired=1))
        connection.execute(update(tables.station).where(tables.station.c.code == "ST2").values(retired=1))
    with reading(scene.engine) as connection:
        view = load_town_view(connection)
    assert view.gateways["GW-0001"].devices == 5
    assert "G17-01" not in view.people
    assert list(view.stations) == ["ST1"]


def test_the_view_knows_its_version_and_how_people_are_reached(scene: Scene) -> None:
    assert scene.town.version == 3
    assert scene.town.contacts["person", "DISP-1"] == (Contact("phone", "DISP-1"),)
    assert scene.town.grids["G17"].village_name == "村"
