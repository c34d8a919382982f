"""The two sets of rules of a backtest: those in force, and the same with a rule pack read over them."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from sqlalchemy import Connection

from detectors.rules import RuleSet, load_packs, load_version, newest_version
from detectors.sheets import sheets_in_force
from devices.device_types import DeviceType

TRIED = "tried"
"""What errors call the tried pack."""


def tried_rules(connection: Connection, text: str, extra: Sequence[Path], types: Mapping[str, DeviceType]) -> RuleSet:
    """All packs and sheets with `text` read last, as if it were a sheet.

    Raises RuleErrors; the errors of the pack begin with its name, line and column.
    """
    return load_packs(extra, types, {**sheets_in_force(connection), TRIED: text})


def both_sides(
    connection: Connection, text: str, extra: Sequence[Path], types: Mapping[str, DeviceType], day: date
) -> tuple[RuleSet, RuleSet]:
    """The recorded rules in force on a local day, and the tried ones: what the pack changes holds whatever its dates.

    Raises RuleErrors.
    """
    tried = tried_rules(connection, text, extra, types)
    today = load_version(connection, newest_version(connection) or 0)
    dated = {code: rule for code, rule in tried.rules.items() if rule.in_force(day) or rule != today.rules.get(code)}
    return today.in_force(day), RuleSet(0, dated)
