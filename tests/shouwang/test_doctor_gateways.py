"""What the doctor says of gateways whose registration can't work."""

from pathlib import Path

from sqlalchemy import text

from core.database import open_engine, writing
from tests.shouwang.command_line import run


def test_doctor_names_each_gateway_whose_registration_cannot_work(town: Path) -> None:
    run("town", "import", town)
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        connection.execute(text("UPDATE gateway SET format = 'morse' WHERE code = 'GW-1'"))
    engine.dispose()
    said = run("doctor", "--language", "en", fails=1).stdout
    assert "gateway GW-1: there is no format morse: choose from" in " ".join(said.split())
