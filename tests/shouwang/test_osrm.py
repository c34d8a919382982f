"""The routing service's table: what is asked, what is believed, and which failures are worth asking again."""

import json
from collections.abc import Iterator

import pytest

from devices.geometry import distance_m
from shouwang.osrm import Osrm, RoutingAway, RoutingRefused
from tests.fakes.osrm import SPEED, OsrmServer
from tests.providers.provider import Answer, gone

A, B, C = (120.43, 31.44), (120.44, 31.45), (120.45, 31.46)


@pytest.fixture
def server() -> Iterator[OsrmServer]:
    with OsrmServer() as running:
        yield running


def test_many_ways_come_in_one_request(server: OsrmServer) -> None:
    told = Osrm(server.url).ask([A, B], [C])
    assert len(server.requests) == 1
    assert [len(row) for row in told] == [1, 1]
    way = told[0][0]
    assert way is not None
    assert way.metres > distance_m(*A, *C)
    assert way.seconds == pytest.approx(way.metres / SPEED, abs=0.1)


def test_a_way_that_is_not_there_is_none(server: OsrmServer) -> None:
    server.unreachable = {B}
    assert [each is None for each in Osrm(server.url).ask([A], [B, C])[0]] == [True, False]


def test_what_lies_off_the_services_map_has_no_way(server: OsrmServer) -> None:
    server.edge = 31.441
    told = Osrm(server.url).ask([A], [(120.44, 31.442), C])[0]
    assert [each is None for each in told] == [False, True], "111 m and 2 km from the map's edge"


@pytest.mark.parametrize(
    "answer", [Answer(b"busy", status=503), Answer(b"", status=429), Answer(drop=True), Answer(delay_s=1.0)]
)
def test_what_passes_is_away(server: OsrmServer, answer: Answer) -> None:
    server.script.append(answer)
    with pytest.raises(RoutingAway):
        Osrm(server.url, timeout_s=0.5).ask([A], [B])


def test_an_answer_that_cant_be_unpacked_is_away(server: OsrmServer) -> None:
    server.script.append(Answer(b"no gzip", headers=(("Content-Encoding", "gzip"),)))
    with pytest.raises(RoutingAway):
        Osrm(server.url).ask([A], [B])


@pytest.mark.parametrize("told", [1e308, 1e7, -1.0])
def test_what_cant_be_a_way_in_a_town_is_none(server: OsrmServer, told: float) -> None:
    near = [{"distance": 1}]
    said = {"code": "Ok", "durations": [[told]], "distances": [[told]], "sources": near, "destinations": near}
    server.script.append(Answer(json.dumps(said).encode()))
    assert Osrm(server.url).ask([A], [B]) == [[None]]


def test_nobody_there_is_away() -> None:
    with pytest.raises(RoutingAway):
        Osrm(gone(OsrmServer)).ask([A], [B])


OTHER_SHAPE = {"code": "Ok", "durations": [[1]], "distances": [[1]], "sources": [{}], "destinations": [{}]}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(b'{"code":"TooBig","message":"Too many table coordinates"}', status=400), "TooBig"),
        (Answer(b'{"code":"NoSegment","message":"One of the supplied"}'), "NoSegment"),
        (Answer(b"<html>", status=404), "HTTP 404"),
        (Answer(b'{"code":"Ok","durations":[[1,2]],"sources":[],"destinations":[]}'), "HTTP 200"),
        (Answer(json.dumps(OTHER_SHAPE).encode()), "WrongShape"),
    ],
)
def test_what_stays_is_refused_with_the_services_word(server: OsrmServer, answer: Answer, code: str) -> None:
    server.script.append(answer)
    with pytest.raises(RoutingRefused) as refused:
        Osrm(server.url).ask([A], [B, C])
    assert refused.value.code == code


def test_its_name_holds_no_password() -> None:
    assert Osrm("http://user:secret@routes.example/osrm/").name == "routes.example/osrm driving"
