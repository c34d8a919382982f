"""The grids' outlines are for maps on other origins: anybody gets them, and nothing but them."""

import httpx
from shapely.geometry import shape

from grafana.town_map import OUTLINES
from tests.console.console_scene import Visit


def _outlines(visitor: httpx.Client, **headers: str) -> httpx.Response:
    return visitor.get(OUTLINES, headers={"Origin": "https://grafana.example", **headers})


def test_a_stranger_on_another_origin_reads_the_grids(visit: Visit) -> None:
    answer = _outlines(visit())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "set-cookie" not in answer.headers
    told = answer.json()
    assert told["type"] == "FeatureCollection"
    assert told["features"]
    for feature in told["features"]:
        assert feature.keys() == {"type", "geometry", "properties"}
        assert feature["properties"].keys() == {"code", "zh", "en", "village"}
        assert shape(feature["geometry"]).is_valid


def test_they_are_those_of_the_dispatchers_map(visit: Visit) -> None:
    assert _outlines(visit()).json()["features"] == visit("disp").get("/api/v1/shapes").json()["grids"]


def test_asked_again_they_cost_nothing(visit: Visit) -> None:
    stranger = visit()
    tag = _outlines(stranger).headers["etag"]
    again = _outlines(stranger, **{"If-None-Match": tag})
    assert again.status_code == 304
    assert not again.content
    assert again.headers["access-control-allow-origin"] == "*"


def test_nothing_else_is_told_to_other_origins(visit: Visit) -> None:
    signed_in = visit("disp")
    for path in ("/", "/api/v1/shapes", "/api/v1/state", "/healthz"):
        answer = signed_in.get(path, headers={"Origin": "https://grafana.example"})
        assert "access-control-allow-origin" not in answer.headers, path
