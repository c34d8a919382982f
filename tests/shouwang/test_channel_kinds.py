"""Every kind of channel that settings may name is an adapter, and every adapter has a kind."""

import inspect
import pkgutil
from importlib import import_module
from typing import Any, get_args

import pytest
from sqlalchemy import Engine, create_engine

import alerts.channels
from alerts.channels.wecom_app import WecomApp
from shouwang.channel_settings import NEEDED, ChannelSettings
from shouwang.senders import make_channel

KINDS = get_args(ChannelSettings.model_fields["kind"].annotation)
PLAUSIBLE: dict[str, Any] = {
    "agent_id": 1000002,
    "aes_key": "A" * 43,
    "url": "smtp://mail.example",
    "sender": "desk@town.example",
}


@pytest.fixture
def engine() -> Engine:
    return create_engine("sqlite://")


def settings(kind: str, **given: Any) -> ChannelSettings:
    needed = {name: PLAUSIBLE.get(name, "given") for name in NEEDED.get(kind, ())}
    return ChannelSettings(**{"kind": kind, **needed, **given})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_kind_is_an_adapter_that_speaks_the_language(engine: Engine, kind: str, language: Any) -> None:
    channel = make_channel("mine", settings(kind), engine, "https://town.example", language)
    assert channel.name == "mine"
    assert vars(channel)["_language"] == language


def test_every_adapter_has_a_kind(engine: Engine) -> None:
    modules = [import_module(each.name) for each in pkgutil.iter_modules(alerts.channels.__path__, "alerts.channels.")]
    classes = (each for module in modules for _, each in inspect.getmembers(module, inspect.isclass))
    adapters = {each for each in classes if each.__module__.startswith("alerts.channels.") and hasattr(each, "send")}
    assert {type(make_channel("x", settings(kind), engine, "https://town.example", "zh")) for kind in KINDS} == adapters


@pytest.mark.parametrize(
    ("given", "buttons"), [({}, False), ({"token": "t"}, False), ({"token": "t", "aes_key": "A" * 43}, True)]
)
def test_a_card_has_buttons_only_with_a_callback(engine: Engine, given: dict[str, str], buttons: bool) -> None:
    channel = make_channel("app", settings("wecom_app", **given), engine, "https://town.example", "zh")
    assert isinstance(channel, WecomApp)
    assert vars(channel)["_buttons"] == buttons
