"""Where each account may publish and subscribe: what every broker is told, and what the embedded one enforces.

A gateway has its own topics: version 1 under its prefix, and those of its registered format. A filter that reaches into
`sw/v1/` or a broker's own `$` topics, or that means topics which another gateway has already, gives no right.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from devices.canary import CANARY
from ingest.filter_owners import FilterOwners
from ingest.formats.v1 import PREFIX
from ingest.routes import Routes

REJECTS, COMMANDS = "rejects", "commands"
_OWN_HEARING = (REJECTS, COMMANDS)


class Rights(NamedTuple):
    """Topic filters on which an account may publish, and which it may subscribe to (or a part of them)."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def allow(self, action: str, topic: str) -> bool:
        """May the account "publish" to this topic or "subscribe" to this filter?"""
        granted = self.publish if action == "publish" else self.subscribe
        return any(covers(filter_, topic) for filter_ in granted)


class TownRights(NamedTuple):
    """The rights of all accounts; `problems` has (gateway, why) for each registered filter that gives none."""

    gateways: Mapping[str, Rights]
    platform: Rights
    problems: tuple[tuple[str, str], ...]


def gateway_rights(code: str) -> Rights:
    """What any gateway may do, whatever its format."""
    own = f"{PREFIX}{code}/"
    return Rights((f"{own}#",), tuple(f"{own}{topic}" for topic in _OWN_HEARING))


def town_rights(routes: Routes, codes: Mapping[str, object], client_id: str) -> TownRights:
    """The rights of these gateways and of the platform's account, whose canary carries its client id.

    A dialect may offer `answers`: the filters on which the platform speaks to its gateway, such as commands.
    """
    owners, problems = FilterOwners(), list[tuple[str, str]]()
    dialects = {code: routes.dialects[code] for code in codes if code in routes.dialects}
    spoken = {code: tuple(_sound(code, dialect.topics, owners, problems)) for code, dialect in dialects.items()}
    heard = {
        code: tuple(_sound(code, getattr(dialect, "answers", ()), owners, problems))
        for code, dialect in dialects.items()
    }
    gateways: dict[str, Rights] = {}
    for code in codes:
        basis = gateway_rights(code)
        gateways[code] = Rights(basis.publish + spoken.get(code, ()), basis.subscribe + heard.get(code, ()))
    answers = tuple(filter_ for filters in heard.values() for filter_ in filters)
    return TownRights(gateways, platform_rights(client_id, answers), tuple(problems))


def platform_rights(client_id: str, answers: tuple[str, ...] = ()) -> Rights:
    """The platform reads all and writes answers, commands, the canary of its session and that of the whole way."""
    hearing = tuple(f"{PREFIX}+/{topic}" for topic in _OWN_HEARING)
    canaries = (f"{PREFIX}{client_id}/canary", f"{PREFIX}{CANARY}/#")
    return Rights((*hearing, *canaries, *answers), ("#", "$SYS/broker/#"))


def _sound(code: str, filters: tuple[str, ...], owners: FilterOwners, problems: list[tuple[str, str]]) -> Iterator[str]:
    """The filters that may become rights of this gateway; of two gateways that want a topic the first has it."""
    for filter_ in filters:
        if not filter_ or filter_ != filter_.strip() or any(ord(sign) < 32 or ord(sign) == 127 for sign in filter_):
            problems.append((code, f"{filter_!r} is no topic filter"))
        elif overlap(filter_, f"{PREFIX}#") or filter_.startswith("$"):
            problems.append((code, f"{filter_} reaches into other gateways' {PREFIX} or the broker's own topics"))
        elif (owner := owners.claim(filter_, code)) != code:
            problems.append((code, f"{filter_} means topics that {owner} has already"))
        else:
            yield filter_


def covers(granted: str, asked: str) -> bool:
    """Does a granted filter cover all that an asked topic or filter means?

    >>> covers("sw/v1/GW-1/#", "sw/v1/GW-1/telemetry"), covers("a/+/c", "a/b/c"), covers("a/+", "a/#")
    (True, True, False)
    """
    if asked.startswith("$") and not granted.startswith("$"):
        return False
    levels = asked.split("/")
    for place, level in enumerate(granted.split("/")):
        if level == "#":
            return True
        if place >= len(levels) or levels[place] == "#" or (level != "+" and levels[place] != level):
            return False
    return len(levels) == granted.count("/") + 1


def overlap(one: str, other: str) -> bool:
    """Is there a topic that both filters mean?

    >>> overlap("+/v1/#", "sw/v1/#"), overlap("sw/v2/#", "sw/v1/#"), overlap("#", "sw/v1/#")
    (True, False, True)
    """
    ones, others = one.split("/"), other.split("/")
    for place in range(max(len(ones), len(others))):
        pair = {levels[place] if place < len(levels) else "" for levels in (ones, others)}
        if "#" in pair:
            return True
        if place >= min(len(ones), len(others)) or ("+" not in pair and len(pair) == 2):
            return False
    return True
