import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels import Limit, Outcome
from alerts.retries import Uncertain, backoff, decide_retry, decide_uncertain
from core.clock import MINUTE, SECOND
from tests.alerts.notices.notice_rows import NOW, AskableScriptedChannel, ScriptedChannel

LATE = NOW + 15 * MINUTE


@pytest.mark.parametrize(
    ("state", "then", "reason"),
    [
        ("accepted", "accepted", "accepted"),
        ("failed", "failed", "refused_for_good"),
        ("uncertain", "uncertain", "no_answer"),
        ("retry", "queued", "try_again"),
    ],
)
def test_what_follows_an_outcome(state: str, then: str, reason: str) -> None:
    decided = decide_retry(Outcome(state), 1, NOW, LATE)  # type: ignore[arg-type]
    assert (decided.state, decided.reason) == (then, reason)


def test_a_retry_waits_as_long_as_the_provider_asks() -> None:
    decided = decide_retry(Outcome("retry", retry_after=MINUTE), 1, NOW, LATE)
    assert decided == ("queued", NOW + MINUTE, "provider_asked_to_wait")


@given(st.integers(1, 200), st.integers(0, 30 * MINUTE), st.integers(NOW, LATE - 1))
def test_a_retry_comes_in_its_time_or_expires(attempts: int, wait: int, now: int) -> None:
    decided = decide_retry(Outcome("retry", retry_after=wait), attempts, now, LATE)
    due = now + max(wait, backoff(attempts))
    assert decided[:2] == (("queued", due) if due < LATE else ("expired", now))
    assert 2 * SECOND <= backoff(attempts) <= MINUTE


PLAIN = ScriptedChannel()
KEYED = ScriptedChannel(deduplicates=True)
ASKABLE = AskableScriptedChannel("robot", [])


@pytest.mark.parametrize(
    ("channel", "life_safety", "repeated", "expected"),
    [
        (KEYED, False, False, ("resend", "provider_deduplicates")),
        (KEYED, True, True, ("resend", "provider_deduplicates")),
        (ASKABLE, True, False, ("ask", "provider_can_be_asked")),
        (PLAIN, True, False, ("resend", "life_safety_repeats_once")),
        (PLAIN, True, True, ("next_step", "repeated_already")),
        (PLAIN, False, False, ("next_step", "not_life_safety")),
    ],
)
def test_what_to_do_about_an_uncertain_notice(
    channel: ScriptedChannel, life_safety: bool, repeated: bool, expected: tuple[str, str]
) -> None:
    assert decide_uncertain(Uncertain(life_safety, repeated, LATE), channel, NOW) == expected
    assert decide_uncertain(Uncertain(life_safety, repeated, LATE), channel, LATE).action == "leave"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(1, 20))
def test_a_limit_holds_in_every_window(pauses: list[int], messages: int) -> None:
    limit, now = Limit(messages, 60), 0
    sent: list[int] = []
    for pause in pauses:
        now = max(now + pause, limit.free_at(sent, now + pause))
        sent.append(now)
    assert all(sum(moment <= other < moment + 60 for other in sent) <= messages for moment in sent)


@given(st.lists(st.integers(0, 200), max_size=40), st.integers(1, 5), st.integers(0, 250))
def test_a_limit_never_waits_longer_than_it_must(sent: list[int], messages: int, now: int) -> None:
    sent = [moment for moment in sent if moment <= now]
    limit = Limit(messages, 60)
    free = limit.free_at(sent, now)
    assert limit.free_at(sent, free) == free
    assert free == now or limit.free_at(sent, free - 1) > free - 1
