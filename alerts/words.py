"""The words that alerts, tickets and notices share: recipients, re-arming, statuses, Chinese and English names."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Row = Mapping[str, Any]
"""A database row by column name."""

PLATFORM = "platform"
"""Who acted when no person did."""


TEST = "test"
"""The cause of a notice that somebody sent to themselves, to try a contact."""


class Recipient(NamedTuple):
    """One address of one responder: `kind` is person, team or station, `channel` a channel's name in settings.

    `step` orders an escalation: 0 is told at once, 1 and on when the steps before stayed uncertain or unanswered.
    """

    kind: Literal["person", "team", "station"]
    code: str
    channel: str
    address: str
    step: int = 0


class Words(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str


UNNAMED = Words("异常报警", "Alert")
"""What an alert is called whose rule is not known any more."""
