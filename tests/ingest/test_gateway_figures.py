"""What each gateway has sent, on both databases: added up over restarts, written by another than the pipeline."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from core.clock import MILLISECOND, SECOND, ManualClock
from core.database import reading
from ingest.gate import Gate
from ingest.gateway_figures import GatewayFigures, GatewayReport, list_gateway_reports
from ingest.words import Message, Reject
from tests.ingest.test_gate import NOW, gas, small_registry, telemetry


def reports(engine: Engine) -> dict[str, GatewayReport]:
    with reading(engine) as connection:
        return {row.gateway: row for row in list_gateway_reports(connection)}


@pytest.fixture
def figures(engine: Engine, clock: ManualClock) -> GatewayFigures:
    return GatewayFigures(engine, clock)


def test_messages_readings_and_refusals_are_added_up(engine, figures, clock):
    gate = Gate(small_registry())
    noise = {"device": "NOI-0001", "t": NOW // MILLISECOND, "values": {"laeq": 50}}
    figures.add(
        gate.judge(
            [
                telemetry(gas(1.0, battery=90)),
                telemetry(gas(2.0, NOW + SECOND), received_at=NOW + SECOND, qos=0),
                telemetry(noise, gateway="GW-0002"),
                telemetry(gas(1.0, device="GAS-7777")),
                telemetry(gas(), gateway="GW-9999"),
                Message("sw/v1/GW-0002/status", b"online", NOW),
            ]
        )
    )
    figures.write()
    first, second = reports(engine).values()
    now = clock.now()
    assert first == GatewayReport("GW-0001", NOW, None, None, 3, 3, 1, 0, 1, now)
    assert second == GatewayReport("GW-0002", NOW, True, None, 2, 1, 0, 0, 0, now)


def test_a_restart_goes_on_counting_and_keeps_what_it_does_not_know(engine, figures, clock):
    gate = Gate(small_registry())
    figures.add(gate.judge([telemetry(gas()), Message("sw/v1/GW-0001/status", b"offline", NOW)]))
    figures.write()
    again = GatewayFigures(engine, clock)
    again.add(gate.judge([telemetry(gas(2.0, NOW + SECOND), received_at=NOW + SECOND)]))
    again.write()
    row = reports(engine)["GW-0001"]
    assert (row.messages, row.readings, row.online, row.last_received_at) == (3, 2, False, NOW + SECOND)


def test_a_newer_registry_keeps_what_was_counted_before(engine, figures):
    gate = Gate(small_registry())
    figures.add(gate.judge([telemetry(gas())]))
    gate.load(gate.admission(small_registry()))
    figures.add(gate.judge([telemetry(gas())]))
    figures.write()
    assert reports(engine)["GW-0001"].messages == 2


def test_what_was_shed_and_the_clocks_come_with_the_tick(engine, figures):
    gate = Gate(small_registry())
    figures.add(gate.judge([telemetry(gas())]))
    flood = Reject("t", b"", NOW, "GW-0001", "flood", "", messages=70)
    figures.tick([flood, flood], {"GW-0001": 600.4})
    figures.write()
    row = reports(engine)["GW-0001"]
    assert (row.shed_messages, row.rejected_messages, row.clock_off_s) == (140, 0, 600.0)
    figures.tick([], {})
    figures.write()
    assert reports(engine)["GW-0001"].clock_off_s is None


def test_what_an_earlier_run_knew_of_a_clock_is_not_kept(engine, figures, clock):
    figures.add(Gate(small_registry()).judge([telemetry(gas())]))
    figures.tick([], {"GW-0001": 600.0})
    figures.write()
    again = GatewayFigures(engine, clock)
    again.tick([], {})
    again.write()
    assert reports(engine)["GW-0001"].clock_off_s is None


def test_a_replayed_letter_is_no_sign_of_life(engine, figures):
    figures.add(Gate(small_registry()).judge([telemetry(gas(), replayed_from=NOW - SECOND)]))
    figures.write()
    assert reports(engine) == {}


def test_what_the_database_does_not_take_is_written_later(engine, figures, monkeypatch):
    gate = Gate(small_registry())
    figures.add(gate.judge([telemetry(gas())]))
    figures.tick([], {"GW-0001": 600.0})
    with monkeypatch.context() as broken:
        broken.setattr("ingest.gateway_figures._write", _refuse)
        figures.write()
    assert reports(engine) == {}
    figures.add(gate.judge([telemetry(gas())]))
    figures.write()
    row = reports(engine)["GW-0001"]
    assert (row.messages, row.clock_off_s) == (2, 600.0)


def _refuse(*_args: object) -> None:
    raise OperationalError("update", {}, Exception("connection refused"))
