"""The page of unusual readings: the budget, warnings with their sentence and band, verdicts, and what was held back."""

from typing import Any

import pytest
from sqlalchemy import insert

from alerts.anomaly_labels import keep_view, label_counts
from alerts.tables import alert
from console.anomaly_words import sentence
from console.language import LANGUAGES, texts
from core.clock import HOUR
from core.database import reading, writing
from detectors.anomaly.cheap import PARTS
from tests.console.console_scene import Town, Visit

EVIDENCE: dict[str, Any] = {
    **{"part": "day", "tier": "daily", "metric": "depth_cm", "value": 41.5, "low": 3.0, "high": 9.2},
    **{"score": 7.31, "weight": 7.3, "threshold": 5.5, "share": 1.0, "alike": 4},
}


def warned(town: Town, **more: Any) -> int:
    now = town.clock.now()
    row: dict[str, Any] = {"subject_kind": "device", "subject_id": "WTR-0001", "rule": "anomaly.readings", "onset": now}
    row |= {"state": "open", "severity": 1, "level": 1, "hazard": "unusual", "category": "公共服务", "site": "S01"}
    row |= {"life_safety": False, "paged": False, "value": 41.5, "evidence": EVIDENCE, "rules_version": 1}
    row |= dict.fromkeys(("at", "received_at", "journalled_at", "journal_n", "opened_at", "updated_at"), now) | more
    with writing(town.engine) as connection:
        return int(connection.execute(insert(alert).values(**row).returning(alert.c.id)).scalar_one())


def spoken(town: Town) -> None:
    now = town.clock.now()
    held: dict[str, Any] = {
        "at": now,
        "device": "WTR-0002",
        "metric": "depth_cm",
        "score": 6.0,
        "weight": 5.2,
        "threshold": 5.6,
    }
    held |= {"share": 0.25, "alike": 0, "tier": "ewma", "evidence": {"part": "point", "value": 7.0}, "reason": "weak"}
    view: dict[str, Any] = {"series": 18, "learning": 2, "threshold": 5.6, "floor": 5.5, "per_hour": 6, "spent": 3}
    view |= {"counts": {"warned": 1, "weak": 1, "spent": 0}, "shares": [["WTR-0002", "depth_cm", 0.25]]}
    with writing(town.engine) as connection:
        keep_view(connection, now, {**view, "held_back": [held]})


def counts(town: Town) -> dict[tuple[str, str], tuple[int, int]]:
    with reading(town.engine) as connection:
        return dict(label_counts(connection, town.clock.now()))


def test_the_page_tells_the_budget_the_warnings_and_what_was_held_back(town: Town, visit: Visit) -> None:
    desk = visit("disp")
    assert texts("zh")["anomalies.silent"] in desk.get("/anomalies").text
    number = warned(town)
    spoken(town)
    page = desk.get("/anomalies").text
    for wanted in (
        "本小时已用 3 / 6 条",
        "往常在 3–9.2 cm 之间",
        "另有 4 台设备",
        "WTR-0002",
        "不到门限 5.6",
        "&#34;band&#34;: [3.0, 9.2]",
    ):
        assert wanted in page, wanted
    assert f'id="a{number}"' in page
    assert sentence("zh", EVIDENCE) in desk.get("/alerts").text


def test_a_verdict_counts_until_it_is_taken_back(town: Town, visit: Visit) -> None:
    desk, number = visit("disp"), warned(town)
    for verdict, standing in (("false", (1, 0)), ("real", (0, 1))):
        answer = desk.post(f"/anomalies/{number}/verdict", data={"verdict": verdict})
        assert texts("zh")["anomalies.done"] in desk.get(answer.headers["location"]).text
        assert counts(town) == {("WTR-0001", "depth_cm"): standing}
    assert texts("zh")["anomalies.take_back"] in desk.get("/anomalies").text
    desk.post(f"/anomalies/{number}/verdict", data={"verdict": "none"})
    assert counts(town) == {}
    found = desk.get("/api/v1/anomalies").json()
    assert [row["verdict"] for row in found["warnings"]] == [None]


def test_another_alert_has_no_verdict_and_a_patroller_no_page(town: Town, visit: Visit) -> None:
    desk = visit("disp")
    other = warned(town, rule="water.depth", onset=town.clock.now() - HOUR)
    answer = desk.post(f"/anomalies/{other}/verdict", data={"verdict": "real"})
    assert texts("zh")["anomalies.refused.unknown"] in desk.get(answer.headers["location"]).text
    assert desk.post(f"/anomalies/{other}/verdict", data={"verdict": "maybe"}).status_code == 422
    assert counts(town) == {}
    assert visit("g01").get("/anomalies").status_code == 403


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_has_its_words(language: str) -> None:
    for part in filter(None, PARTS.values()):
        assert texts(language)[f"anomaly_part.{part}"] in sentence(language, {**EVIDENCE, "part": part})
    assert sentence(language, {"part": "point", "value": 1.0, "score": None}) == sentence(language, {}) == ""
