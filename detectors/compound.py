"""Compound rules: several episodes at one site, begun close to each other and still open, are one graver detection.

They are judged at each tick over the episodes that are open then, so that neither the split into blocks nor the order
between series matters; one that came and went between two ticks, as a backlog may have it, is not announced: each of
its members was. An episode that pages nobody (maintenance, commissioning, aged) doesn't count, nor does an
anomaly of a sick sensor. A compound ends when fewer than `at_least` of its members stand.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.rule import Rule
from detectors.speech import Speech
from detectors.words import Change, Detection, Subject

SITE = "site"
_NAMED = 20  # members named in the evidence; a road has hundreds of devices


class MemberKey(NamedTuple):
    """An episode of a rule on a device."""

    rule: str
    device: str


class SiteKey(NamedTuple):
    """A compound rule at a site."""

    rule: str
    site: str


class Member(msgspec.Struct):
    """An open episode that some compound rule names. `onset` in µs UTC.

    `doubted`: a person closed its alert, and the next tick tells whether it goes on.
    """

    onset: int
    paged: bool
    value: float | None = None
    unit: str = ""
    doubted: bool = False


class Standing(msgspec.Struct):
    """A compound that stands. `told` is False while it waits to be announced anew."""

    onset: int
    told: bool = True


class OpenEpisode(NamedTuple):
    """What a part of the detector knows of an episode that it announced."""

    key: MemberKey
    onset: int
    paged: bool


@dataclass
class Compounds:
    """The compound rules in force, with the open episodes of their members and the compounds that stand.

    `sick` is over devices.
    """

    speech: Speech
    sick: npt.NDArray[np.bool_]
    members: dict[MemberKey, Member] = field(default_factory=dict)
    standing: dict[SiteKey, Standing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.speech.rules.rules
        self._rules = {rule.id: rule for rule in rules.values() if rule.kind == "compound"}
        self._hazards = {code: rule.hazard for code, rule in rules.items()}
        named: dict[str, list[str]] = {}
        for rule in self._rules.values():
            for member in dict.fromkeys(rule.members):
                named.setdefault(member, []).append(rule.id)
        self._naming: Mapping[str, list[str]] = named
        self._at: dict[str, set[MemberKey]] = {}
        for key in self.members:
            self._at.setdefault(self._site(key.device), set()).add(key)
        self._changed = set(self.standing)
        for key in self.members:
            self._touch(key)

    @property
    def naming(self) -> Iterable[str]:
        """The rules that some compound rule names."""
        return self._naming.keys()

    def follow(self, found: Detection) -> None:
        """Take note of a step of an episode that may be a member."""
        if found.rule not in self._naming or found.subject.kind != "device":
            return
        key = MemberKey(found.rule, found.subject.id)
        if found.change == Change.CLEARED:
            self._drop(key)
            return
        before = self.members.get(key)
        paged = found.page or (before is not None and before.onset == found.onset and before.paged)
        unit = found.evidence.get("unit", "")
        self.members[key] = Member(found.onset, paged, found.value, unit)
        self._at.setdefault(self._site(key.device), set()).add(key)
        self._touch(key)

    def _drop(self, key: MemberKey) -> None:
        if self.members.pop(key, None) is not None:
            self._at[self._site(key.device)].discard(key)
            self._touch(key)

    def _site(self, device: str) -> str:
        registry = self.speech.registry
        place = registry.device_index.get(device)
        return "" if place is None else registry.site[place]

    def _touch(self, key: MemberKey) -> None:
        site = self._site(key.device)
        self._changed.update(SiteKey(rule, site) for rule in self._naming.get(key.rule, ()) if site)

    def doubt(self, device: str, rule: str) -> None:
        """A person closed a member's alert: unless the next tick announces it anew, it is over."""
        if member := self.members.get(MemberKey(rule, device)):
            member.doubted = True

    def rearm(self, site: str, rule: str) -> None:
        """Forget that a compound was announced: while it stands, it is announced again with its onset."""
        if standing := self.standing.get(SiteKey(rule, site)):
            standing.told = False
            self._changed.add(SiteKey(rule, site))

    def health_changed(self) -> None:
        """Other sensors are sick now: judge what hangs on it."""
        rules = self.speech.rules.rules
        for key in self.members:
            if (rule := rules.get(key.rule)) is not None and rule.anomaly:
                self._touch(key)

    def tick(self, now: int) -> Iterator[Detection]:
        """Compounds that begin, end or are announced anew."""
        for key in [key for key, member in self.members.items() if member.doubted]:
            self._drop(key)
        changed, self._changed = sorted(self._changed), set()
        for place in changed:
            yield from self._judge(place, self._rules[place.rule], now)

    def _judge(self, place: SiteKey, rule: Rule, now: int) -> Iterator[Detection]:
        counted = self._counted(place.site, rule)
        standing = self.standing.get(place)
        if standing is None:
            onset = completed(counted, rule, self._hazards) if self._holds(rule, place.site) else None
            if onset is not None:
                self.standing[place] = standing = Standing(onset)
                yield self._say(place, rule, standing, counted, now)
        elif len({distinguished(key, rule, self._hazards) for _, key in counted}) < rule.at_least:
            del self.standing[place]
            if standing.told:
                yield self._end(place, standing, now, "recovered")
        elif not standing.told:
            standing.told = True
            yield self._say(place, rule, standing, counted, now)

    def _counted(self, site: str, rule: Rule) -> list[tuple[int, MemberKey]]:
        """(onset, key) of the members that count for a rule at a site, the oldest first."""
        found = [key for key in self._at.get(site, ()) if key.rule in rule.members and self._counts(key)]
        return sorted((self.members[key].onset, key) for key in found)

    def _counts(self, key: MemberKey) -> bool:
        rule = self.speech.rules.rules.get(key.rule)
        place = self.speech.registry.device_index[key.device]
        held_back = rule is not None and rule.anomaly and bool(self.sick[place])
        return self.members[key].paged and not held_back

    def _holds(self, rule: Rule, site: str) -> bool:
        """Whether no override switches the rule off at the site."""
        return rule.terms("", site, "", self.speech.registry.site_attributes.get(site, {})).enabled

    def _say(
        self, place: SiteKey, rule: Rule, standing: Standing, counted: list[tuple[int, MemberKey]], now: int
    ) -> Detection:
        named = [
            {"rule": key.rule, "device": key.device, "value": member.value, "unit": member.unit, "onset": onset}
            for onset, key in counted[:_NAMED]
            for member in [self.members[key]]
        ]
        evidence = {"members": named, "count": len(counted), "at_least": rule.at_least, "within": rule.within}
        return self.speech.opened(rule, Subject(SITE, place.site), standing.onset, now, now, "compound", evidence)

    def _end(self, place: SiteKey, standing: Standing, now: int, reason: str) -> Detection:
        return self.speech.cleared(place.rule, Subject(SITE, place.site), standing.onset, now, now, reason)

    def reconciled(self, known: Iterable[OpenEpisode]) -> dict[MemberKey, Member]:
        """The members as the open episodes have them; of those that no rule named before the values are not known."""
        members = {key: member for key, member in self.members.items() if member.doubted}
        for key, onset, paged in known:
            members[key] = self.members.get(key) or Member(onset, paged)
        return members

    def carried(
        self, speech: Speech, sick: npt.NDArray[np.bool_], members: Mapping[MemberKey, Member], now: int
    ) -> tuple["Compounds", list[Detection]]:
        """The compounds of these members under other rules or another registry; those without a rule end."""
        after = Compounds(speech, sick)
        kept = {key: its for key, its in self.standing.items() if after.goes_on(key)}
        gone = sorted(key for key in self.standing if key not in kept and self.standing[key].told)
        ended = [self._end(key, self.standing[key], now, "rule_withdrawn") for key in gone]
        of_rules = {key: member for key, member in members.items() if key.rule in after.naming}
        return Compounds(speech, sick, of_rules, kept), ended

    def goes_on(self, place: SiteKey) -> bool:
        """Whether there still is such a rule at the site."""
        rule = self._rules.get(place.rule)
        return rule is not None and self._holds(rule, place.site)

    def open_episodes(self) -> int:
        """How many are announced."""
        return sum(standing.told for standing in self.standing.values())


def distinguished(key: MemberKey, rule: Rule, hazards: Mapping[str, str]) -> str:
    """By what members are told apart: two of the same count once. `hazards` are by rule.

    >>> from types import SimpleNamespace
    >>> distinguished(MemberKey("smoke.alarm", "SMK-1"), SimpleNamespace(distinct="hazard"), {"smoke.alarm": "smoke"})
    'smoke'
    """
    if rule.distinct == "device":
        return key.device
    return hazards.get(key.rule, key.rule) if rule.distinct == "hazard" else key.rule


def completed(
    members: Iterable[tuple[int, MemberKey]], rule: Rule, hazards: Mapping[str, str] = MappingProxyType({})
) -> int | None:
    """When the first member began that made `at_least` of them within the rule's span, µs; None when none did.

    `members` come with the oldest first; a rule without a span takes them all together. `hazards` are by rule.
    """
    window: deque[tuple[int, str]] = deque()
    counted: Counter[str] = Counter()
    for onset, key in members:
        window.append((onset, distinguished(key, rule, hazards)))
        counted[window[-1][1]] += 1
        while rule.within and window[0][0] < onset - rule.within:
            counted[window.popleft()[1]] -= 1
        if len(+counted) >= rule.at_least:
            return onset
    return None
