"""For a day after a restore every page of the desk says what was replayed quietly, or not judged at all."""

import pytest

from console.services import Restored
from core.clock import DAY, HOUR, SystemClock
from tests.console.console_scene import Town, Visit, console_on

REPLAYED = "没有通知任何人"
NOT_JUDGED = "没有重新判断"


@pytest.mark.parametrize(("ago", "replayed", "said"), [(HOUR, True, REPLAYED), (HOUR, False, NOT_JUDGED)])
def test_the_desk_tells_of_a_restore(town: Town, ago: int, replayed: bool, said: str) -> None:
    at = SystemClock().now() - ago
    town.restored = Restored(at, at - HOUR, replayed)
    with console_on(town) as address:
        visit = Visit(address)
        page = visit("disp").get("/").text
        assert said in page
        visit.close()


@pytest.mark.parametrize("restored", [None, Restored(1, 1, True)])
def test_without_one_and_after_a_day_nothing_is_said(town: Town, restored: Restored | None) -> None:
    town.restored = restored._replace(at=SystemClock().now() - DAY) if restored else None
    with console_on(town) as address:
        visit = Visit(address)
        assert 'class="restored"' not in visit("disp").get("/").text
        visit.close()
