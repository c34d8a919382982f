"""Proposals over HTTP: seen, adopted into the console's sheet, dismissed, refused; and the precision of rules."""

from typing import Any

import pytest
from sqlalchemy import select

from alerts.labels import PRACTICE, label_of
from alerts.proposal_evidence import Proposed, Thought
from alerts.proposal_rows import propose
from alerts.proposals import Judged, Scope, Verdict
from alerts.tables import alert, ticket
from console.language import texts
from core.clock import DAY, MINUTE
from core.database import reading, writing
from detectors.rule import Override
from detectors.rules import load_version, newest_version
from detectors.sheets import set_override, sheets_in_force
from detectors.tables import backtest, rule_proposal
from ingest.words import RulesChanged
from tests.console.console_scene import TYPES, Town, Visit

Desk = tuple[Town, Visit]


def make(
    town: Town, change: Override | None, reason: str = "limit_separates", *, rule: str, scope: Scope | None = None
) -> int:
    """A proposal for WTR-0001 from five false alarms and a real one."""
    now = town.clock.now()
    labels = [
        Judged(n, f"T{n}", "WTR-0001", "S01", "false" if n < 5 else "real", "weather", now - DAY, now - DAY, MINUTE, n)
        for n in range(6)
    ]
    outcome: Any = "change" if change else "check_sensor"
    verdict = Verdict(outcome, reason, change, tuple(labels[:5]), tuple(labels[5:]), 5)
    with writing(town.engine) as connection:
        version = newest_version(connection) or 0
        each = Proposed(town.rules.rules[rule], scope or Scope("device", "WTR-0001"), verdict, {"dwell": MINUTE})
        ((number,), _) = propose(connection, Thought(version, [each]), now)
    return number


@pytest.fixture
def desk(town: Town, visit: Visit) -> Desk:
    return town, visit


def a_rule(town: Town) -> str:
    """A rule on the depth of water that is nobody's danger at its lowest limit."""
    found = [r for r in town.rules.rules.values() if r.kind == "threshold" and "water_depth" in r.device_types]
    return found[0].id


def state(town: Town, number: int = 1) -> str:
    with reading(town.engine) as connection:
        found = connection.execute(select(rule_proposal.c.state).where(rule_proposal.c.id == number)).scalar_one()
    return str(found)


STRICTER = Override(dwell_off=3_600_000_000)


def test_adopting_edits_the_rule_and_announces_it(desk: Desk) -> None:
    town, visit = desk
    rule = a_rule(town)
    make(town, STRICTER, rule=rule)
    admin = visit("root")
    page = admin.get("/proposals/1").text
    for said in ("采纳后", "恢复持续 <b>1 小时", "T3", "5 条误报中 5 条不再报警", "等待"):
        assert said in page
    answer = admin.post("/proposals/1/adopt", data={"opinion": "雨天误报"})
    assert answer.headers["location"] == "/proposals/1"
    with reading(town.engine) as connection:
        version = newest_version(connection) or 0
        adopted = load_version(connection, version).rules[rule].overrides[-1]
        sheet = sheets_in_force(connection)["console"]
    assert (adopted.scope, adopted.dwell_off) == (("device", "WTR-0001"), 3_600_000_000)
    assert "WTR-0001" in sheet
    assert town.controls == [RulesChanged(version)]
    assert "雨天误报" in admin.get("/proposals/1").text
    again = admin.post("/proposals/1/adopt", data={"opinion": "x"})
    assert (again.status_code, "已被处理" in again.text) == (409, True)


@pytest.mark.parametrize("scope", [Scope("site", "S01"), Scope("rule", "")], ids=["site", "town"])
def test_a_looser_limit_of_no_danger_is_adopted_where_it_was_proposed(desk: Desk, scope: Scope) -> None:
    town, visit = desk
    rule = town.rules.rules["device.battery"]
    level, limit = min(rule.limits.items())
    make(town, Override(limits={level: limit - 1}), rule=rule.id, scope=scope)
    assert visit("root").post("/proposals/1/adopt", data={"opinion": "x"}).status_code == 303
    with reading(town.engine) as connection:
        adopted = load_version(connection, newest_version(connection) or 0).rules[rule.id]
    terms = [adopted.terms("water_depth", site, "WTR") for site in ("S01", "S02")]
    assert [each.limits[level] for each in terms] == [limit - 1, limit - 1 if scope.kind == "rule" else limit]


def test_adopting_is_refused_when_the_rule_changed_since(desk: Desk) -> None:
    town, visit = desk
    rule = a_rule(town)
    make(town, STRICTER, rule=rule)
    with writing(town.engine) as connection:
        by = ("root", "test", town.clock.now(), TYPES)
        set_override(connection, rule, ("device", "WTR-0001"), {"dwell_off": "2h"}, *by)
    answer = visit("root").post("/proposals/1/adopt", data={"opinion": "x"})
    assert answer.status_code == 409
    assert "此建议作废" in answer.text
    assert state(town) == "superseded"
    assert town.controls == []


def test_life_safety_is_never_loosened(desk: Desk) -> None:
    town, visit = desk
    make(town, Override(dwell=3_600_000_000), rule="gas.leak")
    admin = visit("root")
    assert admin.get("/proposals/1").status_code == 200
    assert admin.post("/api/v1/proposals/1/adopt", data={"opinion": "x"}).json()["error"]["code"] == "life_safety"
    assert state(town) == "proposed"


def test_a_note_is_closed_without_an_edit(desk: Desk) -> None:
    town, visit = desk
    make(town, None, "life_safety", rule="gas.leak")
    dispatcher = visit("disp")
    assert "检查传感器" in dispatcher.get("/proposals").text
    assert "已检查传感器" in dispatcher.get("/proposals/1").text
    assert dispatcher.post("/proposals/1/adopt", data={"opinion": "换了探头"}).status_code == 303
    assert state(town) == "accepted"
    with reading(town.engine) as connection:
        assert sheets_in_force(connection) == {}


def test_who_may_what(desk: Desk) -> None:
    town, visit = desk
    make(town, STRICTER, rule=a_rule(town))
    assert visit("g01").get("/proposals").status_code == 403
    assert visit().get("/proposals").headers["location"].startswith("/signin")
    dispatcher = visit("disp")
    assert "/adopt" not in dispatcher.get("/proposals/1").text
    assert dispatcher.post("/proposals/1/adopt", data={"opinion": "x"}).status_code == 403
    assert dispatcher.post("/proposals/1/dismiss", data={"opinion": " "}).status_code == 409
    assert (
        dispatcher.post("/proposals/1/dismiss", data={"opinion": "no"}, headers={"Origin": "null"}).status_code == 403
    )
    assert state(town) == "proposed"
    assert dispatcher.post("/proposals/1/dismiss", data={"opinion": "是真的"}).status_code == 303
    assert state(town) == "dismissed"
    assert dispatcher.get("/proposals/9").status_code == 404
    assert dispatcher.post("/proposals/9/dismiss", data={"opinion": "x"}).status_code == 404
    assert dispatcher.post("/proposals/1/praise", data={"opinion": "x"}).status_code == 404


def test_the_api_says_what_the_pages_say(desk: Desk) -> None:
    town, visit = desk
    make(town, STRICTER, rule=a_rule(town))
    with writing(town.engine) as connection:
        connection.execute(backtest.update().values(state="failed", error="no readings"))
    client = visit("disp")
    (listed,) = client.get("/api/v1/proposals").json()["proposals"]
    one = client.get("/api/v1/proposals/1").json()
    assert listed["why"]["removed"] == one["why"]["removed"] == 5
    assert (one["backtest"]["state"], one["backtest"]["error"]) == ("failed", "no readings")
    assert "no readings" in client.get("/proposals/1").text
    assert client.get("/api/v1/proposals/9").status_code == 404
    assert client.get("/api/v1/precision?by=moon").status_code == 422


def test_precision_says_its_denominator(desk: Desk) -> None:
    town, visit = desk
    for device in ("GAS-0001", "GAS-0002", "GAS-0003"):
        town.alert(device)
    ends = [("closed", "handled"), ("false_alarm", "false_alarm"), ("accepted", None)]
    with writing(town.engine) as connection:
        for number, (status, result) in enumerate(ends, 1):
            values = {"status": status, "result": result, "result_cause": "weather"}
            connection.execute(ticket.update().where(ticket.c.id == number).values(**values))
        assert connection.execute(select(alert.c.id)).all()
    client = visit("disp")
    rows = client.get("/api/v1/precision").json()["precision"]
    assert [(r["rule"], r["real"], r["labelled"], r["unlabelled"], r["share"]) for r in rows] == [
        ("gas.leak", 1, 2, 1, 0.5)
    ]
    page = client.get("/proposals?by=device").text
    assert "data-precision" in page
    assert "GAS-0002" in page
    client.cookies.set("shouwang_language", "en")
    assert "Precision is real ÷ labelled" in client.get("/proposals?by=site&rule=gas.leak").text


def test_what_chatters_is_called_no_false_alarm(desk: Desk) -> None:
    town, visit = desk
    make(town, Override(dwell_off=MINUTE), "chattering", rule=a_rule(town))
    page = visit("disp").get("/proposals/1").text
    assert "反复的 5 次报警中，5 次会算作前一次的延续" in page
    assert "误报中" not in page
    refused = visit("disp").post("/api/v1/proposals/1/dismiss").json()["error"]
    assert refused == {"code": "no_opinion", "zh": "请写明意见", "en": "Please write an opinion"}


def test_every_reason_has_its_words() -> None:
    reasons = ("limit_separates", "dwell_separates", "only_an_exception", "sensor_faults", "life_safety")
    for code in (*reasons, "nothing_separates"):
        assert {f"proposal_reason.{code}", f"proposal_help.{code}"} <= texts("zh").keys()
    for code in ("decided", "changed", "life_safety", "no_opinion", "edit"):
        assert f"proposal_refused.{code}" in texts("zh")
    assert {f"label_of.{label_of(None, 'false_alarm', cause)}" for cause in ("", *PRACTICE)} <= texts("zh").keys()
