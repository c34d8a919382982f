"""`shouwang formats`: what a payload becomes, told before any gateway sends it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.formats import FORMATS
from shouwang.cli import app
from tests.devices.town_folder import spoil
from tests.ingest.formats.examples import EXAMPLES
from tests.shouwang.command_line import run


def _formats(*arguments: str, status: int = 0, stdin: bytes = b"") -> str:
    result = CliRunner().invoke(app, ["formats", *arguments], input=stdin)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_the_list_has_every_format_with_its_topics() -> None:
    listed = _formats("list")

    assert all(name in listed for name in FORMATS)
    assert "senml/GW-0001/#" in listed
    assert "needs options: topic: is required" in listed


def test_a_payload_is_shown_as_readings_with_its_refusals() -> None:
    told = _formats(
        "try", "senml", "-", stdin=b'[{"bn":"A/","bt":1790000000,"n":"t","v":215},{"n":"mode","vs":"auto"}]'
    )

    assert "assumed: --topic senml/GW-0001/up" in told
    assert "215" in told
    assert "2026-09-21 22:13:20.000+08:00" in told
    assert "refused: wrong_type: A mode must be a number, not text (1 readings)" in told


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_can_be_tried_from_files(name: str, tmp_path: Path) -> None:
    files, topics = [], []
    for number, (topic, payload) in enumerate(EXAMPLES[name].messages):
        file = tmp_path / str(number)
        file.write_bytes(payload)
        files.append(str(file))
        topics += ["--topic", topic]
    (tmp_path / "options.json").write_text(json.dumps(EXAMPLES[name].options), encoding="utf-8")

    told = _formats("try", name, *files, *topics, "--options", f"@{tmp_path / 'options.json'}")
    assert "reading" in told

    _formats("try", name, files[0], "--options", f"@{tmp_path / 'options.json'}")  # the assumed topic is of the gateway


def test_events_presence_answers_and_status_are_shown() -> None:
    options = json.dumps(EXAMPLES["json"].options)
    told = _formats("try", "json", "-", "--options", options, stdin=b'{"smoke":"ON"}')
    assert "smoke_alarm" in told
    assert '{"active": true}' in told
    presence = _formats("try", "json", "-", "--options", options, "--topic", "tele/A/LWT", stdin=b"Offline")
    assert "not reached" in presence
    assert "offline" in _formats("try", "v1", "-", "--topic", "sw/v1/GW-0001/status", stdin=b"offline")
    hj212 = EXAMPLES["hj212"]
    assert "CN=9014" in _formats(
        "try", "hj212", "-", "--options", '{"reply_topic": "down/{device}"}', stdin=hj212.messages[0][1]
    )
    half = _formats("try", "hj212", "-", stdin=hj212.messages[0][1][:50])
    assert "remembered for the messages that follow" in half
    assert "nothing: a message that holds no readings" in _formats("try", "hj212", "-", stdin=b"\r\n")


def test_a_time_beyond_all_reason_is_shown_as_such() -> None:
    payload = b'{"readings":[{"device":"A","t":1e300,"values":{"x":1}},{"device":"B","values":{"x":1}}]}'
    told = _formats("try", "v1", "-", stdin=payload)

    assert "1e+300 ms, not plausible" in told
    assert "of its receipt" in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["v9", "-"], "there is no format v9: choose from v1"),
        (["json", "-"], "topic: is required"),
        (["senml", "-", "--options", "{"], "--options is no JSON"),
        (["senml", "-", "--options", "[]"], "must be a JSON object"),
        (["senml", "-", "--topic", "other/x"], "nothing would arrive from other/x"),
        (["senml", "-", "--topic", "senml/GW-0001/a", "--topic", "senml/GW-0001/b"], "2 topics for 1 payloads"),
        (["senml", "no-such-file"], "no-such-file"),
        (["senml", "-"], "everything was refused"),
    ],
)
def test_what_can_not_be_tried_is_told_and_fails(arguments: list[str], why: str) -> None:
    assert why in _formats("try", *arguments, status=1, stdin=b"nonsense")


def test_the_gateways_code_is_filled_into_its_topics() -> None:
    told = _formats("try", "senml", "-", "--gateway", "GW-7", stdin=b'[{"n":"A/x","v":1}]')

    assert "assumed: --topic senml/GW-7/up" in told


@pytest.mark.usefixtures("folder")
def test_registrations_that_can_not_work_are_told_at_import_and_by_a_check(town: Path) -> None:
    assert "every gateway's registration can work" in _formats("check")
    spoil(town, "gateways.csv", "GW-1", format="json", attributes='{"topic": "tele/{device}/SENSOR"}')
    told = "GW-1 can't be understood: fields: is required"

    assert told in run("town", "import", town).stderr
    assert told in _formats("check", status=1)
