"""Gateways of every format in the example town, and what they might send when anything is broken."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert, select, update

from core.clock import SystemClock
from core.database import open_engine, writing
from devices.device_types import load_device_types
from devices.enrolment import NewDevice, enrol
from devices.tables import device, gateway, site
from ingest.floods import OVERRIDE
from ingest.formats import FORMATS
from tests.e2e.town_under_fire import Meter, make_town
from tests.ingest.formats.examples import EXAMPLES, GATEWAY

_TYPES = {"v1": "gas", "sparkplug_b": "gas", "hj212": "dust"}
_ALIASES = ["A", "B", "DUST1", "0101010101010101"]
_UNLIMITED = 1_000_000
_WHOLE, _DAMAGED = 0.1, 0.7


def make_babel(state: Path) -> list[Meter]:
    """The example town, a gateway of every format with a device that all its messages mean; its smoke detectors."""
    make_town(state)
    engine = open_engine(f"sqlite:///{state / 'shouwang.db'}")
    types, now = load_device_types(), SystemClock().now()
    with writing(engine) as connection:
        place = connection.execute(select(site.c.code).limit(1)).scalar_one()
        for name in FORMATS:
            options = {**_renamed(EXAMPLES[name].options, name), OVERRIDE: _UNLIMITED}
            connection.execute(insert(gateway).values(code=_code(name), site=place, format=name, attributes=options))
            kind, alias = _TYPES.get(name, "electrical"), {"alias": _ALIASES}
            speaker = NewDevice(
                f"{_code(name)}-A", kind, _code(name), place, state="in_service", in_service_at=now, attributes=alias
            )
            enrol(connection, types, [speaker])
        connection.execute(update(device).where(device.c.type == "smoke").values(state="in_service"))
        chosen = select(device.c.code, device.c.gateway).where(device.c.type == "smoke").order_by(device.c.code)
        smokes = [Meter(*row) for row in connection.execute(chosen)]
    engine.dispose()
    return smokes


def _code(name: str) -> str:
    return f"FZ-{name.replace('_', '-').upper()}"


def _renamed(options: object, name: str) -> dict[str, object]:
    renamed: dict[str, object] = json.loads(json.dumps(options).replace(GATEWAY, _code(name)))
    return renamed


def fuzzed(count: int, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """So many messages (topic, payload) of all formats: some whole, most damaged, some of random bytes."""
    corpus = [
        (topic.replace(GATEWAY, _code(name)), payload)
        for name, example in EXAMPLES.items()
        for topic, payload in example.messages
    ]
    for _ in range(count):
        topic, payload = chance.choice(corpus)
        how = chance.random()
        if how > _WHOLE:
            payload = _damaged(payload, chance) if how < _WHOLE + _DAMAGED else chance.randbytes(chance.randrange(200))
        yield topic, payload


def _damaged(payload: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        place, end = sorted((chance.randint(0, len(payload)), chance.randint(0, len(payload))))
        part = payload[place:end]
        payload = chance.choice(
            [
                payload[:place] + chance.randbytes(chance.randint(1, 3)) + payload[place + 1 :],
                payload[:place] + payload[place + 1 :],
                payload[:place] + part + payload[place:],
                payload[:place] + b"9" * chance.randint(1, 400) + payload[place:],
                payload[:place] or payload,
            ]
        )
    return payload
