"""Topics to gateways: every registered convention on its own topics, version 1 for all of them."""

import msgspec
import pytest

from devices.registry import GatewayRow, Registry
from ingest.formats import FORMATS
from ingest.formats.v1 import SUBSCRIPTIONS, VersionOne
from ingest.gate import Gate
from ingest.routes import Routes
from ingest.words import Message
from tests.ingest.scripted_dialect import Scripted
from tests.ingest.test_gate import NOW, gas, small_registry, telemetry


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "scripted", Scripted)


def town(name: str = "scripted", **options: object) -> Registry:
    """GW-0001 speaks this format, GW-0002 version 1."""
    registry = small_registry()
    registry.gateways["GW-0001"] = GatewayRow(0, "GW-0001", name, "", 0, "", 0, options)
    return registry


def test_a_gateways_topics_lead_to_its_dialect():
    routes = Routes(town(topics=["plant/+/up", "plant/east/#"]))
    for topic in ("plant/1/up", "plant/east/a/b"):
        route = routes.find(topic)
        assert route
        assert (route.gateway, type(route.dialect)) == ("GW-0001", Scripted)
    assert routes.subscriptions == (*SUBSCRIPTIONS, "plant/+/up", "plant/east/#")
    assert routes.problems == {}


def test_a_topic_that_nobody_registered_has_no_route():
    routes = Routes(town(topics=["plant/+/up"]))
    assert routes.find("plant/1/down") is None
    assert routes.find("plant/1/down") is None, "nor when it is asked for again"
    assert routes.find("") is None


def test_every_gateway_also_speaks_version_1():
    judged = Gate(town(topics=["plant/#"])).judge([telemetry(gas(7.0))])
    assert (judged.block.value.tolist(), judged.rejects) == ([7.0], [])


def test_version_1_of_a_stranger_names_the_stranger():
    route = Routes(town()).find("sw/v1/GW-9999/telemetry")
    assert route
    assert (route.gateway, type(route.dialect)) == ("GW-9999", VersionOne)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("morse", {}, "there is no format morse: choose from "),
        ("scripted", {"topics": "plant/#"}, "topics: must be a list"),
    ],
)
def test_a_registration_that_cannot_work_is_told_and_the_others_do(name, options, problem):
    gate = Gate(town(name, **options))
    assert gate.routes.problems["GW-0001"].startswith(problem)
    assert len(gate.judge([telemetry(gas(7.0))]).block) == 1


def test_two_gateways_on_one_filter_are_a_problem_of_the_second():
    registry = town(topics=["plant/#"])
    registry.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "scripted", "", 0, "", 0, {"topics": ["plant/#", "b/#"]})
    routes = Routes(registry)
    assert routes.problems == {"GW-0002": "plant/# means topics that GW-0001 has already"}
    assert [routes.find(topic).gateway for topic in ("plant/x", "b/x")] == ["GW-0001", "GW-0002"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("first", "second"), [("plant/+", "plant/#"), ("plant/#", "plant/x"), ("+/x", "plant/+")])
def test_a_wider_or_narrower_filter_takes_no_message_of_another_gateway(first, second):
    registry = town(topics=[first])
    registry.gateways["GW-0002"] = GatewayRow(1, "GW-0002", "scripted", "", 0, "", 0, {"topics": [second]})
    routes = Routes(registry)
    assert routes.problems == {"GW-0002": f"{second} means topics that GW-0001 has already"}
    assert routes.subscriptions == (*SUBSCRIPTIONS, first)
    assert routes.find("plant/x").gateway == "GW-0001"  # type: ignore[union-attr]


def test_an_unknown_topic_is_a_dead_letter():
    (reject,) = Gate(town()).judge([Message("plant/1/up", b"{}", NOW)]).rejects
    assert (reject.reason, reject.gateway, reject.topic) == ("unknown_topic", "", "plant/1/up")


def test_what_is_refused_under_another_format_can_be_replayed_as_version_1():
    gate = Gate(town(topics=["plant/#"]))
    payload = msgspec.json.encode({"device": "GAS-0003", "values": {"gas_lel": 9}})
    (reject,) = gate.judge([Message("plant/1", payload, NOW)]).rejects
    assert (reject.reason, reject.topic) == ("unknown_device", "sw/v1/GW-0001/telemetry")
    assert reject.detail.endswith("(from plant/1)")
    registry = town(topics=["plant/#"])
    registry.device_index["GAS-0003"], registry.series_of["GAS-0003"] = 0, {"gas_lel": 0}
    gate.load(gate.admission(registry))
    assert gate.judge([Message(reject.topic, reject.payload, NOW)]).block.value.tolist() == [9.0]
