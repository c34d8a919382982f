"""What an alert measured, in words: a reading, or what its rule makes of readings, with the limit that it reached."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from alerts.words import Row, Words
from core.clock import DAY, HOUR, MINUTE, SECOND

Kind = Literal["value", "change", "mean", "distance", "count", "scatter", "drift", "losses", "outside", "same"]
Language = Literal["zh", "en"]

_UNITLESS = ("scatter", "losses", "outside")
_WORDS = {
    "value": Words("{figure}", "{figure}"),
    "change": Words("{span}内 {figure}", "{figure} in {span}"),
    "mean": Words("{span}均值 {figure}", "{figure}, mean of {span}"),
    "distance": Words("偏离基准 {figure}", "{figure} off its baseline"),
    "count": Words("{span}内 {count} 次达 {figure}", "{figure} reached {count} times in {span}"),
    "scatter": Words("波动为平时的 {number} 倍", "scatter {number} times the usual"),
    "above": Words("比邻近设备高 {figure}", "{figure} above its neighbours"),
    "under": Words("比邻近设备低 {figure}", "{figure} below its neighbours"),
    "losses": Words("{span}内离线 {number} 次", "lost {number} times in {span}"),
    "outside": Words("连续 {number} 次超出量程", "{number} readings in a row out of range"),
    "same": Words("{span}未变，一直 {figure}", "{figure}, unchanged for {span}"),
}
_UNITS = (
    (DAY, Words("天", "d")),
    (HOUR, Words("小时", "h")),
    (MINUTE, Words("分钟", "min")),
    (SECOND, Words("秒", "s")),
)


class Measurement(NamedTuple):
    """What was measured and its limit, both in `unit`; `within` is the span (µs) and `times` how often, where it has.

    `kind` says what the number is: a reading, its change within the span, the span's mean, the distance from the
    baseline or from the neighbours, what so many readings reached, times the usual scatter, losses of a gateway,
    readings out of range in a row, or a reading that does not move.
    """

    kind: Kind = "value"
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    within: int = 0
    times: int = 0

    def text(self, language: Language) -> str:
        """The number in words; empty when there is none, or no unit to give it in.

        >>> Measurement("mean", 0.62, 0.5, "mg/m³", HOUR).text("zh")
        '1 小时均值 0.62 mg/m³'
        >>> Measurement("drift", -3.0, 2.0, "%LEL").text("en")
        '3 %LEL below its neighbours'
        """
        if self.value is None or not (self.unit or self.kind in _UNITLESS):
            return ""
        name = ("under" if self.value < 0 else "above") if self.kind == "drift" else self.kind
        if name == "change" and not self.within:
            name = "value"
        said = figure(abs(self.value) if self.kind == "drift" else self.value)
        words = _WORDS[name].zh if language == "zh" else _WORDS[name].en
        about = {"number": said, "figure": f"{said} {self.unit}", "count": self.times}
        return words.format(span=span_text(self.within, language), **about)

    @property
    def limit_text(self) -> str:
        """The limit as a number; empty for none, and where it would say nothing."""
        return "" if self.limit is None or self.kind in ("same", "outside") else figure(self.limit)


def measurement_of(alert: Row, unit: str = "") -> Measurement:
    """What an alert's row says; `unit` is its rule's, which goes before the evidence's.

    >>> row = {"value": 15.0, "limit": 2.0, "evidence": {"distance": 3.0, "unit": "%LEL", "window_s": 3600.0}}
    >>> measurement_of(row).text("zh")
    '比邻近设备高 3 %LEL'
    """
    said: Mapping[str, Any] = alert["evidence"] or {}
    kind, value, count = _meant(alert, said)
    span = said.get("same_for_s" if kind == "same" else "window_s", 0)
    finite = value is not None and math.isfinite(value)
    return Measurement(
        kind,
        value if finite else None,
        alert["limit"],
        "" if kind in _UNITLESS else unit or str(said.get("unit", "")),
        int(span * SECOND),
        count,
    )


def _meant(alert: Row, said: Mapping[str, Any]) -> tuple[Kind, float | None, int]:
    if "judged" in said:
        return said["judged"], said.get("measure"), int(said.get("count", 0))
    named: tuple[tuple[str, Kind], ...] = (
        ("change", "change"),
        ("distance", "drift"),
        ("losses", "losses"),
        ("readings", "outside"),
    )
    for name, kind in named:
        if name in said:
            return kind, said[name], 0
    return "same" if "same_for_s" in said else "value", alert["value"], 0


def figure(value: float) -> str:
    """A number to two decimals without trailing zeros.

    >>> figure(52.0), figure(0.125)
    ('52', '0.12')
    """
    return f"{round(value, 2) + 0:.12g}"


def span_text(span: int, language: Language) -> str:
    """A span (µs) in its largest unit.

    >>> span_text(90 * MINUTE, "en")
    '1 h'
    """
    size, name = next((unit for unit in _UNITS if span >= unit[0]), _UNITS[-1])
    return f"{span // size} {name.zh if language == 'zh' else name.en}"
