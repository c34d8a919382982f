"""What somebody entered to quiet alerts, read into what is asked for."""

import re
from typing import Annotated, Any, NamedTuple

from fastapi import Form

from alerts.matching import Matcher
from alerts.quiet_decisions import QuietKind
from alerts.quiet_limits import Asked, QuietRefused, read_matchers
from console.acting import moment_entered
from core.clock import MINUTE

SHELF_MINUTES = (15, 30, 60, 120, 240, 480)
SILENCE_MINUTES = (60, 240, 480, 1440, 4320, 10080)
CONDITIONS = 3
"""How many conditions a form offers."""
_Texts = Annotated[list[str], Form(max_length=CONDITIONS)]
_Text = Annotated[str, Form(max_length=500)]
_Moment = Annotated[str, Form(max_length=30)]


class Entered(NamedTuple):
    """A form as it came."""

    kind: str = "silence"
    conditions: tuple[tuple[str, str, str], ...] = ()
    minutes: int = 240
    starts: str = ""
    ends: str = ""
    days: tuple[int, ...] = ()
    from_: str = "22:00"
    to: str = "06:00"
    reason: str = ""
    life_safety: bool = False
    confirm: bool = False

    def condition(self, place: int) -> tuple[str, str, str]:
        """What stands in one of the form's rows: label, operator, value."""
        return self.conditions[place] if place < len(self.conditions) else ("site", "=", "")


def entered(
    kind: Annotated[str, Form(pattern="^(silence|window)$")],
    reason: _Text = "",
    label: _Texts = [],  # noqa: B006 - FastAPI makes it anew for each request
    op: _Texts = [],  # noqa: B006
    value: _Texts = [],  # noqa: B006
    minutes: Annotated[int, Form(ge=1, le=600_000)] = 240,
    starts: _Moment = "",
    ends: _Moment = "",
    days: Annotated[list[int], Form(max_length=7)] = [],  # noqa: B006
    from_: Annotated[str, Form(alias="from", max_length=5)] = "",
    to: Annotated[str, Form(max_length=5)] = "",
    life_safety: _Text = "",
    confirm: _Text = "",
) -> Entered:
    """The form of a silence or a window."""
    conditions = tuple(each for each in zip(label, op, value, strict=False) if each[2].strip())
    ticked = bool(life_safety), bool(confirm)
    return Entered(kind, conditions, minutes, starts, ends, tuple(days), from_, to, reason, *ticked)


def conditions_asked(form: Entered, now: int) -> Asked:
    """What the form's conditions alone ask for, before its times and its reason are filled in. Raises QuietRefused."""
    kind: QuietKind = "window" if form.kind == "window" else "silence"
    return Asked(kind, _matchers(form), now, now, "", form.life_safety)


def asked_for(form: Entered, now: int) -> Asked:
    """What the form asks for. Raises QuietRefused for what can't be read."""
    matchers = _matchers(form)
    if form.kind == "silence":
        return Asked("silence", matchers, now, now + form.minutes * MINUTE, form.reason, form.life_safety)
    starts, ends = moment_entered(form.starts) if form.starts else now, moment_entered(form.ends)
    if starts is None or ends is None:
        raise QuietRefused("bad_moment")
    hours = {"days": list(form.days), "from": form.from_, "to": form.to}
    return Asked("window", matchers, starts, ends, form.reason, form.life_safety, schedule=hours)


def _matchers(form: Entered) -> tuple[Matcher, ...]:
    return read_matchers([_condition(*each) for each in form.conditions])


def _condition(label: str, op: str, value: str) -> dict[str, Any]:
    """One condition; several values apart by commas or spaces are any of them.

    >>> _condition("site", "in", "S1，S2")["value"]
    ['S1', 'S2']
    """
    several = [each for each in re.split(r"[\s,，、;；]+", value) if each]
    return {"label": label, "op": op, "value": several if op == "in" else value.strip()}
