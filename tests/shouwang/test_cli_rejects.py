"""`shouwang rejects`: letters found by a device's name, and the device enrolled from one of them."""

from pathlib import Path

import pytest

from core.clock import SystemClock
from core.database import open_engine, writing
from core.journal import Offset
from ingest.dead_letters import keep
from ingest.formats.items import Measured
from ingest.formats.v1 import telemetry
from ingest.words import Reject
from tests.shouwang.command_line import query, run


@pytest.fixture
def letters(town: Path) -> list[int]:
    """Two letters of a detector that nobody enrolled, one of a gateway that nobody knows."""
    run("town", "import", town)
    now = SystemClock().now()
    payload = telemetry([Measured("a81758fffe05", {"gas_lel": 3.0, "battery": 90.0}, 1)])
    about = [("GW-1", "unknown_device", "device a81758fffe05 is not registered")] * 2
    about.append(("GW-9", "unknown_gateway", "gateway GW-9 is not registered"))
    rejects = [
        Reject(f"sw/v1/{code}/telemetry", payload, now, code, reason, detail, 2) for code, reason, detail in about
    ]
    engine = open_engine("sqlite:///state/shouwang.db")
    with writing(engine) as connection:
        keep(connection, [(Offset(0, n), reject) for n, reject in enumerate(rejects, 1)], Offset(0, 3))
    engine.dispose()
    return [int(str(row[0])) for row in query("SELECT id FROM dead_letter ORDER BY journal_n")]


def test_letters_are_found_by_a_device(letters: list[int]) -> None:
    assert run("rejects", "list", "--contains", "a81758").output.count("unknown_device") == 3, "two, and their count"
    assert "is not registered" not in run("rejects", "list", "--contains", "GAS-4711").output
    assert run("rejects", "replay", "--contains", "a81758fffe05 is").output == "2 to be replayed\n"


def test_enrolling_from_a_letter_has_its_letters_replayed(letters: list[int]) -> None:
    said = run("rejects", "enrol", letters[1], "--type", "gas", "--site", "EN-1", "--code", "GAS-7").output
    assert said == "GAS-7 enrolled, 2 letters to be replayed\n"
    assert query("SELECT code, type, gateway, site, state, attributes FROM device WHERE code = 'GAS-7'") == [
        ("GAS-7", "gas", "GW-1", "EN-1", "in_service", '{"alias": "a81758fffe05"}')
    ]
    asked = "SELECT id FROM dead_letter WHERE replay_asked_at IS NOT NULL ORDER BY journal_n"
    assert query(asked) == [(letters[0],), (letters[1],)]
    again = run("rejects", "enrol", letters[1], "--type", "gas", "--site", "EN-1", "--code", "GAS-7", fails=1).stderr
    assert again.startswith("device GAS-7 is enrolled already")


def test_without_replay_its_letters_stay(letters: list[int]) -> None:
    said = run("rejects", "enrol", letters[0], "--type", "gas", "--site", "EN-1", "--no-replay").output
    assert said == "a81758fffe05 enrolled, 0 letters to be replayed\n"
    assert query("SELECT attributes FROM device WHERE code = 'a81758fffe05'") == [("{}",)]


def test_what_can_not_be_enrolled_says_why(letters: list[int]) -> None:
    wrong = run("rejects", "enrol", letters[0], "--type", "volcano", "--site", "EN-1", fails=1).stderr
    assert wrong == "there is no device type 'volcano'; by what it measures it may be: gas, multi_gas, benzene\n"
    assert "no site" in run("rejects", "enrol", letters[0], "--type", "gas", "--site", "S9", fails=1).stderr
    for letter in (letters[2], 999):
        said = run("rejects", "enrol", letter, "--type", "gas", "--site", "EN-1", fails=1).stderr
        assert said == f"letter {letter} is about no unknown device\n"
    assert query("SELECT count(*) FROM device WHERE gateway = 'GW-1'") == [(2,)]
