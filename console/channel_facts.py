"""What the console knows of a channel for notices, without being able to send by it."""

from typing import NamedTuple


class ChannelFacts(NamedTuple):
    """Its kind; its limits to one address as (messages, µs); how many notices one message lists; whom it rings."""

    kind: str
    limits: tuple[tuple[int, int], ...] = ()
    most_in_one: int = 1
    urgent_only: bool = False
    one_to_one: bool = False
    takes_pictures: bool = False
    senders: int = 1
