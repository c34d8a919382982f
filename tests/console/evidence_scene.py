"""A case with all that an evidence pack may hold: alert, moves, a photo, readings, notices, phones in texts."""

import io
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import insert, select, update

from alerts import tables
from alerts.moves import move
from alerts.photos import keep
from alerts.pictures_sent import read_picture
from core.clock import MINUTE, SECOND
from core.database import writing
from core.journal import Offset
from ingest.duckdb_store import DuckDbStore
from ingest.words import Block, Quality
from tests.console.console_scene import Town

SECRET = "https://robot.example/send?key=0123456789abcdef"
MOBILE = "13812345678"


def jpeg(colour: str = "red", size: tuple[int, int] = (400, 300)) -> bytes:
    """A small photo."""
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, "JPEG")
    return written.getvalue()


def make_case(town: Town, series: int = -1) -> dict[str, Any]:
    """Alert at S01, accepted, on the scene, with a photo; the ticket's row."""
    now = town.clock.now()
    town.alert(series=series, onset=now - 10 * MINUTE)
    with writing(town.engine) as connection:
        found = connection.execute(select(tables.ticket)).mappings().one()
        for action in ("accept", "arrive"):
            move(connection, town.view, found["id"], action, "G01-01", now)
        keep(
            connection,
            found["id"],
            "G01-01",
            read_picture(jpeg()),
            now - 4 * MINUTE,
            120.42,
            31.43,
            f"阀门 {MOBILE}",
            now,
        )
        move(connection, town.view, found["id"], "ask_extension", "G01-01", now, "等配件")
        said = f"已关阀，联系 {MOBILE}，气体\U0001f525仍高"
        move(connection, town.view, found["id"], "handle", "G01-01", now, said)
        connection.execute(
            update(tables.ticket).values(description="=HYPERLINK(1) 龘䶮", reporter="张三", reporter_phone=MOBILE)
        )
        sms = {"channel": "sms", "recipient_kind": "person", "recipient": "G01-01", "state": "delivered"}
        kept = connection.execute(select(tables.notice)).mappings().first()
        assert kept is not None
        common = {name: value for name, value in kept.items() if name != "id"}
        connection.execute(insert(tables.notice).values(common | sms | {"key": "k1", "address": MOBILE}))
        robot = {"channel": "robot", "recipient_kind": "team", "recipient": "T-G01"}
        connection.execute(insert(tables.notice).values(common | robot | {"key": "k2", "address": SECRET}))
        return dict(connection.execute(select(tables.ticket)).mappings().one())


def fill_store(store: DuckDbStore, series: int, now: int) -> None:
    """Two hours of readings each 10 s, a ramp, one of them late and out of range."""
    count = 720
    at = now - 2 * 3600 * SECOND + np.arange(count, dtype=np.int64) * 10 * SECOND
    quality = np.zeros(count, np.uint16)
    quality[5] = Quality.AGED | Quality.OUT_OF_RANGE
    values = np.linspace(1.0, 60.0, count)
    store.append([(Offset(0, 1), Block(np.full(count, series, np.int32), at, at + SECOND, values, quality))])
