"""A picture of what was measured in the last hour, with its limits, for channels that take one; needs [reports].

A pure function of points: no window system, no state but the fonts, which are read once.
"""

import io
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import get_data_path
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font

from alerts.curves import Curve
from alerts.fonts import FONT
from alerts.measurements import Language, figure
from alerts.sms_texts import shorten
from core.clock import HOUR, MINUTE, SECOND, local

_SIZE = (7.5, 4.0)  # inches
_DPI = 120
_MOST_POINTS = 1500  # about two a pixel
_GAP = 3  # intervals without a reading, from which on the line is broken
_TITLE, _NAME = 40, 16  # characters
_CURVE, _LIMITS, _GRID, _GREY = "#1d4ed8", ("#b45309", "#b91c1c"), "#d4d4d8", "#52525b"
_UNKNOWN = "□"
_ABSURD = 1e15  # beyond that an axis has no use

Floats = npt.NDArray[np.float64]


def draw(curve: Curve, until: int, language: Language, span: int = HOUR) -> bytes:
    """The curve over the `span` (µs) that ends at `until` (µs UTC), as a PNG of 900 x 480.

    Peaks survive thinning, gaps stay gaps, and readings that are no number are left out.
    """
    seconds, values = _shown(curve, until - span, until)
    picture = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(picture)
    axes = picture.subplots()
    _frame(axes, curve, until - span, until)
    if len(values):
        _plot(axes, seconds, values, curve.unit)
    else:
        said = "此时段无数据" if language == "zh" else "No data in this time"
        _write(axes, 0.5, 0.5, said, xycoords="axes fraction", ha="center", color=_GREY)
    _draw_limits(axes, curve, values)
    drawn = io.BytesIO()
    picture.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()


def _shown(curve: Curve, since: int, until: int) -> tuple[Floats, Floats]:
    """Seconds since `since` and values within the span, thinned, with a NaN in each gap."""
    at = np.asarray(curve.at, dtype=np.int64)
    values = np.asarray(curve.values, dtype=np.float64)
    kept = (at >= since) & (at <= until) & (np.abs(values) <= _ABSURD)
    seconds, values = _thinned((at[kept] - since) / SECOND, values[kept])
    if len(seconds) < 3:
        return seconds, values
    steps = np.diff(seconds)
    gaps = np.flatnonzero(steps > max(_GAP * float(np.median(steps)), 1.0)) + 1
    return np.insert(seconds, gaps, seconds[gaps - 1]), np.insert(values, gaps, math.nan)


def _thinned(seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest of each of many equal parts; all where there are few."""
    if len(values) <= _MOST_POINTS:
        return seconds, values
    parts = np.array_split(np.arange(len(values)), _MOST_POINTS // 2)
    chosen = {int(part[each]) for part in parts for each in (values[part].argmin(), values[part].argmax())}
    kept = np.array(sorted(chosen | {len(values) - 1}))
    return seconds[kept], values[kept]


def _frame(axes: Axes, curve: Curve, since: int, until: int) -> None:
    axes.set_title(_drawable(shorten(curve.title, _TITLE)), fontproperties=_font(13), loc="left", parse_math=False)
    axes.set_ylabel(_drawable(shorten(curve.unit, _NAME)), fontproperties=_font(10), parse_math=False)
    axes.set_xlim(0, (until - since) / SECOND)
    step = max((until - since) // 6, MINUTE) // MINUTE * MINUTE
    first = -(-since // step) * step
    ticks = range(first, until + 1, step)
    axes.set_xticks(
        [(tick - since) / SECOND for tick in ticks], [local(tick).strftime("%H:%M") for tick in ticks], fontsize=9
    )
    axes.grid(color=_GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _plot(axes: Axes, seconds: Floats, values: Floats, unit: str) -> None:
    known = np.flatnonzero(np.isfinite(values))
    last = (float(seconds[known[-1]]), float(values[known[-1]]))
    axes.plot(seconds, values, color=_CURVE, linewidth=1.6, marker="." if len(known) < 120 else "", markersize=4)
    axes.plot(*last, marker="o", color=_CURVE, markersize=6)
    said = f"{figure(last[1])} {shorten(unit, _NAME)}".strip()
    _write(axes, *last, said, xytext=(-6, 8), textcoords="offset points", ha="right", color=_CURVE)


def _draw_limits(axes: Axes, curve: Curve, values: Floats) -> None:
    finite = [line for line in curve.limits if abs(line.value) <= _ABSURD]
    for place, line in enumerate(finite):
        colour = _LIMITS[1] if place == len(finite) - 1 else _LIMITS[0]
        axes.axhline(line.value, color=colour, linewidth=1.2, linestyle="--")
        said = f"{shorten(line.name, _NAME)} {figure(line.value)}".strip()
        place_at = {"xycoords": axes.get_yaxis_transform(), "xytext": (0, 3), "textcoords": "offset points"}
        _write(axes, 0.01, line.value, said, color=colour, **place_at)
    every = [*(float(value) for value in values[np.isfinite(values)]), *(line.value for line in finite)]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    room = (high - low) * 0.15 or max(abs(high) * 0.1, 1.0)
    axes.set_ylim(low - room, high + room)


def _write(axes: Axes, x: float, y: float, text: str, **how: Any) -> None:
    written = axes.annotate(_drawable(text), (x, y), fontproperties=_font(10), parse_math=False, **how)
    written.set_in_layout(False)


def _drawable(text: str) -> str:
    """The text with a box for each sign that no font has, which would be a box anyway, and a warning."""
    known = _signs()
    return "".join(sign if ord(sign) in known else _UNKNOWN for sign in " ".join(text.split()))


def _font(size: int) -> FontProperties:
    return FontProperties(family=list(_families()), size=size)


@cache
def _families() -> tuple[str, ...]:
    """The vendored font, made known, and behind it the library's own, which has the signs of other scripts."""
    fontManager.addfont(FONT)
    return FontProperties(fname=FONT).get_name(), "DejaVu Sans"


@cache
def _signs() -> frozenset[int]:
    own = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(code for file in (FONT, own) for code in FT2Font(str(file)).get_charmap())
