"""Panels in the look that all dashboards share: single values, curves, tables, timelines and bars."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, geomap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    FieldColorModeId,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from detectors.words import Severity
from grafana.kit import Link
from grafana.queries import MIXED, SQL, InfluxQL, PromQL, Query, source_of
from grafana.words import Words

COLORS = {
    Severity.NONE: "green",
    Severity.NOTICE: "blue",
    Severity.WARNING: "yellow",
    Severity.ALARM: "orange",
    Severity.CRITICAL: "red",
}
"""The colour of each severity: the palette's own names, which suit a dark and a light background."""

NONE_UNCOLORED = SpecialValueMap(
    options=DashboardSpecialValueMapOptions(
        match=SpecialValueMatch.NULL, result=ValueMappingResult(text="", color="transparent")
    )
)
"""No value has no colour: Grafana gives it that of the lowest step."""

Steps = Sequence[Threshold]
P = TypeVar("P", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel, bargauge.Panel, geomap.Panel)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What panels of every type have: title, queries, size (of 24 columns), unit, thresholds, value names, links."""

    title: str
    queries: Sequence[Query]
    span: int = 12
    height: int = 8
    about: str = ""
    unit: str = units.Short
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    steps: Steps = ()
    mappings: Sequence[ValueMapping] = ()
    links: Sequence[Link] = ()
    interval: str = ""
    empty: str = ""


@dataclass(frozen=True)
class Column:
    """A table's column by its name in the query: its heading, and what else differs from the table's look.

    `links` make its values links; `cell` colours its text or background by thresholds or value names.
    """

    name: str
    title: str
    unit: str = ""
    width: int = 0
    decimals: int | None = None
    links: Sequence[Link] = ()
    cell: Literal["", "color-text", "color-background"] = ""
    steps: Steps = ()
    mappings: Sequence[ValueMapping] = ()
    hidden: bool = False
    more: Sequence[DynamicConfigValue] = field(default=())


def steps_of(limits: dict[Severity, float], direction: Literal["above", "below"] = "above") -> list[Threshold]:
    """Limits by severity as Grafana's steps, in rising order; below the lowest step the colour of what holds there.

    >>> [(step.value, step.color) for step in steps_of({Severity.ALARM: 25.0, Severity.CRITICAL: 50.0})]
    [(None, 'green'), (25.0, 'orange'), (50.0, 'red')]
    >>> [(step.value, step.color) for step in steps_of({Severity.WARNING: 20.0, Severity.ALARM: 10.0}, "below")]
    [(None, 'orange'), (10.0, 'yellow'), (20.0, 'green')]
    """
    rising = sorted(limits.items(), key=lambda item: item[1])
    if direction == "above":
        return [Threshold(value=None, color=COLORS[Severity.NONE])] + [
            Threshold(value=limit, color=COLORS[severity]) for severity, limit in rising
        ]
    colors = [COLORS[severity] for severity, _ in rising] + [COLORS[Severity.NONE]]
    bounds: list[float | None] = [None, *(limit for _, limit in rising)]
    return [Threshold(value=bound, color=color) for bound, color in zip(bounds, colors, strict=True)]


def steps_from(limit: float, color: str) -> list[Threshold]:
    """Green, and from `limit` on this colour."""
    return [Threshold(value=None, color=COLORS[Severity.NONE]), Threshold(value=limit, color=color)]


def threshold_steps(*steps: tuple[float | None, str]) -> list[Threshold]:
    """Bounds in rising order, each with the colour from there on; the first is None."""
    return [Threshold(value=bound, color=color) for bound, color in steps]


def severity_names(words: Words) -> list[ValueMapping]:
    """The numbers 0 to 4 as severities with their colours."""
    return named_values({str(int(each)): (words(f"severity.{each.name.lower()}"), COLORS[each]) for each in Severity})


def texts(names: Mapping[str, str]) -> list[ValueMapping]:
    """Values by the text that they are shown as, in no colour of their own."""
    shown = {value: ValueMappingResult(text=text, index=place) for place, (value, text) in enumerate(names.items())}
    return [ValueMap(options=shown)]


def named_values(values: dict[str, tuple[str, str]]) -> list[ValueMapping]:
    """Values with the text and the colour that they are shown as, in this order."""
    shown = {
        value: ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(values.items())
    }
    return [ValueMap(options=shown)]


def single(look: Look, *, calc: str = "lastNotNull", sparkline: bool = False, rows: bool = False) -> stat.Panel:
    """Single values, coloured by the thresholds; with `rows` one for each row or line, else one for each column."""
    panel = looking(stat.Panel(), look)
    panel.reduce_options(common.ReduceDataOptions().calcs([calc]).values(rows))
    panel.color_mode(BigValueColorMode.VALUE)
    return panel.graph_mode(BigValueGraphMode.AREA if sparkline else BigValueGraphMode.NONE)


def counted(title: str, sql: str, span: int, steps: Steps = ()) -> stat.Panel:
    """A whole number that one row of the alerts database tells, such as how many alerts are open."""
    return single(Look(title=title, queries=[SQL(sql)], span=span, height=4, decimals=0, steps=steps))


def curves(look: Look, *, drawn: bool = False, legend: Sequence[str] = (), points: bool = False) -> timeseries.Panel:
    """Lines over time; `drawn` shows the thresholds as dashed lines or, of lower limits, as areas.

    `legend` has figures ("max", "mean") beside the names.
    """
    panel = looking(timeseries.Panel(), look).fill_opacity(0).span_nulls(True)
    panel.show_points(VisibilityMode.ALWAYS if points else VisibilityMode.AUTO)
    shown = common.VizLegendOptions().show_legend(True).placement(LegendPlacement.BOTTOM).calcs(list(legend))
    panel.legend(shown.display_mode(LegendDisplayMode.TABLE if legend else LegendDisplayMode.LIST))
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    if drawn:
        below = look.steps[0].color != COLORS[Severity.NONE]  # a line would have the colour of what is above it
        style = GraphThresholdsStyleMode.AREA if below else GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        bounds = [step.value for step in look.steps if step.value is not None]
        panel.axis_soft_max(1.1 * min(bounds))  # the next limit is in sight also while all is far below it
    return panel


def called(panel: timeseries.Panel, names: Mapping[str, str]) -> timeseries.Panel:
    """Lines by the name that people have for them."""
    for line, name in names.items():
        panel.override_by_name(line, [DynamicConfigValue(id_val="displayName", value=name)])
    return panel


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Lines one upon the other."""
    return panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A")).fill_opacity(40)


def bars_by_severity(look: Look, words: Words, grades: Iterable[Severity] = Severity) -> timeseries.Panel:
    """Stacked bars over time in the colours of severities; a line's name in the answer is its severity's number."""
    panel = stacked(curves(look, legend=["sum"])).draw_style(GraphDrawStyle.BARS).fill_opacity(80)
    panel.axis_soft_max(1)
    for grade in grades:
        shown = {
            "displayName": words(f"severity.{grade.name.lower()}"),
            "color": {"mode": "fixed", "fixedColor": COLORS[grade]},
        }
        panel.override_by_name(str(int(grade)), [DynamicConfigValue(id_val=key, value=it) for key, it in shown.items()])
    return panel


def rows_of(look: Look, columns: Sequence[Column]) -> table.Panel:
    """A table; untold columns of the query stay as they are. `look.empty` is said of no rows, not in cells."""
    panel = looking(table.Panel(), look).show_header(True).filterable(False)
    blank = [DynamicConfigValue(id_val="noValue", value="")] if look.empty else []
    for column in columns:
        panel.override_by_name(column.name, [*properties(column), *blank])
    return panel


def timeline(look: Look) -> statetimeline.Panel:
    """States over time as coloured bars, equal ones merged, with their names or bounds written in."""
    panel = looking(statetimeline.Panel(), look).merge_values(True).row_height(0.85).fill_opacity(80)
    panel.show_value(VisibilityMode.AUTO).per_page(20)
    hidden = common.VizLegendOptions().show_legend(False).display_mode(LegendDisplayMode.LIST)
    return panel.legend(hidden.placement(LegendPlacement.BOTTOM))


def bars(look: Look) -> bargauge.Panel:
    """Horizontal bars, one a row of the query."""
    panel = looking(bargauge.Panel(), look).display_mode(BarGaugeDisplayMode.GRADIENT)
    panel.orientation(VizOrientation.HORIZONTAL)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(True))


def looking(panel: P, look: Look) -> P:
    """A panel of the SDK with its look."""
    panel.title(look.title).span(look.span).height(look.height).unit(look.unit).description(look.about)
    for number, query in enumerate(look.queries):
        panel.with_target(query.named(chr(ord("A") + number)))
    sources = {source_of(query).uid: source_of(query) for query in look.queries}
    panel.datasource(next(iter(sources.values())) if len(sources) == 1 else MIXED)
    for figure, value in ((panel.decimals, look.decimals), (panel.min, look.minimum), (panel.max, look.maximum)):
        if value is not None:
            figure(value)
    for text, said in ((panel.interval, look.interval), (panel.no_value, look.empty)):
        if said:
            text(said)
    if look.mappings:
        panel.mappings(list(look.mappings))
    if look.links:
        panel.data_links([link.builder() for link in look.links])
    if look.steps:
        panel.color_scheme(dashboard.FieldColor().mode(_coloring(panel, look.queries)))
    return panel.thresholds(thresholds(look.steps))


def _coloring(panel: object, queries: Sequence[Query]) -> FieldColorModeId:
    """Curves keep a colour each; a single value, a state and a bar take the colour of their threshold."""
    several = isinstance(panel, timeseries.Panel) and any(isinstance(query, InfluxQL | PromQL) for query in queries)
    return FieldColorModeId.PALETTE_CLASSIC if several else FieldColorModeId.THRESHOLDS


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Absolute thresholds; without any, all is green."""
    shown = list(steps) or [Threshold(value=None, color=COLORS[Severity.NONE])]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(shown)


def properties(column: Column) -> list[DynamicConfigValue]:
    """A column as what overrides its look."""
    given: dict[str, object] = {"displayName": column.title}
    if column.unit:
        given["unit"] = column.unit
    if column.decimals is not None:
        given["decimals"] = column.decimals
    if column.width:
        given["custom.width"] = column.width
    if column.links:
        given["links"] = [link.builder().build() for link in column.links]
    if column.cell:
        given["custom.cellOptions"] = {"type": column.cell}
    if column.steps:
        given["thresholds"] = thresholds(column.steps).build()
    if column.mappings:
        given["mappings"] = list(column.mappings)
    if column.hidden:
        given["custom.hidden"] = True
    return [DynamicConfigValue(id_val=name, value=value) for name, value in given.items()] + list(column.more)
