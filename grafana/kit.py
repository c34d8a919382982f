"""What every dashboard is put together from: the frame around it, its variables, links and rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.dashboard import Panel as BuiltPanel

from devices.device_types import DeviceType, load_device_types
from grafana.queries import source
from grafana.words import Language, Words

AnyPanel = Builder[BuiltPanel]

TAG = "shouwang"
"""Every dashboard has it, and a tag of its language (`shouwang-en`), by which they list each other."""
ALL = ".*"
"""What a variable says for "all": a regular expression, since thousands of devices do not fit into a query."""


@dataclass(frozen=True)
class Places:
    """What is the town's own: the console's address, the tiles behind maps (WGS84, in OSM's form), its device types."""

    console: str = "http://127.0.0.1:8000"
    tiles: str = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
    attribution: str = "© OpenStreetMap contributors"
    types: Mapping[str, DeviceType] = field(default_factory=load_device_types)


@dataclass(frozen=True)
class Kit:
    """What a dashboard's code is given: its words, and where things lie."""

    words: Words
    places: Places = field(default_factory=Places)

    @property
    def language(self) -> Language:
        """The language that it speaks."""
        return self.words.language

    @property
    def types(self) -> Mapping[str, DeviceType]:
        """The device types whose readings are shown."""
        return self.places.types

    @property
    def suffix(self) -> str:
        """What follows the uid of a dashboard in this language."""
        return "" if self.language == "zh" else f"-{self.language}"

    def uid(self, name: str) -> str:
        """A dashboard's uid in this language.

        >>> Kit(Words("zh")).uid("town"), Kit(Words("en")).uid("town")
        ('shouwang-town', 'shouwang-town-en')
        """
        return f"shouwang-{name}{self.suffix}"

    def to_dashboard(self, name: str, *given: str, keep_time: bool = True) -> str:
        """The address of another dashboard; `given` are its variables, such as `var-site=${__data.fields.site}`."""
        parts = [*given, "${__url_time_range}"] if keep_time else list(given)
        return f"/d/{self.uid(name)}?{'&'.join(parts)}".rstrip("?")

    def to_console(self, path: str) -> str:
        """The address of a page of the console, such as `/tickets/${__data.fields.number}`."""
        return f"{self.places.console}{path}"


@dataclass(frozen=True)
class Row:
    """A titled row of panels; `collapsed` ones ask nothing until they are opened."""

    title: str
    panels: Sequence[AnyPanel]
    collapsed: bool = False
    repeat: str = ""


@dataclass(frozen=True)
class Link:
    """A link that a value or a row of a table has; `new` opens it in a tab of its own."""

    title: str
    url: str
    new: bool = False

    def builder(self) -> dashboard.DashboardLink:
        """As the SDK has it."""
        return dashboard.DashboardLink(self.title).type(DashboardLinkType.LINK).url(self.url).target_blank(self.new)


def new_dashboard(
    kit: Kit,
    name: str,
    rows: Iterable[Row],
    variables: Iterable[Builder[Any]] = (),
    *,
    start: str = "now-1h",
    refresh: str = "30s",
    annotations: Sequence[Builder[Any]] = (),
) -> Dashboard:
    """A whole dashboard, titled `{name}.title` in the words, in Asia/Shanghai's time.

    `start` is where its time range begins; `annotations` are those of grafana.annotations.
    """
    words = kit.words
    built = dashboard.Dashboard(words(f"{name}.title")).uid(kit.uid(name)).description(words(f"{name}.about"))
    built.tags([TAG, f"{TAG}-{kit.language}"]).timezone("Asia/Shanghai").week_start("monday").readonly()
    built.refresh(refresh).time(start, "now").tooltip(DashboardCursorSync.CROSSHAIR)
    built.timepicker(dashboard.TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m", "1h"]))
    for variable in variables:
        built.with_variable(variable)
    built.link(_others(kit))
    built.link(
        dashboard.DashboardLink(words("console"))
        .type(DashboardLinkType.LINK)
        .icon("external link")
        .url(kit.to_console("/"))
        .target_blank(True)
    )
    for annotation in annotations:
        built.annotation(annotation)
    _fill(built, rows)
    return built.build()


def _others(kit: Kit) -> dashboard.DashboardLink:
    others = dashboard.DashboardLink(kit.words("dashboards")).type(DashboardLinkType.DASHBOARDS)
    return others.tags([f"{TAG}-{kit.language}"]).as_dropdown(True).include_vars(True).keep_time(True)


def _fill(built: dashboard.Dashboard, rows: Iterable[Row]) -> None:
    numbers = count(1)
    for row in rows:
        line = dashboard.Row(row.title).id(next(numbers))
        if row.repeat:
            line.repeat(row.repeat)
        if row.collapsed:
            line.collapsed(True)
            for panel in row.panels:
                line.with_panel(_numbered(panel, next(numbers)))
        built.with_row(line)
        for panel in () if row.collapsed else row.panels:
            built.with_panel(_numbered(panel, next(numbers)))


def _numbered(panel: AnyPanel, number: int) -> AnyPanel:
    numbering: Callable[[int], AnyPanel] = panel.id  # type: ignore[attr-defined]  # all of the SDK's have it
    return numbering(number)


def chosen(
    kit: Kit, name: str, sql: str, *, multi: bool = True, everything: bool = True, hidden: bool = False
) -> dashboard.QueryVariable:
    """A variable whose values the alerts database lists: `sql` gives the columns __value and __text.

    Labelled `variable.{name}` in the words. Where `everything` may be chosen that is the first choice.
    """
    variable = dashboard.QueryVariable(name).label(kit.words(f"variable.{name}"))
    variable.datasource(source("grafana-postgresql-datasource")).query(sql).multi(multi).allow_custom_value(False)
    variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    if everything:
        variable.include_all(True).all_value(ALL)
        variable.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    return variable.hide(VariableHide.HIDE_VARIABLE) if hidden else variable
