"""The demonstration's town as its dispatcher finds it."""

from pathlib import Path

from sqlalchemy import select

from alerts.contact_tests import try_contact
from alerts.town_view import load_town_view
from console.tables import account
from core.clock import SystemClock
from core.database import writing
from devices.device_types import load_device_types
from shouwang.demo_town import DISPATCHER, load_town, town_folder
from shouwang.settings import Settings
from shouwang.wiring import open_database


def test_its_dispatcher_is_a_person_who_can_be_sent_a_test_message(tmp_path: Path) -> None:
    settings, clock = Settings(state=tmp_path), SystemClock()
    load_town(settings, Path(str(town_folder())), load_device_types(), 1, clock)
    engine = open_database(settings)
    with writing(engine) as connection:
        who = connection.scalar(select(account.c.person).where(account.c.username == DISPATCHER))
        town = load_town_view(connection)
        try_contact(connection, town, who or "", "phone", clock.now())
    engine.dispose()
    assert who is not None
    assert town.people[who].role == "dispatcher"
