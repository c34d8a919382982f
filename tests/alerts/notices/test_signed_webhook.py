from collections.abc import Iterator
from email.utils import format_datetime

import httpx
import pytest

from alerts.channels.signed_webhook import SignedWebhook, judge
from alerts.channels.transport import open_client
from core.clock import MINUTE, SECOND, local
from tests.alerts.notices.notice_rows import NOW, outgoing
from tests.fakes.webhook_receiver import Answer, WebhookReceiver

SECRET = b"a secret of this test"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET) as server:
        yield server


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with open_client(timeout_s=0.5) as opened:
        yield opened


def _hook(client: httpx.Client, secret: bytes = SECRET) -> SignedWebhook:
    return SignedWebhook("hook", client, "https://town.example", secret, deduplicates=True)


def test_a_notice_arrives_signed_and_keyed(client: httpx.Client, receiver: WebhookReceiver) -> None:
    assert _hook(client).send(outgoing(receiver.url, 41)).state == "accepted"
    (key, message), *_ = receiver.received.items()
    assert key == "41"
    assert (message["notice"], message["ticket"], message["may_repeat"]) == (41, "20261123-0007", False)
    assert message["facts"]["value"] == 52.0
    assert message["url"] == "https://town.example/tickets/7"


def test_another_secret_is_refused_for_good(client: httpx.Client, receiver: WebhookReceiver) -> None:
    outcome = _hook(client, b"another").send(outgoing(receiver.url))
    assert (outcome.state, outcome.code) == ("failed", "401")
    assert receiver.received == {}


def test_a_repeat_has_no_effect(client: httpx.Client, receiver: WebhookReceiver) -> None:
    for repeated in (False, True):
        assert _hook(client).send(outgoing(receiver.url, 41, repeated=repeated)).state == "accepted"
    assert receiver.requests == 2
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "accepted"), (204, "accepted"), (400, "failed"), (404, "failed"), (410, "failed"), (301, "failed")]
    + [(status, "retry") for status in (408, 429, 500, 502, 503)],
)
def test_what_a_status_means(client: httpx.Client, receiver: WebhookReceiver, status: int, state: str) -> None:
    receiver.script.append(Answer(status))
    assert _hook(client).send(outgoing(receiver.url)).state == state


def test_a_timeout_after_sending_is_uncertain(client: httpx.Client, receiver: WebhookReceiver) -> None:
    receiver.script.append(Answer(delay_s=1.0))
    assert _hook(client).send(outgoing(receiver.url)).state == "uncertain"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "no address", "", "http://127.0.0.1:port/", "http://\ud800/"])
def test_an_address_that_cannot_be_requested_fails_for_good(client: httpx.Client, url: str) -> None:
    assert _hook(client).send(outgoing(url)).state == "failed"


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("30", 30 * SECOND),
        (format_datetime(local(NOW + 40 * SECOND)), 40 * SECOND),
        (format_datetime(local(NOW - MINUTE)), 0),
        ("999999999", 15 * MINUTE),
        ("-5", 0),
        ("soon", 0),
        ("٣", 0),
        ("", 0),
    ],
)
def test_retry_after_is_honoured_in_seconds_and_as_a_date(value: str, wait: int) -> None:
    outcome = judge(httpx.Response(503, headers=[(b"Retry-After", value.encode())]), NOW)
    assert (outcome.state, outcome.retry_after, outcome.holds_address) == ("retry", wait, wait > 0)
