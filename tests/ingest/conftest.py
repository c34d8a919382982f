"""Fixtures around a running ingest: each broker that a URL can name, a gateway, the platform."""

from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest

from tests.ingest.live_ingest import Embedded, Platform, calling


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request):
    """Every broker that a URL can name keeps what follows."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")()
        return
    embedded = Embedded()
    yield embedded
    embedded.kill()


@pytest.fixture
def gateway(broker) -> Iterator[paho.Client]:
    client = calling("GW-0001")
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def platform(broker, tmp_path):
    platform = Platform(tmp_path, broker.port)
    platform.start()
    yield platform
    platform.stop()
