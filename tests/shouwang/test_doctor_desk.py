"""What the doctor says of escalation and of the heartbeat."""

import json
from pathlib import Path

import pytest
from sqlalchemy import insert

from alerts.tables import ticket
from core.clock import HOUR, SystemClock
from core.database import open_engine, writing
from shouwang import diagnosis
from tests.shouwang.command_line import run


def said(**options: int) -> str:
    return " ".join(run("doctor", "--language", "en", **options).stdout.split())


def beat(why: str, age: int = 0) -> None:
    now = SystemClock().now() - age
    Path("state/heartbeat.json").write_text(json.dumps({"at": now, "taken_at": now, "why": why}))


def test_no_heartbeat_is_doubtful_and_one_that_is_taken_good(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "doubtful heartbeat: none: nobody notices" in said()
    monkeypatch.setenv("SHOUWANG_HEARTBEAT__URL", "https://beats.example/ping/s3cret")
    assert "doubtful heartbeat: not sent yet" in said()
    beat("")
    assert "good heartbeat: last taken 0 min ago" in said()
    beat("", HOUR)
    assert "broken heartbeat: last taken 60 min ago: is it running?" in said(fails=1)
    beat("address_refuses: HTTP 503")
    answer = said(fails=1)
    assert "broken heartbeat: address_refuses: HTTP 503; last taken 0 min ago" in answer
    assert "s3cret" not in answer


def test_the_missing_extra_for_evidence_is_named(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "evidence pack" not in said()
    monkeypatch.setattr(diagnosis, "can_make", lambda: False)
    assert "doubtful reports: tickets take no photos and have no evidence pack" in said()


def test_a_ticket_without_a_next_step_is_named(town: Path) -> None:
    assert "good escalation: 0 live tickets" in said()
    engine = open_engine("sqlite:///state/shouwang.db")
    now = SystemClock().now()
    row = {"number": "20260921-0001", "source": "iot", "status": "dispatched", "title": "燃气泄漏", "hazard": "gas"}
    more = {"category": "安全生产", "severity": 4, "life_safety": True, "reported_at": now, "updated_at": now}
    with writing(engine) as connection:
        connection.execute(insert(ticket).values(**row, **more))
    engine.dispose()
    assert "broken escalation: 1 of 1 live tickets have no next step to be counted on: 20260921-0001 (no_row)" in said(
        fails=1
    )
