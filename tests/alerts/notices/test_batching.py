"""How many go into the next message: never over a limit, half kept for life-safety, short limits list and pace."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.batching import Standing, decide_batch
from alerts.channels import Limit
from core.clock import DAY, MINUTE, SECOND

ROBOT = (Limit(20, MINUTE),)
APP = (Limit(30, MINUTE), Limit(1000, 60 * MINUTE))


def test_what_is_not_life_safety_leaves_half() -> None:
    used = Standing([0] * 10)
    assert decide_batch(False, 1, used, ROBOT, 1, SECOND)[:2] == (0, "kept_for_life_safety")
    assert decide_batch(True, 1, used, ROBOT, 1, SECOND)[:2] == (1, "one_each")


def test_a_full_or_held_address_says_when_to_look_again() -> None:
    assert decide_batch(True, 5, Standing([7] * 20), ROBOT, 10, SECOND) == (0, "at_limit", MINUTE + 7)
    assert decide_batch(True, 5, Standing((), 9 * SECOND), ROBOT, 10, SECOND) == (0, "held", 9 * SECOND)


def test_the_narrowest_of_several_limits_decides() -> None:
    old = Standing([-2 * MINUTE] * 1000)
    assert decide_batch(True, 1, old, APP, 10, 0).reason == "at_limit"
    assert decide_batch(True, 1, Standing([-DAY] * 1000), APP, 10, 0).reason == "one_each"


@given(st.lists(st.tuples(st.integers(0, 11 * SECOND), st.booleans()), min_size=1, max_size=120))
def test_in_a_storm_nothing_is_late_and_no_limit_is_passed(arrivals: list[tuple[int, bool]]) -> None:
    """10 life-safety alerts a robot, and any number of others, within 10 s: each is out within 2 s."""
    grave = sorted(at for at, life_safety in arrivals if life_safety and at < 10 * SECOND)[:10]
    other = sorted(at for at, life_safety in arrivals if not life_safety)
    sent: list[int] = []
    late = []
    for tick in range(0, 13_000, 20):
        now = tick * SECOND // 1000
        urgent, waiting = [at for at in grave if at <= now], [at for at in other if at <= now]
        if not urgent and not waiting:
            continue
        batch = decide_batch(bool(urgent), len(urgent + waiting), Standing(sent), ROBOT, 10, now)
        if not batch.size:
            assert batch.free_at > now
            continue
        sent.append(now)
        gone = urgent[: batch.size]
        late += [now - at for at in gone]
        grave = grave[len(gone) :]
        other = other[batch.size - len(gone) :]
    assert not grave
    assert max(late, default=0) <= 2 * SECOND
    assert max((sum(at - MINUTE < each <= at for each in sent) for at in sent), default=0) <= 20
