"""Telling a running platform, by its journal, what a command changed."""

from core.clock import SystemClock
from core.database import reading, writing
from detectors.sheets import announce
from devices.enrolment import ensure_registry
from ingest.words import RegistryChanged
from shouwang.present import registry_version
from shouwang.settings import Settings
from shouwang.wiring import append_control, open_database, open_journal


def announce_rules(settings: Settings) -> int:
    """Journal the newest version of the rules, so that a running platform goes on under it; the version."""
    engine = open_database(settings)
    with writing(engine) as connection:
        journal = open_journal(settings, ensure_registry(connection))
    version = announce(engine, lambda changed: append_control(journal, changed, SystemClock()))
    journal.close()
    engine.dispose()
    return version


def announce_registry(settings: Settings) -> None:
    """Journal that the registry changed, so that a running platform follows at once."""
    engine = open_database(settings)
    with reading(engine) as connection:
        version = registry_version(connection)
    with writing(engine) as connection:
        journal = open_journal(settings, ensure_registry(connection))
    append_control(journal, RegistryChanged(version), SystemClock())
    journal.close()
    engine.dispose()
