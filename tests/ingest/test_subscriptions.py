"""The filters of a persistent session: asked for, let go, and never forgotten by a kill in between."""

from pathlib import Path

from ingest.subscriptions import Change, Subscriptions


def test_a_new_connection_asks_for_all_and_a_change_for_what_is_new():
    topics = Subscriptions(["a", "b"])
    assert topics.begin(anew=True) == Change(["a", "b"], [])
    topics.want(["b", "c"])
    assert topics.begin(anew=False) == Change(["c"], ["a"])
    topics.let_go(["a"])
    assert topics.begin(anew=False) == Change([], [])
    assert topics.begin(anew=True) == Change(["b", "c"], [])


def test_what_the_broker_may_still_hold_is_let_go_again_until_it_answers():
    topics = Subscriptions(["a"])
    topics.begin(anew=True)
    topics.want(["b"])
    assert topics.begin(anew=False).gone == ["a"]
    assert topics.begin(anew=True) == Change(["b"], ["a"])


def test_one_wanted_again_before_the_broker_answered_is_asked_for_again():
    topics = Subscriptions(["a"])
    topics.begin(anew=True)
    topics.want([])
    topics.begin(anew=False)
    topics.want(["a"])
    assert topics.begin(anew=False) == Change(["a"], [])
    topics.let_go(["a"])
    topics.want([])
    assert topics.begin(anew=False).gone == ["a"]


def test_an_earlier_runs_filters_are_let_go(tmp_path: Path):
    file = tmp_path / "held"
    Subscriptions(["a", "b"], file).begin(anew=True)
    again = Subscriptions(["b", "c"], file)
    assert again.begin(anew=True) == Change(["b", "c"], ["a"])
    killed = Subscriptions(["c"], file)
    assert killed.begin(anew=True).gone == ["a", "b"], "nobody answered before the kill"
    killed.let_go(["a", "b"])
    assert Subscriptions(["c"], file).begin(anew=True).gone == []


def test_a_damaged_file_is_left(tmp_path: Path):
    file = tmp_path / "held"
    file.write_bytes(b"{")
    assert Subscriptions(["a"], file).begin(anew=True) == Change(["a"], [])


def test_a_file_that_cannot_be_written_keeps_no_gateway_unheard(tmp_path: Path):
    """A full disk: better an old filter that stays at the broker than a session that never subscribes."""
    folder = tmp_path / "state"
    topics = Subscriptions(["a"], folder / "held")
    assert topics.begin(anew=True) == Change(["a"], [])
    folder.mkdir()
    assert topics.begin(anew=True) == Change(["a"], [])
    assert Subscriptions([], folder / "held").begin(anew=True).gone == ["a"], "written as soon as it can be"
