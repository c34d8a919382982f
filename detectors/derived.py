"""Series whose values an expression makes of others, numbered behind the registry's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.columns import DERIVED, STEP
from detectors.expression import Expression
from devices.registry import Registry


@dataclass
class Derived:
    """The derived series over `registered` ones: rows of DERIVED, and the steps to which they point."""

    registry: Registry
    registered: int
    steps: list[tuple[int, float]] = field(default_factory=list)
    count: int = 0
    _parts: list[npt.NDArray[Any]] = field(default_factory=list)
    _first: dict[Expression, int] = field(default_factory=dict)

    @classmethod
    def none(cls, registry: Registry) -> "Derived":
        """No derived series yet."""
        return cls(registry, len(registry.device))

    def add(self, expression: Expression, max_age: int, inputs: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """One more for each row of `inputs` (series numbers in the order of its metrics); their numbers."""
        if expression not in self._first:
            self._first[expression] = len(self.steps)
            self.steps += [(step.op, step.argument) for step in expression.steps]
        rows = np.zeros(len(inputs), DERIVED)
        rows["first"] = self._first[expression]
        rows["end"] = rows["first"] + len(expression.steps)
        rows["max_age"], rows["anchor"], rows["inputs"] = max_age, inputs.min(1), inputs.shape[1]
        rows["input"][:, : inputs.shape[1]] = inputs
        numbers = self.registered + self.count + np.arange(len(inputs), dtype=np.int32)
        self._parts.append(rows)
        self.count += len(inputs)
        return numbers.astype(np.int32)

    @property
    def rows(self) -> npt.NDArray[Any]:
        """DERIVED over the derived series."""
        return np.concatenate([np.zeros(0, DERIVED), *self._parts])

    @property
    def step_rows(self) -> npt.NDArray[Any]:
        """STEP over the steps of all expressions."""
        return np.array(self.steps, STEP)

    @property
    def _pairs(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """(input, row of the derived series), ordered by them."""
        rows = self.rows
        place = np.repeat(np.arange(len(rows), dtype=np.int32), rows["inputs"])
        used = np.arange(DERIVED["input"].shape[0]) < rows["inputs"][:, None]
        return rows["input"][used], place

    @property
    def inputs(self) -> npt.NDArray[np.int32]:
        """The series that feed derived ones."""
        return np.unique(self._pairs[0])

    @property
    def feeds(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """CSR over the registered series: the rows of the derived ones that each feeds."""
        source, place = self._pairs
        feeds = np.zeros(self.registered + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=self.registered), out=feeds[1:])
        return feeds, place[np.lexsort((place, source))]

    @property
    def device(self) -> npt.NDArray[np.int32]:
        """The device of each derived series."""
        return np.asarray(self.registry.device[self.rows["anchor"]])

    def anchor(self, series: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Registered series as they are, derived ones' first inputs."""
        anchors, found = self.rows["anchor"], series.copy()
        behind = series >= self.registered
        found[behind] = anchors[series[behind] - self.registered]
        return found


def inputs_of(members: Sequence[npt.NDArray[np.int32]], registry: Registry) -> npt.NDArray[np.int32]:
    """A row of series numbers for each device that has one in all of `members`, by device."""
    columns = np.full((len(members), len(registry.device_codes)), -1, np.int32)
    for column, numbers in zip(columns, members, strict=True):
        column[registry.device[numbers]] = numbers
    return np.ascontiguousarray(columns[:, (columns >= 0).all(0)].T)
