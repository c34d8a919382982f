"""The heartbeat: beats while all is well, is silent with a named reason otherwise, and is remembered for the doctor."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from core.clock import MINUTE, SECOND, ManualClock
from core.journal import START, Offset
from shouwang.diagnosis import heartbeat_finding
from shouwang.heartbeat import Beat, Heartbeat, Passage, Pulses, Vitals, last_beat, why_silent
from shouwang.settings import HeartbeatSettings, Settings

NOW = 1_790_000_000 * SECOND
WELL = Vitals(0.0, NOW, True, [])


class Outside:
    """An address that takes beats, or answers with another status."""

    def __init__(self) -> None:
        self.beats: list[str] = []
        self.status = 200
        outside = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outside.beats.append(self.path)
                self.send_response(outside.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/ping/s3cret"


@pytest.fixture
def outside() -> Iterator[Outside]:
    made = Outside()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(5)


def beat(url: str, folder: Path, vitals: Vitals = WELL) -> Beat:
    heart = Heartbeat(url, 60 * SECOND, folder, ManualClock(NOW), lambda _: vitals)
    with httpx.Client(timeout=2) as client:
        return heart.step(client, NOW)


def test_it_beats_while_all_is_well(outside: Outside, tmp_path: Path) -> None:
    assert beat(outside.url, tmp_path) == Beat(NOW, NOW, "")
    assert outside.beats == ["/ping/s3cret"]
    assert last_beat(tmp_path) == Beat(NOW, NOW, "")


@pytest.mark.parametrize(
    ("vitals", "why"),
    [
        (WELL._replace(unsure=None), "escalation_not_audited_yet"),
        (WELL._replace(unsure=1.0), "escalation_unsure"),
        (WELL._replace(journalled=NOW - 2 * MINUTE), "journal_stands_still"),
        (WELL._replace(journalled=None), ""),
        (WELL._replace(detecting=False), "detection_stands_still"),
        (WELL._replace(stuck=["robot"]), "senders_stand_still: robot"),
        (WELL, ""),
    ],
)
def test_it_is_silent_for_a_named_reason(outside: Outside, tmp_path: Path, vitals: Vitals, why: str) -> None:
    assert why_silent(vitals, NOW) == why
    assert beat(outside.url, tmp_path, vitals).why == why
    assert len(outside.beats) == (not why)


def test_an_address_that_refuses_or_is_away_is_kept_without_its_secret(outside: Outside, tmp_path: Path) -> None:
    outside.status = 503
    assert beat(outside.url, tmp_path).why == "address_refuses: HTTP 503"
    gone = beat("http://127.0.0.1:1/ping/s3cret", tmp_path)
    assert gone.why.startswith("address_does_not_answer")
    assert "s3cret" not in (tmp_path / "heartbeat.json").read_text()


def test_a_database_that_is_away_is_a_reason_and_no_end(outside: Outside, tmp_path: Path) -> None:
    def away(_: int) -> Vitals:
        raise OperationalError("SELECT", {}, Exception("gone"))

    heart = Heartbeat(outside.url, MINUTE, tmp_path, ManualClock(NOW), away)
    with httpx.Client() as client:
        assert heart.step(client, NOW).why == "database_does_not_answer"
    assert outside.beats == []


def test_a_note_that_can_t_be_kept_stops_no_beat(outside: Outside, tmp_path: Path) -> None:
    assert beat(outside.url, tmp_path / "gone").why == ""
    assert outside.beats == ["/ping/s3cret"]


@pytest.mark.parametrize(
    ("seen", "still"),
    [
        ([(5, 0), (5, 2)], False),
        ([(5, 0), (6, 3)], False),
        ([(5, 0), (5, 3)], True),
        ([(5, 0), (5, 3), (6, 4)], False),
        ([(5, 0), (3, 2)], False),  # restored from a backup
        ([(5, 9), (5, 0)], False),  # the clock was set back
        ([(-1, 0), (-1, 9)], False),  # nobody has ever detected here
    ],
)
def test_detection_stands_still_when_its_place_in_the_database_does(seen: list[tuple[int, int]], still: bool) -> None:
    passage = Passage()
    judged = [passage.stands_still(Offset(0, n) if n >= 0 else START, NOW + at * MINUTE) for n, at in seen]
    assert judged[-1] is still


def test_a_worker_goes_on_where_the_last_one_was_taken(outside: Outside, tmp_path: Path) -> None:
    beat(outside.url, tmp_path)
    later = ManualClock(NOW + MINUTE)
    heart = Heartbeat(outside.url, SECOND // 50, tmp_path, later, lambda _: WELL._replace(unsure=2.0))
    ending = threading.Event()
    worker = threading.Thread(target=heart.run, args=(ending,))
    worker.start()
    for _ in range(200):
        if last_beat(tmp_path) != Beat(NOW, NOW, ""):
            break
        ending.wait(0.02)
    ending.set()
    worker.join(5)
    assert last_beat(tmp_path) == Beat(NOW + MINUTE, NOW, "escalation_unsure")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x", "taken_at": 1, "why": ""}', '{"at": 1}'])
def test_a_note_that_can_t_be_read_is_none(tmp_path: Path, text: str) -> None:
    assert last_beat(tmp_path) is None
    (tmp_path / "heartbeat.json").write_text(text)
    assert last_beat(tmp_path) is None


def test_a_sender_that_finishes_no_turn_for_minutes_is_late() -> None:
    pulses = Pulses()
    pulses.expect("robot", NOW)
    pulses.expect("sms", NOW)
    pulses.beat("sms", NOW + 3 * MINUTE)
    assert pulses.late(NOW + 3 * MINUTE) == []
    assert pulses.late(NOW + 4 * MINUTE) == ["robot"]


def test_an_operator_reads_whether_the_address_hears_it(outside: Outside, tmp_path: Path) -> None:
    def read(now: int, url: str = outside.url) -> str:
        settings = Settings(state=tmp_path, heartbeat=HeartbeatSettings(url=SecretStr(url)))
        return heartbeat_finding(settings, ManualClock(now)).text

    assert read(NOW, "").startswith("none: nobody notices")
    assert read(NOW).startswith("not sent yet")
    beat(outside.url, tmp_path)
    assert read(NOW + MINUTE) == "last taken 1 min ago"
    assert read(NOW + 4 * MINUTE) == "last taken 4 min ago: is it running?"
    outside.status = 500
    beat(outside.url, tmp_path)
    assert read(NOW) == "address_refuses: HTTP 500; never taken"
