"""The rig of the demo's phone page: its provider is the platform's own database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, select

from alerts.channels.phone_page import PhonePage
from alerts.tables import phone_message
from core.database import open_engine, reading
from tests.providers.provider import BEHAVIOURS, MakeRig, Rig


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    def held() -> list[str]:
        with reading(engine) as connection:
            return [f"{row.text} {row.link}" for row in connection.execute(select(phone_message))]

    missing = open_engine(f"sqlite:///{folder / 'no-such-folder' / 'x.db'}")
    yield Rig(
        channel=PhonePage("phone", engine, "https://town.example"),
        address="P-01",
        held=held,
        cut_off=PhonePage("phone", missing, "https://town.example"),
        does={},
        lacks=dict.fromkeys(BEHAVIOURS, "a table of the platform's own database"),
    )


ON_DATABASE = True
RIGS: dict[type, MakeRig] = {PhonePage: rig}
