"""Flapping gateways: how often one was lost within a window, judged at each tick.

A loss is an offline status of a gateway that was not known to be lost, or its silence. Those from just before the
platform lost its own session until just after it had one again are none: they are the platform's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from core.clock import SECOND
from detectors.compile import RETIRED
from detectors.hearing import GRACE, Listening
from detectors.rule import Rule, Terms
from detectors.speech import Speech
from detectors.words import Change, Detection, Severity, Subject

GATEWAY = "gateway"
_KEPT = 500  # losses of one gateway


class FlapKey(NamedTuple):
    """A rule on a gateway."""

    rule: str
    gateway: str


class Loss(NamedTuple):
    """When a gateway was lost, µs: by the journal and by its own clock."""

    at: int
    own: int


class Flapping(msgspec.Struct):
    """An episode. `told` is the announced level, 0 while it waits to be announced anew."""

    onset: int
    level: int
    told: int = 0


@dataclass
class Flaps:
    """The flapping rules in force, with each gateway's losses, the oldest first, and the open episodes."""

    speech: Speech
    losses: dict[str, list[Loss]] = field(default_factory=dict)
    episodes: dict[FlapKey, Flapping] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = [rule for rule in self.speech.rules.rules.values() if rule.kind == "flapping"]
        self._rules: list[Rule] = sorted(rules, key=lambda rule: rule.id)
        self._window = 0
        self._terms: dict[FlapKey, Terms] = {}
        for rule in self._rules:
            for code, row in self.speech.registry.gateways.items():
                attributes = self.speech.registry.site_attributes.get(row.site, {})
                terms = rule.terms("", row.site, code, attributes)
                if terms.enabled and terms.limits:
                    self._terms[FlapKey(rule.id, code)] = terms
                    self._window = max(self._window, terms.window)

    def lost(self, gateway: str, now: int, own: int, listening: Listening) -> None:
        """A gateway was lost at the journal's time `now`."""
        if not self._rules or listening.lost or now < listening.connected_at + GRACE:
            return
        known = self.losses.setdefault(gateway, [])
        if all(loss.own != own for loss in known):
            known.append(Loss(now, own))
            del known[:-_KEPT]

    def follow(self, found: Detection, now: int, listening: Listening) -> None:
        """A gateway that is found silent is lost too."""
        if found.reason == "gateway_silence" and found.change == Change.OPENED:
            self.lost(found.subject.id, now, found.onset, listening)

    def platform_lost(self, at: int) -> None:
        """The platform lost its session: what it lost just before was the same thing."""
        for gateway, known in self.losses.items():
            self.losses[gateway] = [loss for loss in known if loss.at < at - GRACE]

    def tick(self, now: int) -> Iterator[Detection]:
        """Episodes that begin, rise, ease, end or are announced anew."""
        self._forget(now)
        gateways = sorted({*self.losses, *(key.gateway for key in self.episodes)})
        for rule in self._rules:
            for gateway in gateways:
                key = FlapKey(rule.id, gateway)
                if key in self._terms:
                    yield from self._judge(key, rule, self._terms[key], now)

    def _forget(self, now: int) -> None:
        kept = {code: [loss for loss in known if loss.at > now - self._window] for code, known in self.losses.items()}
        self.losses = {code: known for code, known in kept.items() if known}

    def _judge(self, key: FlapKey, rule: Rule, terms: Terms, now: int) -> Iterator[Detection]:
        losses = [loss for loss in self.losses.get(key.gateway, ()) if loss.at > now - terms.window]
        episode = self.episodes.get(key)
        level = level_of(len(losses), episode.level if episode else 0, terms)
        if episode is None:
            if not level or not losses:
                return
            completing = losses[max(int(-(-min(terms.limits.values()) // 1)), 1) - 1]
            episode = self.episodes[key] = Flapping(completing.own, level)
        episode.level = level
        if not level:
            del self.episodes[key]
            if episode.told:
                yield self._end(key, episode, now, "recovered")
        elif level != episode.told:
            yield self._say(key, rule, terms, episode, len(losses), now)

    def _say(self, key: FlapKey, rule: Rule, terms: Terms, episode: Flapping, count: int, now: int) -> Detection:
        change = Change.UPDATED if episode.told else Change.OPENED
        reason = "eased" if episode.level < episode.told else "flapping"
        severity = Severity(episode.level)
        episode.told = episode.level
        limits = {each.name.lower(): limit for each, limit in sorted(terms.limits.items())}
        evidence = {"losses": count, "window_s": terms.window / SECOND, "limits": limits, "recovery": terms.recovery}
        said = self.speech.opened(rule, Subject(GATEWAY, key.gateway), episode.onset, now, now, reason, evidence)
        measured = {"severity": severity, "value": float(count), "limit": terms.limits[severity]}
        return msgspec.structs.replace(said, change=change, **measured)

    def _end(self, key: FlapKey, episode: Flapping, now: int, reason: str) -> Detection:
        return self.speech.cleared(key.rule, Subject(GATEWAY, key.gateway), episode.onset, now, now, reason)

    def rearm(self, gateway: str, rule: str) -> None:
        """Forget that an episode was announced: while it stands, it is announced again with its onset."""
        if episode := self.episodes.get(FlapKey(rule, gateway)):
            episode.told = 0

    def carried(self, speech: Speech, now: int) -> tuple["Flaps", list[Detection]]:
        """The losses under other rules or another registry; the episodes that nothing goes on with end."""
        gateways = speech.registry.gateways
        after = Flaps(speech, {code: known for code, known in self.losses.items() if code in gateways})
        ended = []
        for key, episode in self.episodes.items():
            if key in after._terms:
                after.episodes[key] = episode
            elif episode.told:
                reason = "rule_withdrawn" if key.gateway in gateways else RETIRED
                ended.append(self._end(key, episode, now, reason))
        return after, ended

    def open_episodes(self) -> int:
        """How many are announced."""
        return sum(episode.told > 0 for episode in self.episodes.values())


def level_of(count: int, before: int, terms: Terms) -> int:
    """The severity of so many losses, by recovery the one `before` as long as they are enough for it.

    >>> terms = Terms({Severity.NOTICE: 4.0, Severity.WARNING: 8.0}, 2.0, 0, 0)
    >>> [level_of(count, 2, terms) for count in (9, 6, 5, 1)]
    [2, 2, 1, 0]
    """
    reached = max((int(severity) for severity, limit in terms.limits.items() if count >= limit), default=0)
    band = min(terms.limits.values()) - terms.recovery
    held = [int(each) for each, limit in terms.limits.items() if each <= before and count >= max(limit - band, 1)]
    return max([reached, *held])
