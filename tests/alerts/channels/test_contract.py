"""What every channel must do. Adapters are found by existing, and one without a provider to test against fails."""

import inspect
import logging
import pkgutil
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

import alerts.channels
from alerts.channels import AskableChannel, Limit, ListingChannel, Outcome, OutgoingNotice, PictureChannel
from tests.alerts.notices.notice_rows import outgoing
from tests.providers.provider import BEHAVIOURS, MakeRig, Rig
from tests.servers import Postgres

NUMBER = "20261123-0007"
PNG = b"\x89PNG\r\n\x1a\n" + b"curve" * 20
HOSTILE = [
    "",
    "勿" * 5000,
    "😀‍👩‍👩‍👧" * 800,
    '<a> & "quotes" \\ \n\t `*[]()',
    "%s {0} ${x}",
    "\x00\x07\x1b" * 900,
    '"' * 9000,
]


def _adapters() -> list[type]:
    modules = [import_module(each.name) for each in pkgutil.iter_modules(alerts.channels.__path__, "alerts.channels.")]
    classes = (each for module in modules for _, each in inspect.getmembers(module, inspect.isclass))
    found = {each for each in classes if each.__module__.startswith("alerts.channels.") and hasattr(each, "send")}
    return sorted(found, key=lambda each: each.__name__)


def _providers() -> list[ModuleType]:
    folder = Path(__file__).parents[2] / "providers"
    return [import_module(f"tests.providers.{file.stem}") for file in sorted(folder.glob("*.py"))]


RIGS: dict[type, MakeRig] = {kind: rig for each in _providers() for kind, rig in getattr(each, "RIGS", {}).items()}
ON_DATABASE = {kind for each in _providers() if getattr(each, "ON_DATABASE", False) for kind in each.RIGS}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each adapter once; one whose provider is the database on each of them."""
    both = {True: ("sqlite", "postgresql"), False: ("sqlite",)}
    cases = [(database, kind) for kind in _adapters() for database in both[kind in ON_DATABASE]]
    metafunc.parametrize(
        ("database_url", "rig"), cases, indirect=True, ids=[f"{kind.__name__}-{database}" for database, kind in cases]
    )


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As everywhere, but only the databases that the adapter needs."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "shouwang.db")
        yield f"sqlite:///{tmp_path / 'shouwang.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(request.getfixturevalue("postgres_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def rig(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[Rig]:
    with RIGS[request.param](engine, tmp_path) as made:
        yield made


def _after(rig: Rig, behaviour: str) -> Outcome | None:
    """What becomes of a notice when the provider behaves so; None where it can't, for a reason that the rig names."""
    if behaviour in rig.lacks:
        assert behaviour not in rig.does
        return None
    rig.does[behaviour]()
    return rig.channel.send(outgoing(rig.address))


def test_a_channel_says_what_it_can(rig: Rig) -> None:
    channel = rig.channel
    assert channel.name
    flags = (channel.deduplicates, channel.one_to_one, channel.urgent_only, channel.gives_receipts)
    assert all(isinstance(flag, bool) for flag in flags)
    assert channel.can_ask == isinstance(channel, AskableChannel)
    assert (channel.most_in_one > 1) == isinstance(channel, ListingChannel)
    assert channel.takes_pictures == isinstance(channel, PictureChannel)
    assert all(isinstance(limit, Limit) and limit.messages > 0 for limit in channel.limits)


def test_its_limits_are_the_providers(rig: Rig) -> None:
    assert rig.channel.limits == rig.allows
    assert rig.channel.limit == (rig.allows[0] if rig.allows else None)


def test_every_behaviour_is_tried_or_named(rig: Rig) -> None:
    assert sorted([*rig.does, *rig.lacks]) == sorted(BEHAVIOURS)
    assert all(rig.lacks.values())


def test_what_is_accepted_is_with_the_provider(rig: Rig) -> None:
    outcome = rig.channel.send(outgoing(rig.address))
    assert outcome.state == "accepted"
    assert not rig.channel.gives_receipts or outcome.provider_id
    (message,) = rig.held()
    assert NUMBER in message


def test_deduplication_is_as_promised(rig: Rig) -> None:
    assert rig.channel.send(outgoing(rig.address)).state == "accepted"
    assert rig.channel.send(outgoing(rig.address)).state == "accepted"
    assert len(rig.held()) == (1 if rig.channel.deduplicates else 2)
    rig.channel.send(outgoing(rig.address, 42))
    assert len(rig.held()) == (2 if rig.channel.deduplicates else 3)


def test_a_repeat_says_so(rig: Rig) -> None:
    assert rig.channel.send(outgoing(rig.address, repeated=True)).state == "accepted"
    (message,) = rig.held()
    assert "可能重复" in message or "'may_repeat': True" in message


def test_a_personal_link_goes_one_to_one_only(rig: Rig) -> None:
    rig.channel.send(outgoing(rig.address, link="abc345personal"))
    assert ("abc345personal" in rig.held()[0]) == rig.channel.one_to_one


def test_a_provider_that_is_gone_is_tried_again(rig: Rig) -> None:
    outcome = rig.cut_off.send(outgoing(rig.cut_off_address or rig.address))
    assert outcome.state == ("uncertain" if "refused" in rig.lacks else "retry")
    assert outcome.detail
    assert rig.held() == []


def test_over_the_rate_the_address_waits(rig: Rig) -> None:
    if outcome := _after(rig, "over the rate"):
        assert (outcome.state, outcome.holds_address) == ("retry", True)
        assert outcome.retry_after > 0
        assert rig.held() == []


def test_with_a_bad_key_it_fails_for_good(rig: Rig) -> None:
    if outcome := _after(rig, "bad key"):
        assert outcome.state == "failed"
        assert outcome.code
        assert outcome.detail
        assert rig.held() == []


def test_an_expired_token_is_renewed_within_the_attempt(rig: Rig) -> None:
    rig.channel.send(outgoing(rig.address, 7))
    if outcome := _after(rig, "expired token"):
        assert outcome.state == "accepted"
        assert len(rig.held()) == 2


def test_a_busy_provider_is_tried_again(rig: Rig) -> None:
    if outcome := _after(rig, "busy"):
        assert (outcome.state, rig.held()) == ("retry", [])


def test_an_answer_that_is_none_leaves_it_uncertain(rig: Rig) -> None:
    if outcome := _after(rig, "garbage"):
        assert outcome.state == "uncertain"


@pytest.mark.parametrize("behaviour", ["late", "dropped"])
def test_no_answer_after_sending_is_uncertain(rig: Rig, behaviour: str) -> None:
    if outcome := _after(rig, behaviour):
        assert outcome.state == "uncertain"
        assert len(rig.held()) == 1  # it did arrive, and nobody but the provider knows


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_sent_whole_or_shortened(rig: Rig, text: str) -> None:
    notice = outgoing(rig.address, place_zh=text, advice_zh=text, title_zh=text, contact=text, unit=text[:9])
    assert rig.channel.send(notice).state == "accepted"
    (message,) = rig.held()
    assert NUMBER in message
    assert "\ufffd" not in message


@pytest.mark.parametrize("mobiles", [[], ["13800000001", "13800000002"]])
@pytest.mark.parametrize("severity", [2, 4])
def test_four_byte_characters_are_never_broken(rig: Rig, mobiles: list[str], severity: int) -> None:
    for shift in range(4):  # so that the limit falls on each byte of a character
        notice = outgoing(
            rig.address, 50 + shift, advice_zh="a" * shift + "😀" * 9000, mobiles=mobiles, severity=severity
        )
        assert rig.channel.send(notice).state == "accepted"
    assert len(rig.held()) == 4
    assert all("😀" in message and "\ufffd" not in message for message in rig.held())


def test_a_character_that_utf_8_cannot_have_does_no_harm(rig: Rig) -> None:
    outcome = rig.channel.send(outgoing(rig.address, place_zh="a\ud800b", contact="\udfff", advice_zh="c\ud800"))
    assert outcome.state == "accepted"
    assert NUMBER in rig.held()[0]


def test_a_notice_of_bare_facts_is_sent(rig: Rig) -> None:
    bare: dict[str, Any] = dict.fromkeys(("value", "limit", "onset", "lng", "lat"))
    assert rig.channel.send(outgoing(rig.address, hazard="unheard-of", severity=9, **bare)).state == "accepted"


def test_both_languages_are_spoken(rig: Rig) -> None:
    speaking = vars(rig.channel)
    assert "_language" in speaking
    for number, language in ((1, "zh"), (2, "en")):
        speaking["_language"] = language
        assert rig.channel.send(outgoing(rig.address, number)).state == "accepted"
    chinese, english = rig.held()
    assert "可燃气体" in chinese
    assert "Combustible gas" in english


def test_no_secret_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = [rig.channel.send(outgoing(rig.address)), rig.cut_off.send(outgoing(rig.cut_off_address or rig.address))]
    outcomes += [outcome for each in ("echo", "bad key") if (outcome := _after(rig, each))]
    told = f"{caplog.text} {outcomes} {rig.channel!r}"
    for secret in (*rig.secrets, *rig.tokens()):
        assert secret not in told


def _several(rig: Rig, count: int, **given: Any) -> list[OutgoingNotice]:
    notices = [outgoing(rig.address, 100 + each, **given) for each in range(count)]
    numbered = [replace(each.facts, number=f"20261123-{each.id:04}") for each in notices]
    return [replace(each, facts=facts) for each, facts in zip(notices, numbered, strict=True)]


@pytest.mark.parametrize("mobiles", [[], ["13800000001"]])
@pytest.mark.parametrize("text", ["示例化工厂", "😀" * 900, '\x00"\\' * 900])
def test_a_list_names_each_of_its_notices(rig: Rig, text: str, mobiles: list[str]) -> None:
    channel = rig.channel
    if not isinstance(channel, ListingChannel):
        assert channel.most_in_one == 1
        return
    notices = _several(rig, channel.most_in_one, place_zh=text, title_zh=text, mobiles=mobiles)
    assert channel.send_several(notices).state == "accepted"
    (message,) = rig.held()
    for notice in notices:
        assert message.count(notice.facts.number) == 1


def test_a_list_of_one_is_sent(rig: Rig) -> None:
    if isinstance(rig.channel, ListingChannel):
        assert rig.channel.send_several(_several(rig, 1)).state == "accepted"
        assert len(rig.held()) == 1


def test_a_picture_follows_its_notice(rig: Rig) -> None:
    if not isinstance(rig.channel, PictureChannel):
        assert not hasattr(rig.channel, "send_picture")
        return
    rig.channel.send(outgoing(rig.address))
    assert rig.channel.send_picture(outgoing(rig.address), PNG).state == "accepted"
    assert len(rig.held()) == 2


def test_a_picture_that_is_too_large_is_not_sent(rig: Rig) -> None:
    if isinstance(rig.channel, PictureChannel):
        assert rig.channel.send_picture(outgoing(rig.address), PNG + bytes(2**24)).state == "failed"
        assert rig.held() == []


def test_a_provider_that_can_be_asked_knows_what_it_has(rig: Rig) -> None:
    if not isinstance(rig.channel, AskableChannel):
        return
    assert rig.channel.ask(outgoing(rig.address)).state == "failed"
    rig.channel.send(outgoing(rig.address))
    assert rig.channel.ask(outgoing(rig.address)).state == "accepted"
