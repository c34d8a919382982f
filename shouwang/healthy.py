"""Is this role well? For health checks: reads the role's last pulse, imports little, ends within a tenth of a second.

python -m shouwang.healthy ROLE: status 0, or 1 and the reason. The state folder is SHOUWANG_STATE, else ./state.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from core.clock import SECOND, SystemClock

_LATE = 30 * SECOND


class Beat(NamedTuple):
    """A role's pulse: when it was felt (µs), and why the role does not do its work; empty when it does."""

    at: int
    why: str


def pulse_file(state: Path, role: str) -> Path:
    """Where a role's last pulse stands."""
    return state / f"pulse-{role}.json"


def last_pulse(state: Path, role: str) -> Beat | None:
    """The last pulse of a role, None when there was none or its note can't be read."""
    try:
        kept = json.loads(pulse_file(state, role).read_text(encoding="utf-8"))
        return Beat(int(kept["at"]), str(kept["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def why_unwell(beat: Beat | None, now: int) -> str:
    """The named reason for which a role with this last pulse is not well; empty when it is.

    >>> why_unwell(Beat(0, ""), 60 * SECOND)
    'no_pulse_for_60_s'
    """
    if beat is None:
        return "never_started"
    if now - beat.at > _LATE:
        return f"no_pulse_for_{(now - beat.at) // SECOND}_s"
    return beat.why


def main(role: str) -> int:
    """The exit status; the reason on standard output."""
    why = why_unwell(last_pulse(Path(os.environ.get("SHOUWANG_STATE", "state")), role), SystemClock().now())
    sys.stdout.write(f"{role}: {why or 'well'}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
