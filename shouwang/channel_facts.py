"""What the console is told of the settings' channels."""

from collections.abc import Iterator

from sqlalchemy import Engine

from alerts.channels import Channel
from console.channel_facts import ChannelFacts
from shouwang.senders import make_channel
from shouwang.settings import Settings


def channel_facts(settings: Settings, engine: Engine) -> dict[str, ChannelFacts]:
    """Each channel by its name, in the order of the settings."""
    return dict(_each(settings, engine))


def _each(settings: Settings, engine: Engine) -> Iterator[tuple[str, ChannelFacts]]:
    for name, told in settings.channels.items():
        made = make_channel(name, told, engine, settings.console.address, settings.language)
        yield name, _facts(told.kind, told.senders, made)


def _facts(kind: str, senders: int, made: Channel) -> ChannelFacts:
    limits = tuple((each.messages, each.window) for each in made.limits)
    return ChannelFacts(kind, limits, made.most_in_one, made.urgent_only, made.one_to_one, made.takes_pictures, senders)
