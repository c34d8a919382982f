"""What a state folder knows of its restore: whether one was cut short, and what the last whole one did."""

import json
from pathlib import Path
from typing import Literal, NamedTuple

from core.lifecycle import PartFailed

FILE = "restored.json"
MARKER = "restoring"
"""Stands in the state folder while files are put in place."""

Position = Literal["head", "replay"]
"""Where consumers go on in the journal: at its end, or where the backup's database left off, with notices off."""


class Restored(NamedTuple):
    """A restore at `at` from a backup of `made_at` (µs UTC).

    With `journal` "replay" nobody is told of what records up to the offset `upto` bring. `unsent` notices waited when
    the backup was made and were let go.
    """

    at: int
    made_at: int
    journal: Position
    upto: int
    unsent: int

    @property
    def quiet_upto(self) -> int:
        """Up to which offset of the journal notices are off."""
        return self.upto if self.journal == "replay" else 0


def last_restore(state: Path) -> Restored | None:
    """The last restore of a state folder; None without one, or when its note can't be read."""
    try:
        kept = json.loads((state / FILE).read_text(encoding="utf-8"))
        return Restored(int(kept["at"]), int(kept["made_at"]), kept["journal"], int(kept["upto"]), int(kept["unsent"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_half_restored(state: Path) -> None:
    """Raise PartFailed when a restore into this folder was cut short: nothing there is sure to belong together."""
    if (state / MARKER).exists():
        raise PartFailed(
            f"{state} 的恢复中途断了：请用同一备份再运行一次 shouwang restore --force。\n"
            f"a restore into {state} was cut short: run `shouwang restore --force` again with the same backup."
        )
