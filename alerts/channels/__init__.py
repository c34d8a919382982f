"""The port to a notification provider: what goes out, what comes back, and what a provider can and cannot do."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import msgspec
from sqlalchemy import Connection

from alerts.facts import Facts


class Limit(NamedTuple):
    """At most `messages` to one address in any `window` (µs)."""

    messages: int
    window: int

    def free_at(self, sent: Sequence[int], now: int) -> int:
        """When the next message may go, given the moments (µs) of those sent before; `now` if at once.

        A window that slides, not a bucket that refills: after a full bucket, refilling would allow twice the limit
        within the first window.

        >>> limit = Limit(2, 60)
        >>> limit.free_at([10, 50], now=55), limit.free_at([10, 50], now=70)
        (70, 70)
        """
        recent = sorted(moment for moment in sent if moment > now - self.window)
        if len(recent) < self.messages:
            return now
        return recent[-self.messages] + self.window


def free_at(limits: Sequence[Limit], sent: Sequence[int], now: int) -> int:
    """When the next message may go by all of the limits; `now` if at once.

    >>> free_at([Limit(2, 60), Limit(3, 600)], [10, 50, 55], now=130)
    610
    """
    return max((limit.free_at(sent, now) for limit in limits), default=now)


class Outcome(msgspec.Struct, frozen=True):
    """What became of one request.

    accepted: the provider took the message. retry: it certainly did not, and may later. failed: it never will.
    uncertain: nobody knows. `code` is the provider's own, `detail` says it in clear text. `retry_after` (µs) is the
    least wait; with `holds_address` it is meant for every message to the address.
    """

    state: Literal["accepted", "retry", "failed", "uncertain"]
    code: str = ""
    detail: str = ""
    provider_id: str = ""
    retry_after: int = 0
    holds_address: bool = False


class OutgoingNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice on its way out.

    `id` stays the same over all attempts. `link` is the code of a personal link, empty where the channel is not one
    to one. `repeated`: an attempt before may have arrived. `at` is the moment of this attempt, µs UTC.
    """

    id: int
    ticket: int
    recipient_kind: str
    recipient: str
    address: str
    facts: Facts
    at: int
    link: str = ""
    repeated: bool = False


class Channel(Protocol):
    """One configured way to reach people; an adapter inherits from `PlainChannel` and says what differs.

    `name` is the one in settings. `deduplicates`: a second message with the same notice id has no effect.
    `one_to_one`: only the addressee reads it, so that it may carry a personal link. `limits` hold together for one
    address (`limit` is the first of them). `most_in_one`: how many notices of one address one message can list; above
    1 the channel is a `ListingChannel`. `takes_pictures`: it is a `PictureChannel`. `urgent_only`: it rings people, so
    it takes only critical and life-safety notices. `gives_receipts`: the provider tells later, by the outcome's
    `provider_id`, whether the message arrived.
    """

    @property
    def name(self) -> str: ...
    @property
    def deduplicates(self) -> bool: ...
    @property
    def can_ask(self) -> bool: ...
    @property
    def one_to_one(self) -> bool: ...
    @property
    def limit(self) -> Limit | None: ...
    @property
    def limits(self) -> tuple[Limit, ...]: ...
    @property
    def most_in_one(self) -> int: ...
    @property
    def takes_pictures(self) -> bool: ...
    @property
    def urgent_only(self) -> bool: ...
    @property
    def gives_receipts(self) -> bool: ...

    def send(self, notice: OutgoingNotice) -> Outcome:
        """Make exactly one request and say what became of it; raises nothing that a provider can cause."""
        ...


class PlainChannel:
    """What a channel is unless it says otherwise: one notice a message, as fast as it likes, and nothing besides."""

    deduplicates: bool = False
    can_ask: bool = False
    one_to_one: bool = False
    limits: tuple[Limit, ...] = ()
    most_in_one: int = 1
    takes_pictures: bool = False
    urgent_only: bool = False
    gives_receipts: bool = False

    @property
    def limit(self) -> Limit | None:
        """The first of its limits."""
        return self.limits[0] if self.limits else None


@runtime_checkable
class AskableChannel(Channel, Protocol):
    """A channel whose provider can be asked whether it has a message."""

    def ask(self, notice: OutgoingNotice) -> Outcome:
        """accepted: it has it. failed: it has not. uncertain: no answer."""
        ...


@runtime_checkable
class ListingChannel(Channel, Protocol):
    """A channel that can list several notices of one address in one message."""

    def send_several(self, notices: Sequence[OutgoingNotice]) -> Outcome:
        """Make exactly one request for 1 to `most_in_one` notices, most urgent first; its outcome is that of each."""
        ...


@runtime_checkable
class LocalChannel(Channel, Protocol):
    """A channel whose provider is the platform's own database: its messages are rows, written with the notices'."""

    def deliver(self, connection: Connection, notices: Sequence[OutgoingNotice]) -> None:
        """Write the messages of notices of any addresses in the caller's transaction; one a notice, ever."""
        ...


@runtime_checkable
class PictureChannel(Channel, Protocol):
    """A channel that takes a picture."""

    def send_picture(self, notice: OutgoingNotice, png: bytes) -> Outcome:
        """Send the picture that belongs to a notice as a message of its own, after the notice's.

        It counts against the limits. What becomes of it changes nothing for the notice, and it is never repeated.
        """
        ...
