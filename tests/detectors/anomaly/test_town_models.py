"""The models of a small town, fed with records as the journal holds them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from core.clock import DAY, HOUR, MINUTE, SECOND
from core.journal import Offset, Record, RecordKind
from detectors.anomaly.budget import Series
from detectors.anomaly.town_models import TownModels, View
from detectors.words import Change, Subject
from ingest.words import Block, Event, Quality, RegistryChanged, encode
from tests.detectors.stage import START, Device, Stage, registry_of

TOWN = (Device("GAS-1", "gas"), Device("GAS-2", "gas", "GW-2"), Device("GAS-3", "gas", state="commissioning"))
STEP = 5 * MINUTE


class Page(NamedTuple):
    number: int
    body: bytes


class Scene:
    """Three devices whose first metric reads every five minutes; `feed` goes on from where the last one ended."""

    def __init__(self) -> None:
        self.registry = registry_of(TOWN)
        self.labels: Mapping[Series, tuple[int, int]] | None = {}
        self.views: list[View] = []
        self.metric = next(iter(self.registry.series_of["GAS-1"]))
        self.series = [self.registry.series_of[device.code][self.metric] for device in TOWN]
        self.models = self.fresh()
        self.now, self.n = START, 0
        self.random = np.random.default_rng(1)

    def fresh(self) -> TownModels:
        return TownModels(lambda: self.registry, lambda: self.labels, self.views.append)

    def record(self, kind: RecordKind, payload: bytes = b"") -> Record:
        self.n += 1
        return Record(Offset(0, self.n), self.now, kind, payload)

    def feed(self, span: int, off: Sequence[float] = (0, 0, 0), late: int = 0, quality: int = 0) -> list[Event]:
        found: list[Event] = []
        for _ in range(span // STEP):
            self.now += STEP
            at = [self.now - late] * 3
            value = 10 + 4 * np.sin(self.now / DAY * 2 * np.pi) + self.random.normal(0, 0.2, 3) + np.array(off)
            block = Block.of(self.series, at, [self.now] * 3, value.tolist(), [quality] * 3)
            found += self.models.take([self.record(RecordKind.BLOCK, block.to_bytes())])
            self.now += SECOND
            found += self.models.take([self.record(RecordKind.TICK)])
            self.now -= SECOND
        return found


@pytest.fixture(scope="module")
def learnt() -> Scene:
    """Four usual days."""
    made = Scene()
    assert made.feed(4 * DAY) == []
    return made


@pytest.fixture
def scene(learnt: Scene) -> Scene:
    made = Scene()
    made.models.restore(*saved(learnt.models))
    made.now, made.n = learnt.now, learnt.n
    return made


def test_what_is_odd_becomes_an_episode_of_the_device_with_its_evidence(scene: Scene) -> None:
    (event,) = scene.feed(STEP, off=(8, 0, 0))
    assert (event.kind, event.id, event.type) == ("model", "GAS-1", "readings")
    said = event.attributes
    assert (said["active"], said["metric"]) == (True, scene.metric)
    assert said["tier"] in ("ewma", "daily")
    assert said["low"] < said["high"] < said["value"]
    assert said["score"] > said["threshold"] > 5
    stage = Stage.of(*TOWN)
    stage.tick(0)
    (opened,) = stage.event("model", "GAS-1", "readings", 5, **said)
    assert (opened.change, opened.subject) == (Change.OPENED, Subject("device", "GAS-1"))


def test_it_is_over_when_the_device_was_quiet_for_hours(scene: Scene) -> None:
    scene.feed(STEP, off=(8, 0, 0))
    events = scene.feed(12 * HOUR)
    assert [(event.id, event.attributes) for event in events] == [("GAS-1", {"active": False})]


def test_a_device_that_is_not_in_service_is_learnt_of_and_not_warned_of(scene: Scene) -> None:
    assert scene.feed(HOUR, off=(0, 0, 8)) == []
    assert scene.views[-1].learning == scene.views[-1].series - 3


@pytest.mark.parametrize(("late", "quality"), [(HOUR, 0), (0, Quality.OUT_OF_RANGE), (0, Quality.TIME_REPLACED)])
def test_what_came_late_or_is_not_to_be_trusted_warns_of_nothing(scene: Scene, late: int, quality: int) -> None:
    scene.now += 2 * HOUR
    assert scene.feed(STEP, off=(8, 8, 8), late=late, quality=quality) == []


def test_labels_are_taken_each_minute_and_weigh(scene: Scene) -> None:
    scene.labels = {("GAS-1", scene.metric): (5, 0)}
    scene.feed(STEP)
    (event,) = scene.feed(STEP, off=(20, 0, 0)) or scene.feed(STEP, off=(40, 0, 0))
    assert event.attributes["share"] < 0.01
    scene.labels = None
    scene.feed(STEP)
    assert scene.views[-1].budget.shares() != {}, "labels that can't be read now stay"


def test_states_and_the_unknown_are_left_alone(scene: Scene) -> None:
    registry = scene.registry
    smoke = registry_of((Device("SMK-1", "smoke"), *TOWN))
    watched = sum(len(metrics) for code, metrics in smoke.series_of.items() if code != "SMK-1")
    scene.registry = smoke
    scene.models.take([scene.record(RecordKind.CONTROL, encode(RegistryChanged(2)))])
    scene.feed(STEP)
    assert scene.views[-1].series <= watched + 1
    block = Block.of([999], [scene.now], [scene.now], [1.0])
    assert scene.models.take([scene.record(RecordKind.BLOCK, block.to_bytes())]) == []
    assert len(registry.device) < len(smoke.device)


def saved(models: TownModels) -> tuple[dict[str, bytes], Callable[[str], list[Page]]]:
    pages = {name: [Page(k, models.page(name, k)) for of, k in models.places() if of == name] for name in ("cheap",)}
    return models.notes(), lambda name: pages[name]


def test_what_was_saved_goes_on(scene: Scene) -> None:
    notes, pages = saved(scene.models)
    scene.models = scene.fresh()
    scene.models.restore(notes, pages)
    assert [event.id for event in scene.feed(STEP, off=(0, 8, 0))] == ["GAS-2"]


def test_what_is_not_whole_is_refused(scene: Scene) -> None:
    notes, pages = saved(scene.models)
    with pytest.raises(ValueError, match="not whole"):
        scene.fresh().restore({}, pages)
    with pytest.raises(ValueError, match="bytes"):
        scene.fresh().restore(notes, lambda _: [Page(0, b"")])
    with pytest.raises(ValueError, match="no model"):
        scene.models.page("discord", 0)
