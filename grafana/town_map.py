"""The town's map: sites coloured by their worst open alert over the outlines of the grids.

Positions are WGS84 and so must the tiles be: those of Chinese providers are GCJ-02, about 485 m off at Wangting. The
outlines of grids come from the console, which tells them to anybody (console.outlines): Grafana has no session there.
"""

from grafana_foundation_sdk.builders import common, geomap
from grafana_foundation_sdk.models.common import FrameGeometrySourceMode
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue
from grafana_foundation_sdk.models.geomap import MapCenterID, TooltipMode

from detectors.words import Severity
from grafana.choices import name_of, told
from grafana.kit import AnyPanel, Kit, Link
from grafana.panels import COLORS, Column, Look, looking, properties, severity_names, steps_of
from grafana.queries import SQL

OUTLINES = "/grids.geojson"
"""Where the console tells the grids' outlines."""
_WHOLE_SCALE = [DynamicConfigValue(id_val="min", value=0), DynamicConfigValue(id_val="max", value=int(max(Severity)))]
"""A worse site is also a larger one, whatever the others are."""
_CIRCLE = "img/icons/marker/circle.svg"


def town_map(kit: Kit) -> AnyPanel:
    """The panel; it fits its view to the sites that it shows."""
    words = kit.words
    sql = (
        f"SELECT lat AS latitude, lng AS longitude, worst, {name_of(kit)} AS name, open_alerts, live_tickets, code "
        f"FROM grafana.site WHERE {told('village', 'grid')} AND code ~ '^(${{site:regex}})$' ORDER BY worst, code"
    )
    to_site = Link(words("town.open_site"), kit.to_dashboard("site", "var-site=${__data.fields.code}"))
    look = Look(
        title=words("town.map"),
        about=words("town.map_about"),
        queries=[SQL(sql)],
        span=14,
        height=20,
        steps=steps_of({each: float(each) for each in Severity if each}),
        links=[to_site],
    )
    panel = looking(geomap.Panel(), look)
    for column in (
        Column("worst", words("column.severity"), mappings=severity_names(words), more=_WHOLE_SCALE),
        Column("name", words("column.site")),
        Column("open_alerts", words("site.open_alerts")),
        Column("live_tickets", words("site.live_tickets")),
    ):
        panel.override_by_name(column.name, properties(column))
    panel.view(geomap.MapViewConfig().id(MapCenterID.FIT).all_layers(True).zoom(13).max_zoom(18).padding(5))
    panel.controls(
        geomap.ControlsOptions().show_zoom(True).mouse_wheel_zoom(True).show_attribution(True).show_scale(True)
    )
    panel.tooltip(geomap.TooltipOptions().mode(TooltipMode.DETAILS))
    return panel.basemap(_tiles(kit)).layers([_grids(kit), _sites(kit)])


def _layer(kind: str, name: str, config: dict[str, object]) -> common.MapLayerOptions:
    return common.MapLayerOptions().type(kind).name(name).config(config)


def _tiles(kit: Kit) -> common.MapLayerOptions:
    config: dict[str, object] = {"url": kit.places.tiles, "attribution": kit.places.attribution}
    return _layer("xyz", kit.words("town.background"), config)


def _grids(kit: Kit) -> common.MapLayerOptions:
    style = {"color": {"fixed": "blue"}, "opacity": 0.08, "lineWidth": 1, "rotation": {"fixed": 0}}
    config: dict[str, object] = {"src": kit.to_console(OUTLINES), "rules": [], "style": style}
    return _layer("geojson", kit.words("town.grids"), config).tooltip(False)


def _sites(kit: Kit) -> common.MapLayerOptions:
    style = {
        "color": {"field": "worst", "fixed": COLORS[Severity.NONE]},
        "opacity": 0.8,
        "size": {"field": "worst", "fixed": 6, "min": 5, "max": 11},
        "symbol": {"fixed": _CIRCLE, "mode": "fixed"},
        "symbolAlign": {"horizontal": "center", "vertical": "center"},
        "rotation": {"fixed": 0, "max": 360, "min": -360, "mode": "mod"},
        "lineWidth": 1,
    }
    place = common.FrameGeometrySource().mode(FrameGeometrySourceMode.COORDS)
    place.latitude("latitude").longitude("longitude")
    shown = _layer("markers", kit.words("town.sites"), {"showLegend": False, "style": style})
    return shown.location(place).tooltip(True)
