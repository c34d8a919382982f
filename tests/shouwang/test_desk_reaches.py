"""A town's own desk policies really reach detection, moves and the desk clock of a running platform."""

from collections.abc import Callable
from pathlib import Path

import pytest

from console import app as console_app
from console.acting import Wish, act
from console.services import Services
from core.clock import MINUTE, SECOND
from shouwang.desk_settings import DeskSection
from tests.servers import wait_until
from tests.shouwang.small_platform import found_town, gateway, measure, rows, running, small_settings, workday

DESK = {
    "deadlines": {"name": "town-9", "critical": {"accept": "7 min"}, "alarm": {"accept": "8 min"}},
    "escalation": {
        "name": "steps-9",
        **{level: {"accept": [{"after": "2 s", "tell": ["dispatchers"]}]} for level in ("critical", "alarm")},
    },
}
LIMITS = {3: 8 * MINUTE, 4: 7 * MINUTE}


@pytest.mark.timeout(90)
def test_a_towns_own_desk_reaches_detection_moves_and_the_desk_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Services] = []
    create: Callable[[Services], object] = console_app.create_app

    def remembering(services: Services) -> object:
        given.append(services)
        return create(services)

    monkeypatch.setattr(console_app, "create_app", remembering)
    clock = workday(10)
    settings = small_settings(tmp_path, desk=DeskSection.model_validate(DESK))
    passwords = found_town(settings, clock)
    sent = "SELECT severity, accept_by - dispatched_at, deadline_rule FROM ticket WHERE status = 'dispatched'"
    with running(settings, clock) as platform:
        with gateway(settings, "GW-1", passwords["GW-1"]) as client:
            measure(client, "GAS-1", 60.0, clock.now() - 6 * SECOND)
            measure(client, "GAS-1", 60.0, clock.now())
        wait_until(lambda: rows(platform, sent) != [], "the ticket", 20)
        by_detection = rows(platform, sent)
        ran = "SELECT step, did FROM escalation_run"
        wait_until(lambda: rows(platform, ran) == [(0, "notify")], "the town's own step", 20)
        act(given[0], 1, "reassign", "dispatcher", "dispatcher", Wish(team="T-G02"))
        by_hand = rows(platform, sent)
    for severity, limit, rule in (*by_detection, *by_hand):
        assert limit == LIMITS[severity]
        assert rule.startswith("town-9")
    assert by_detection
    assert by_hand
