"""The scorer of the benchmark, on series small enough to be counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nab_score import PROFILES, Corpus, Labelled, Weights, held_out, labelled, load_corpus, score, sigmoid

WEIGHTS = Weights(1.0, 1.0, 0.11)
BEST = float(sigmoid(-1))


def series(name: str, count: int = 100, windows: tuple[tuple[int, int], ...] = ((40, 49),)) -> Labelled:
    stamps = np.arange(count).astype("datetime64[m]").astype("datetime64[s]").astype(str).tolist()
    limits = [(stamps[first], stamps[last]) for first, last in windows]
    return labelled(name, stamps, np.zeros(count), limits)


def corpus(*of: Labelled) -> Corpus:
    profiles = {"standard": WEIGHTS, "reward_low_FP_rate": Weights(1.0, 1.0, 0.22)}
    return Corpus(list(of), profiles | {"reward_low_FN_rate": Weights(1.0, 2.0, 0.11)})


def alarms(*places: int, count: int = 100) -> np.ndarray:
    scores = np.zeros(count)
    scores[list(places)] = 1.0
    return scores


def test_an_alarm_at_the_windows_first_reading_is_perfect_and_silence_is_nothing() -> None:
    one = corpus(series("a/x.csv"))
    assert score(one, {"a/x.csv": alarms(40)}).score == pytest.approx(100)
    silent = score(one, {"a/x.csv": np.full(100, np.nan)})
    assert silent.score == 0
    assert silent.threshold == np.inf


def test_a_late_hit_earns_less_and_only_the_first_of_a_window_counts() -> None:
    one = corpus(series("a/x.csv"))
    late = score(one, {"a/x.csv": alarms(47)}).score
    assert late == pytest.approx(100 * (1 + float(sigmoid(-0.3)) / BEST) / 2)
    assert score(one, {"a/x.csv": alarms(47, 48, 49)}).score == pytest.approx(late)


def test_false_alarms_cost_by_their_distance_behind_a_window_and_by_profile() -> None:
    one = corpus(series("a/x.csv"))
    behind = {"a/x.csv": alarms(40, 52)}
    cost = -0.11 * float(sigmoid(3 / 9))
    assert score(one, behind).score == pytest.approx(100 - 100 * cost / 2)
    assert score(one, {"a/x.csv": alarms(40, 90)}).score == pytest.approx(100 - 100 * 0.11 / 2)
    assert score(one, behind, "reward_low_FP_rate").score == pytest.approx(100 - 100 * 2 * cost / 2)
    assert score(one, behind, "reward_low_FN_rate").score == pytest.approx(100 - 100 * cost / 3)


def test_what_is_said_in_probation_does_not_count() -> None:
    one = corpus(series("a/x.csv"))
    assert one.series[0].probation == 15
    assert score(one, {"a/x.csv": alarms(0, 14, 40)}).score == pytest.approx(100)
    assert score(one, {"a/x.csv": alarms(15, 40)}).score < 100
    assert series("a/x.csv", 20_000).probation == 750


def test_the_threshold_is_the_best_one_and_equal_scores_alarm_together() -> None:
    one = corpus(series("a/x.csv"))
    scores = 0.2 * alarms(*range(15, 30)) + 0.9 * alarms(41)
    assert score(one, {"a/x.csv": scores}).threshold == 0.9
    spread = 0.9 * alarms(41, *range(60, 100))
    assert score(one, {"a/x.csv": spread}).score == 0


def test_a_threshold_that_is_held_out_is_chosen_from_the_other_categories() -> None:
    two = corpus(series("a/x.csv"), series("b/y.csv"))
    alike = {"a/x.csv": alarms(40), "b/y.csv": alarms(40)}
    assert held_out(two, alike) == pytest.approx(score(two, alike).score) == pytest.approx(100)
    unlike = {"a/x.csv": alarms(40), "b/y.csv": 5 * alarms(40) + 2 * alarms(90)}
    assert score(two, unlike).score > held_out(two, unlike)
    assert held_out(two, unlike) == pytest.approx(100 * (2 - 0.11) / 4)


def test_a_clock_that_was_set_back_writes_times_twice_and_the_first_is_meant() -> None:
    stamps = [f"2014-11-02 0{hour}:{minute:02}:00" for hour in (0, 1, 1, 2) for minute in range(60)]
    its = labelled("a/x.csv", stamps, np.zeros(240), [("2014-11-02 01:30:00.000000", "2014-11-02 01:40:00.000000")])
    assert np.flatnonzero(its.window == 0).tolist() == list(range(90, 101))
    with pytest.raises(ValueError, match="window's limit"):
        labelled("a/x.csv", stamps, np.zeros(240), [("2014-11-02 01:30:30", "2014-11-02 01:40:00")])


def test_scores_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 scores for 100 readings"):
        score(corpus(series("a/x.csv")), {"a/x.csv": np.zeros(3)})


def test_a_corpus_is_read_from_its_folders(tmp_path: Path) -> None:
    for folder in ("config", "labels", "data/a"):
        (tmp_path / folder).mkdir(parents=True)
    cost = {"CostMatrix": {"tpWeight": 1.0, "fnWeight": 2.0, "fpWeight": 0.5, "tnWeight": 1.0}}
    (tmp_path / "config/profiles.json").write_text(json.dumps(dict.fromkeys(PROFILES, cost)))
    windows = [["2014-01-01 00:01:00.000000", "2014-01-01 00:02:00.000000"]]
    (tmp_path / "labels/combined_windows.json").write_text(json.dumps({"a/x.csv": windows, "a/y.csv": []}))
    rows = "timestamp,value\n" + "".join(f"2014-01-01 00:0{minute}:00,{minute}.5\n" for minute in range(4))
    for name in ("x", "y"):
        (tmp_path / f"data/a/{name}.csv").write_text(rows)
    read = load_corpus(tmp_path)
    assert [its.name for its in read.series] == ["a/x.csv", "a/y.csv"]
    assert read.profiles["standard"] == Weights(1.0, 2.0, 0.5)
    first = read.series[0]
    assert first.value.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert first.window.tolist() == [-1, 0, 0, -1]
    assert (first.category, first.windows, read.series[1].windows) == ("a", 1, 0)
