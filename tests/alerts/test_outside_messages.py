"""What another platform sends, on both databases: whatever it is, it gets an answer, and the same one for its key."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from alerts.case_tables import outside_message
from alerts.categories import ensure_categories
from alerts.outside_messages import Answer, Asked, take_move, take_ticket
from alerts.settings import DEFAULTS
from core.clock import MINUTE
from core.database import reading, writing
from tests.alerts.desk_scene import LAT, LNG, Scene

REPORT: dict[str, Any] = {"number": "D-1", "title": "井盖丢失", "category": "城市管理", "lng": LNG, "lat": LAT}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def town(scene: Scene) -> Scene:
    with writing(scene.engine) as connection:
        ensure_categories(connection)
    return scene


def take(town: Scene, said: Any, key: str = "k", take_it: Any = take_ticket) -> Answer:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    with writing(town.engine) as connection:
        answer: Answer = take_it(connection, town.town, Asked("district", key, body, town.clock.now()), DEFAULTS)
    return answer


@pytest.mark.parametrize(
    "said",
    [
        {**REPORT, "number": ""},
        {**REPORT, "number": "9" * 65},
        {**REPORT, "title": "长" * 201},
        {**REPORT, "description": "长" * 2001},
        {**REPORT, "hazard": "h" * 25},
        {**REPORT, "component_code": "0" * 17},
        {**REPORT, "phone": "1" * 33},
        {**REPORT, "title": "a\x00b"},
        {**REPORT, "title": None},
        b'{"number": "\xff"}',
        b'{"number": "\\ud800", "title": "x", "category": "x"}',
    ],
)
def test_what_no_column_holds_is_refused_in_words(town: Scene, said: Any) -> None:
    answer = take(town, said)
    assert (answer.status, answer.said["error"]["code"]) == (422, "bad_body")
    assert answer.said["error"]["detail"]
    assert town.tickets == []


@pytest.mark.parametrize("until", [-1, 2**60, 2**80, "tomorrow"])
def test_no_moment_is_too_far(town: Scene, until: Any) -> None:
    take(town, REPORT)
    asked = {"number": "D-1", "action": "supervise", "opinion": "快", "until": until}
    assert take(town, asked, "m", take_move).said["error"]["code"] == "bad_body"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from([*REPORT, "severity", "site", "phone", "datum", "hazard"]), JSON))
def test_any_json_gets_an_answer_and_the_same_again(town: Scene, fields: dict[str, Any]) -> None:
    body = json.dumps({**REPORT, **fields})
    key = f"k{abs(hash(body))}"
    first = take(town, body.encode(), key)
    assert first.status in (200, 201, 409, 422)
    again = take(town, body.encode(), key)
    assert (again.status, dict(again.said)) == (first.status, dict(first.said))


def test_a_move_that_is_refused_leaves_nothing_behind(town: Scene) -> None:
    take(town, REPORT)
    before = (town.log, len(town.notices))
    for _ in range(2):
        answer = take(town, {"number": "D-1", "action": "close"}, "m", take_move)
        assert (answer.status, answer.said["error"]["code"]) == (409, "not_from_here")
    assert (town.log, len(town.notices)) == before
    with reading(town.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(outside_message)) == 2


def test_a_refusal_is_not_kept_for_ever_under_its_key(town: Scene) -> None:
    asked = {"number": "D-1", "action": "supervise", "opinion": "快"}
    assert take(town, asked, "m", take_move).status == 404
    assert take(town, REPORT, "t").status == 201
    assert take(town, asked, "m", take_move).status == 200
    town.clock.advance(MINUTE)
    assert take(town, asked, "m", take_move).status == 200, "kept from now on"
    assert town.log.count("supervise") == 1
    refused = {"number": "D-1", "action": "close"}
    assert [take(town, refused, "c", take_move).status for _ in range(2)] == [409, 409]
    assert take(town, {**refused, "opinion": "x"}, "c", take_move).status == 422, "the key is that of another body"
    with reading(town.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(outside_message)) == 3
