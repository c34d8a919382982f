"""What the console is given by the wiring; it opens nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Engine

from alerts.settings import DEFAULTS, DeskSettings
from alerts.town_view import TownView
from console.channel_facts import ChannelFacts
from console.doors import Doors
from console.thumbnails import Thumbnails
from core.clock import DAY, Clock
from core.metrics import unreadable_receipts
from detectors.rules import RuleSet
from devices.device_types import DeviceType
from ingest.store import ReadingStore
from ingest.words import Control

LiveFigures = Mapping[str, float]


def no_figures() -> LiveFigures:
    """The live figures of a console that runs beside no pipeline."""
    return {}


class Restored(NamedTuple):
    """The platform was restored at `at` from a backup of `made_at` (µs UTC).

    `replayed`: what was measured in between was judged again with notices off; else it was not judged.
    """

    at: int
    made_at: int
    replayed: bool


@dataclass(frozen=True)
class Services:
    """The console's surroundings.

    `store` is None when the readings store belongs to another process: curves then say so. `town` and `rules` give
    the ones in force; `rule_folders` are those of the town's own rule files. `journal_control` appends a control
    record. `counters` gives `readings_per_s` and `lag_ms` (how far detection is behind the journal); a missing key is
    shown as unknown. `base_url` is the address that people open, such as `http://127.0.0.1:8080`. `keep` µs back the
    store has readings, further back only roll-ups. `desk` are the policies that moves go by; `doors` who
    comes in from outside; `channels` those of the settings; `restored` the last restore.
    """

    engine: Engine
    store: ReadingStore | None
    clock: Clock
    types: Mapping[str, DeviceType]
    town: Callable[[], TownView]
    rules: Callable[[], RuleSet]
    journal_control: Callable[[Control], object]
    counters: Callable[[], LiveFigures] = no_figures
    keep: int = 730 * DAY
    rule_folders: Sequence[Path] = ()
    demo: bool = False
    base_url: str = "http://127.0.0.1:8080"
    desk: DeskSettings = DEFAULTS
    doors: Doors = field(default_factory=Doors)
    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    unreadable_receipts: Counter = field(default_factory=lambda: unreadable_receipts(None))
    restored: Restored | None = None
