"""The town and the rules in force, for what runs without the detect role: read again when there are newer ones."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, select

from alerts.town_view import TownView, load_town_view
from core.database import reading
from detectors.rules import RuleSet, load_version, newest_version
from devices.tables import registry


def registry_version(connection: Connection) -> int:
    """The version of the registry now."""
    return int(connection.execute(select(registry.c.version)).scalar_one())


def town_of(engine: Engine) -> Callable[[], TownView]:
    """The town, read again when the registry's version moved."""
    kept: list[TownView] = []

    def town() -> TownView:
        with reading(engine) as connection:
            version = registry_version(connection)
            if not kept or kept[0].version != version:
                kept[:] = [load_town_view(connection)]
        return kept[0]

    return town


def rules_of(engine: Engine) -> Callable[[], RuleSet]:
    """The newest recorded rules, read again when there are newer ones."""
    kept: list[RuleSet] = []

    def rules() -> RuleSet:
        with reading(engine) as connection:
            version = newest_version(connection) or 0
            if not kept or kept[0].version != version:
                kept[:] = [load_version(connection, version)]
        return kept[0]

    return rules
