"""What a picture shows, and who draws it: matplotlib is loaded only by the process that draws."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.measurements import Language

LARGEST = 2 * 1024 * 1024
"""Bytes that every channel takes; ours are some tens of thousands."""


class LimitLine(NamedTuple):
    """A limit, in the curve's unit, and its name."""

    value: float
    name: str


class Curve(NamedTuple):
    """Readings of one series: `at` µs UTC in order, `values` in `unit`; `limits` from the mildest to the gravest."""

    title: str
    at: Sequence[int]
    values: Sequence[float]
    unit: str = ""
    limits: Sequence[LimitLine] = ()


def drawn(curve: Curve, until: int, language: Language) -> bytes:
    """The picture of the hour before `until` (µs UTC), a PNG; needs the extra [reports]."""
    from alerts.pictures import draw  # noqa: PLC0415

    return draw(curve, until, language)
