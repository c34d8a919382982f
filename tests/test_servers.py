"""The fixtures themselves: a fresh schema on both engines, and a broker that comes back on its port."""

from collections.abc import Callable
from threading import Event

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import Engine, func, insert, inspect, select

from core.clock import ManualClock
from core.database import metadata, reading, writing
from devices.tables import village
from tests.servers import Mosquitto, accepts, missing


@pytest.mark.parametrize("round_", [1, 2])
def test_every_test_gets_the_whole_schema_and_no_rows_of_another(engine: Engine, round_: int) -> None:
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    with writing(engine) as connection:
        connection.execute(insert(village).values(code="V01", name="甲村"))
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(village)) == 1


def test_the_clock_stands_until_it_is_moved(clock: ManualClock) -> None:
    before = clock.now()
    assert clock.now() == before
    assert clock.advance(5) == before + 5 == clock.now()


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_skips_on_a_laptop_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install mosquitto"):
        missing("mosquitto", "mosquitto")


def test_a_retained_message_outlives_a_stop_and_a_killed_broker_returns_on_its_port(
    mosquitto: Callable[..., Mosquitto],
) -> None:
    broker = mosquitto()
    _publish_retained(broker.port, b"online")
    broker.stop()
    assert not accepts(broker.port)
    broker.start()
    assert _read_retained(broker.port) == b"online"
    broker.kill()
    assert not accepts(broker.port)
    broker.start()
    assert accepts(broker.port)


def _publish_retained(port: int, payload: bytes) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish("status", payload, qos=1, retain=True).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def _read_retained(port: int) -> bytes:
    came = Event()
    got: list[bytes] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def keep(_client: mqtt.Client, _context: object, message: mqtt.MQTTMessage) -> None:
        got.append(bytes(message.payload))
        came.set()

    client.on_message = keep
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("status", qos=1)
    assert came.wait(5)
    client.disconnect()
    client.loop_stop()
    return got[0]
