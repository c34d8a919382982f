"""The JSON API: the board, the queue, curves from a real store, the stream, the shape of errors."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from core.clock import DAY, MINUTE, SECOND
from core.journal import Offset
from detectors.words import Severity
from ingest.duckdb_store import DuckDbStore
from ingest.store import FIVE_MINUTES, RollUp
from ingest.words import Block
from tests.console.console_scene import Town, Visit, console_on


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path / "readings.duckdb").open()
    yield opened
    opened.close()


def test_the_state_follows_the_alerts(town: Town, visit: Visit) -> None:
    desk = visit("disp")
    before = desk.get("/api/v1/state").json()
    assert before["sites"] == {}
    town.alert()
    after = desk.get("/api/v1/state").json()
    assert after["sites"] == {"S01": [[4, "gas", 1]]}
    assert after["change"] > before["change"]
    assert after["figures"]["readings_per_s"] == 1234.0


def test_the_shapes_cost_nothing_when_they_are_known(visit: Visit) -> None:
    desk = visit("disp")
    first = desk.get("/api/v1/shapes")
    assert len(first.json()["sites"]) == 9
    again = desk.get("/api/v1/shapes", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_queue_and_a_ticket_as_json(town: Town, visit: Visit) -> None:
    town.alert()
    desk = visit("disp")
    queue = desk.get("/api/v1/tickets?severity=4").json()
    assert queue["counts"]["all"] == 1
    row = queue["tickets"][0]
    assert (row["place"], row["due_stage"]) == (["示例点位 01", "Sample site 01"], "accept")
    found = desk.get(f"/api/v1/tickets/{row['number']}").json()
    assert [hop["name"] for hop in found["chain"]][:4] == ["reading", "received", "journalled", "alert"]
    assert "address" not in found["notices"][0]


def test_a_curve_comes_from_the_store_within_its_points(town: Town, store: DuckDbStore) -> None:
    start = town.clock.now() - 10 * MINUTE
    at = [start + n * SECOND for n in range(600)]
    store.append([(Offset(0, 1), Block.of([0] * 600, at, at, [float(n % 60) for n in range(600)]))])
    town.store = store
    with console_on(town) as url:
        visit = Visit(url)
        desk = visit("disp")
        curve = desk.get(f"/api/v1/series/0?since={start}&until={at[-1] + 1}&points=100").json()
        raw = desk.get(f"/api/v1/series/0?since={start}&until={start + 5 * SECOND}").json()
        assert desk.get("/api/v1/series/99999?since=0&until=1").status_code == 404
        assert "59" in desk.get("/devices/GAS-0001").text
        visit.close()
    assert (curve["device"], curve["metric"], curve["unit"]) == ("GAS-0001", "gas_lel", "%LEL")
    assert 0 < len(curve["at"]) <= 100
    assert max(curve["high"]) == 59.0
    assert raw["mean"] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_curve_of_years_ago_comes_from_the_roll_ups(town: Town, store: DuckDbStore) -> None:
    ago = (town.clock.now() - 3 * 365 * DAY) // FIVE_MINUTES * FIVE_MINUTES
    start = np.array([ago, ago + FIVE_MINUTES])
    low, mean, high = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])
    store.put_rollup(FIVE_MINUTES, RollUp(np.zeros(2, np.int32), start, low, mean, high, np.array([10, 10])))
    town.store = store
    with console_on(town) as url:
        visit = Visit(url)
        curve = visit("disp").get(f"/api/v1/series/0?since={ago}&until={ago + 3 * FIVE_MINUTES}").json()
        visit.close()
    assert (curve["low"], curve["mean"], curve["high"]) == ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])


def test_without_a_store_a_curve_says_so(visit: Visit) -> None:
    answer = visit("disp").get("/api/v1/series/0?since=0&until=1")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_store"


@pytest.mark.parametrize(
    "path", ["/tickets?severity=9", "/tickets?limit=0", "/series/0", "/series/x?since=0&until=1", "/tickets?tab=none"]
)
def test_a_bad_parameter_is_named_in_both_languages(visit: Visit, path: str) -> None:
    answer = visit("disp").get(f"/api/v1{path}")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid"
    assert error["where"]
    assert {"zh", "en"} <= error.keys()


def test_the_api_describes_itself(visit: Visit) -> None:
    paths = visit().get("/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/state", "/api/v1/tickets", "/api/v1/series/{number}", "/api/v1/changes"} <= paths.keys()


def changes(client: httpx.Client, count: int, **headers: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with client.stream("GET", "/api/v1/changes", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            event[name] = value
            if not line:
                if event.get("event") == "change":
                    found.append({"id": int(event["id"]), **json.loads(event["data"])})
                event = {}
            if len(found) == count:
                break
    return found


def test_the_stream_resumes_behind_the_last_event_id(town: Town, visit: Visit) -> None:
    town.alert()
    town.alert("WTR-0002", "flood.road", Severity.ALARM, 18.0, 15.0)
    desk = visit("disp")
    everything = changes(desk, 4, **{"Last-Event-ID": "0"})
    assert [change["id"] for change in everything] == [1, 2, 3, 4]
    rest = changes(desk, 2, **{"Last-Event-ID": "2"})
    assert rest == everything[2:]
    alerts = [change["alert"] for change in everything if change["kind"] == "alert"]
    assert {(about["hazard"], about["place"][0]) for about in alerts if about} == {  # type: ignore[index]
        ("gas", "示例点位 01"),
        ("flood", "示例点位 02"),
    }


def test_static_files_are_kept_for_ever_under_their_digest(visit: Visit) -> None:
    desk = visit("disp")
    page = desk.get("/").text
    address = page.split('href="/static/desk.css')[1].split('"')[0]
    kept = desk.get(f"/static/desk.css{address}").headers
    assert kept["cache-control"] == "public, max-age=31536000, immutable"
    assert kept["content-encoding"] == "gzip"
    assert desk.get("/static/desk.css").headers["cache-control"] == "no-cache"
