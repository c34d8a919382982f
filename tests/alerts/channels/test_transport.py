import logging

import httpx
import pytest

from alerts.channels.transport import (
    FAILED_REQUEST,
    RobotAddress,
    json_body,
    open_client,
    outcome_of_failure,
    printable,
    told,
)
from tests.fakes.webhook_receiver import Answer, WebhookReceiver


@pytest.mark.parametrize(
    ("address", "parameter", "expected"),
    [
        ("7f2c", "key", ("7f2c", "general")),
        (" 7f2c ", "key", ("7f2c", "general")),
        ("7f2c#SEC", "key", ("7f2c", "SEC")),
        ("https://provider.example/send?key=7f2c", "key", ("7f2c", "general")),
        ("https://provider.example/send?key=7f2c#SEC", "key", ("7f2c", "SEC")),
        ("https://provider.example/send?other=7f2c", "key", ("", "general")),
        ("https://provider.example/hook/7f2c", "", ("7f2c", "general")),
        ("https://[", "key", ("", "general")),
        ("", "key", ("", "general")),
    ],
)
def test_an_address_is_a_token_or_holds_one(address: str, parameter: str, expected: tuple[str, str]) -> None:
    assert RobotAddress.parse(address, "general", parameter) == RobotAddress(*expected)


def test_what_is_told_of_an_answer_is_one_line_without_secrets() -> None:
    said = told("key \n7f2c and\t7f2c-long and é\ud800" + "x" * 500, ["7f2c", "7f2c-long", ""])
    assert said.startswith("key *** and *** and é?x")
    assert len(said) == 200


def test_control_signs_are_blanks_and_lengths_stay() -> None:
    text = "a\x00b\x1fc\n\td😀\ud800"
    assert printable(text) == "a b c\n\td😀?"
    assert json_body({"a": "\ud800"}) == b'{"a":"?"}'


def test_the_library_does_not_log_whole_addresses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with open_client(0.2) as client, pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:1/send?key=7f2c")
    assert "7f2c" not in caplog.text


def test_an_answer_that_cant_be_unpacked_leaves_it_uncertain() -> None:
    """Something between the provider and us spoiled it: the request arrived."""
    with WebhookReceiver(b"") as receiver, open_client() as client:
        receiver.script.append(Answer(200, (("Content-Encoding", "gzip"),), body=b"no gzip"))
        signed = {"X-Shouwang-Signature": receiver.sign("", b"{}"), "Idempotency-Key": "1"}
        with pytest.raises(FAILED_REQUEST) as failed:
            client.post(receiver.url, content=b"{}", headers=signed)
    assert outcome_of_failure(failed.value).state == "uncertain"
