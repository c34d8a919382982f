"""The models of normal of a whole town: readings in, warnings within one budget out. A part of no safety detector."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE
from core.journal import Record, RecordKind
from detectors.anomaly.budget import NOTABLE, Budget, Candidate, Change, Series
from detectors.anomaly.cheap import PARTS, CheapTier
from detectors.anomaly.daily_calendar import day_class
from detectors.faults import MODEL
from devices.registry import Registry
from ingest.words import Block, Event, Quality, RegistryChanged, decode_control

_UNLEARNABLE = Quality.OUT_OF_RANGE | Quality.TIME_REPLACED
_LATE = 15 * MINUTE
"""A reading that is older when it comes teaches, but nobody is warned of it: its moment has passed."""
_CHEAP, _BUDGET = "cheap", "budget"


class Page(Protocol):
    """A piece of a model's memory."""

    number: int
    body: bytes


class View(NamedTuple):
    """What the desk may see of the models at a minute."""

    at: int
    series: int
    learning: int
    """Series that are silent yet: too little is known of them."""
    budget: Budget


class TownModels:
    """Reads blocks, ticks and changes of the registry; what it finds are events of kind "model".

    `labels` gives at any time the false alarms and the real ones of each series (device, metric) that have been said
    so, or None if that isn't known now; `show` is given a view once a minute.
    """

    def __init__(
        self,
        registry: Callable[[], Registry],
        labels: Callable[[], Mapping[Series, tuple[int, int]] | None],
        show: Callable[[View], None],
        per_hour: int = 6,
    ) -> None:
        self._load, self._labels, self._show = registry, labels, show
        self._cheap, self._budget = CheapTier(0), Budget(per_hour)
        self._minute = 0
        self._town = _Town(registry())
        self._cheap.grow(self._town.count)

    def take(self, records: list[Record]) -> list[Event]:
        """What the records tell of, in the order of the journal."""
        found: list[Event] = []
        for record in records:
            if record.kind == RecordKind.BLOCK:
                self._read(Block.from_bytes(record.payload), record.time)
            elif record.kind == RecordKind.TICK:
                found += self._tick(record.time)
            elif record.kind == RecordKind.CONTROL and isinstance(decode_control(record.payload), RegistryChanged):
                self._town = _Town(self._load())
                self._cheap.grow(max(self._town.count, len(self._cheap)))
        return found

    def _read(self, block: Block, now: int) -> None:
        wanted = (block.quality & _UNLEARNABLE) == 0
        wanted &= self._town.is_watched(block.series)
        series, at, value = block.series[wanted], block.at[wanted], block.value[wanted]
        said = self._cheap.read(series, at, value, day_class(at))
        score = said.score
        for row in np.flatnonzero(score >= NOTABLE).tolist():
            number = int(series[row])
            if block.received_at[wanted][row] - at[row] > _LATE or not self._town.pages(number, now):
                continue
            tier = "daily" if said.daily[row] > said.ewma[row] else "ewma"
            evidence: dict[str, Any] = {"value": float(value[row]), "part": PARTS[int(said.part[row])]}
            if np.isfinite(said.low[row]):
                evidence |= {"low": float(said.low[row]), "high": float(said.high[row])}
            device, metric = self._town.name(number)
            self._budget.offer(now, Candidate(device, metric, int(at[row]), float(score[row]), tier, evidence))

    def _tick(self, now: int) -> list[Event]:
        if now // MINUTE == self._minute:
            return []
        self._minute = now // MINUTE
        labels = self._labels()
        if labels is not None:
            self._budget.label(labels)
        changes = self._budget.tick(now)
        self._show(View(now, self._town.watched, self._learning(), self._budget))
        return [_event(change) for change in changes]

    def _learning(self) -> int:
        return self._town.watched - int(np.count_nonzero(self._cheap.settled()[: self._town.count]))

    def places(self) -> list[tuple[str, int]]:
        """Every page of memory by model and number."""
        return [(_CHEAP, number) for number in range(self._cheap.pages())]

    def page(self, model: str, number: int) -> bytes:
        """A copy of a page."""
        if model != _CHEAP:
            raise ValueError(f"there is no model {model}")
        return self._cheap.page(number)

    def notes(self) -> dict[str, bytes]:
        """The rest of the state."""
        return {_BUDGET: self._budget.pack(), _CHEAP: str(len(self._cheap)).encode()}

    def restore(self, notes: dict[str, bytes], pages: Callable[[str], Iterable[Any]]) -> None:
        """Go on from what was saved; raises ValueError for what can't be of these models, and knows nothing then."""
        try:
            cheap = CheapTier(int(notes[_CHEAP]))
            for page in pages(_CHEAP):
                cheap.restore(page.number, page.body)
            self._budget.unpack(notes[_BUDGET])
        except LookupError as error:
            raise ValueError(f"what was saved is not whole: {error!r}") from error
        cheap.grow(max(self._town.count, len(cheap)))
        self._cheap = cheap


class _Town:
    """What the models want to know of the registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.count = len(registry.device)
        self._watched = registry.device >= 0
        states = np.isin(registry.metric, list(_states(registry)))
        self._watched &= ~states
        if registry.canary >= 0:
            self._watched[registry.canary] = False
        self.watched = int(np.count_nonzero(self._watched))

    def is_watched(self, series: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Of each reading, whether its series is known and is a quantity whose normal can be learnt."""
        known = (series >= 0) & (series < self.count)
        known[known] = self._watched[series[known]]
        return known

    def name(self, series: int) -> Series:
        """Codes of the device and the metric."""
        registry = self._registry
        return registry.device_codes[registry.device[series]], registry.metrics[registry.metric[series]]

    def pages(self, series: int, now: int) -> bool:
        """Whether the device is in service."""
        return self._registry.in_service(int(self._registry.device[series]), now)


def _states(registry: Registry) -> Iterator[int]:
    """Indexes of the metrics that are a state or a direction in every type that has them."""
    measured = {
        metric.code
        for kind in registry.types.values()
        for metric in kind.metrics.values()
        if (metric.low, metric.high) not in ((0, 1), (0, 360))
    }
    return (index for index, code in enumerate(registry.metrics) if code not in measured)


def _event(change: Change) -> Event:
    weighed = change.weighed
    one = weighed.candidate
    said: dict[str, Any] = {"active": change.active}
    if change.active:
        said |= {
            **one.evidence,
            "metric": one.metric,
            "tier": one.tier,
            "score": round(one.score, 2),
            "weight": round(weighed.weight, 2),
            "threshold": round(weighed.threshold, 2),
            "share": weighed.share,
            "alike": weighed.alike,
        }
    return Event(MODEL, one.device, "readings", one.at if change.active else change.at, change.at, said)
