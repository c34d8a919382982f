"""What every channel must do; adapters are found by existing, and one without a provider to test against fails."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, select

import alerts.channels
from alerts.channels import AskableChannel, Channel, Limit
from alerts.channels.phone_page import PhonePage
from alerts.channels.signed_webhook import SignedWebhook
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot
from alerts.tables import phone_message
from core.database import open_engine, reading
from tests.alerts.notices.notice_rows import outgoing
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.fakes.wecom_robot import WecomRobot as FakeRobot

CONSOLE = "https://town.example"


class Setup(NamedTuple):
    """A channel, an address of it, what its provider holds, and the same channel with the provider gone."""

    channel: Channel
    address: str
    held: Callable[[], list[str]]
    cut_off: Channel


@contextmanager
def _phone_page(engine: Engine, folder: Path) -> Iterator[Setup]:
    def held() -> list[str]:
        with reading(engine) as connection:
            return [f"{row.text} {row.link}" for row in connection.execute(select(phone_message))]

    missing = open_engine(f"sqlite:///{folder / 'no-such-folder' / 'x.db'}")
    yield Setup(PhonePage("phone", engine, CONSOLE), "P-01", held, PhonePage("phone", missing, CONSOLE))


@contextmanager
def _wecom_robot(engine: Engine, folder: Path) -> Iterator[Setup]:
    with FakeRobot() as gone:
        nowhere = gone.url
    with FakeRobot() as robot, open_client(timeout_s=2) as client:
        channel = WecomRobot("robot", client, CONSOLE, robot.url)
        cut_off = WecomRobot("robot", client, CONSOLE, nowhere)
        yield Setup(channel, "key-a", lambda: [each["content"] for each in robot.messages], cut_off)


@contextmanager
def _signed_webhook(engine: Engine, folder: Path) -> Iterator[Setup]:
    with WebhookReceiver(b"secret") as gone:
        nowhere = gone.url
    with WebhookReceiver(b"secret") as receiver, open_client(timeout_s=2) as client:

        class CutOff(SignedWebhook):
            def send(self, notice: alerts.channels.OutgoingNotice) -> alerts.channels.Outcome:
                return super().send(outgoing(nowhere))

        channel = SignedWebhook("hook", client, CONSOLE, b"secret", deduplicates=True)
        cut_off = CutOff("hook", client, CONSOLE, b"secret")
        yield Setup(channel, receiver.url, lambda: [str(each) for each in receiver.received.values()], cut_off)


PROVIDERS: dict[type, Callable[[Engine, Path], AbstractContextManager[Setup]]] = {
    PhonePage: _phone_page,
    WecomRobot: _wecom_robot,
    SignedWebhook: _signed_webhook,
}


def _adapters() -> list[type]:
    modules = [import_module(each.name) for each in pkgutil.iter_modules(alerts.channels.__path__, "alerts.channels.")]
    classes = (each for module in modules for _, each in inspect.getmembers(module, inspect.isclass))
    found = {each for each in classes if each.__module__.startswith("alerts.channels.") and hasattr(each, "send")}
    return sorted(found, key=lambda each: each.__name__)


@pytest.fixture(params=_adapters(), ids=lambda each: each.__name__)
def setup(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[Setup]:
    with PROVIDERS[request.param](engine, tmp_path) as made:
        yield made


def test_a_channel_says_what_it_can(setup: Setup) -> None:
    channel = setup.channel
    assert channel.name
    assert isinstance(channel.deduplicates, bool)
    assert isinstance(channel.one_to_one, bool)
    assert channel.limit is None or (isinstance(channel.limit, Limit) and channel.limit.messages > 0)
    assert channel.can_ask == isinstance(channel, AskableChannel)


def test_what_is_accepted_is_with_the_provider(setup: Setup) -> None:
    assert setup.channel.send(outgoing(setup.address)).state == "accepted"
    (message,) = setup.held()
    assert "20261123-0007" in message


def test_deduplication_is_as_promised(setup: Setup) -> None:
    for repeated in (False, True):
        assert setup.channel.send(outgoing(setup.address, repeated=repeated)).state == "accepted"
    assert len(setup.held()) == (1 if setup.channel.deduplicates else 2)
    setup.channel.send(outgoing(setup.address, 42))
    assert len(setup.held()) == (2 if setup.channel.deduplicates else 3)


def test_a_personal_link_goes_one_to_one_only(setup: Setup) -> None:
    setup.channel.send(outgoing(setup.address, link="abc345personal"))
    assert ("abc345personal" in setup.held()[0]) == setup.channel.one_to_one


def test_a_provider_that_is_gone_is_an_outcome(setup: Setup) -> None:
    outcome = setup.cut_off.send(outgoing(setup.address))
    assert outcome.state in ("retry", "uncertain")
    assert outcome.detail
    assert setup.held() == []


@pytest.mark.parametrize("text", ["", "勿" * 5000, "😀‍👩‍👩‍👧" * 800, '<a> & "quotes" \\ \n\t `*[]()', "%s {0} ${x}"])
def test_hostile_texts_are_sent_whole_or_shortened(setup: Setup, text: str) -> None:
    notice = outgoing(setup.address, place_zh=text, advice_zh=text, title_zh=text, contact=text, unit=text[:9])
    assert setup.channel.send(notice).state == "accepted"
    assert "20261123-0007" in setup.held()[0]


def test_a_notice_of_bare_facts_is_sent(setup: Setup) -> None:
    bare: dict[str, Any] = dict.fromkeys(("value", "limit", "onset", "lng", "lat"))
    assert setup.channel.send(outgoing(setup.address, hazard="unheard-of", severity=9, **bare)).state == "accepted"


def test_a_provider_that_can_be_asked_knows_what_it_has(setup: Setup) -> None:
    if not isinstance(setup.channel, AskableChannel):
        return
    assert setup.channel.ask(outgoing(setup.address)).state == "failed"
    setup.channel.send(outgoing(setup.address))
    assert setup.channel.ask(outgoing(setup.address)).state == "accepted"
