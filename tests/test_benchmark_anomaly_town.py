"""The made-up town of the anomaly benchmark, small: its faults, and that the models find them."""

import numpy as np
import pytest

from benchmarks.anomaly_series import A_DAY, FAULTS, SEASONAL, kind_of, times, town, with_faults
from benchmarks.anomaly_town import LEARNT, measured

SINCE = LEARNT * A_DAY


def test_faults_change_their_own_series_while_they_last_and_nothing_else() -> None:
    normal = town(200, 21, 5)
    broken = normal.copy()
    faults = with_faults(broken, SINCE, 16, 6)
    assert sorted(fault.kind for fault in faults) == sorted(2 * FAULTS)
    inside = np.zeros(normal.shape, bool)
    for fault in faults:
        assert fault.begin >= SINCE
        inside[fault.begin : fault.end, list(fault.series)] = True
        assert (normal != broken)[fault.begin : fault.end, fault.series[0]].mean() > 0.4, fault
        assert fault.kind != "lost season" or kind_of(fault.series[0]) in SEASONAL
    np.testing.assert_array_equal(normal[~inside], broken[~inside])


def test_a_town_is_the_same_for_the_same_seed_and_has_no_gap() -> None:
    one = town(30, 3, 1)
    np.testing.assert_array_equal(one, town(30, 3, 1))
    assert not np.array_equal(one, town(30, 3, 2))
    assert one.shape == (len(times(3)), 30)
    assert np.isfinite(one).all()


def test_most_faults_of_a_small_town_are_warned_of_within_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    figures = measured(400, 16, 7, 6)
    assert float(str(figures["recall"])) >= 0.7
    assert float(str(figures["precision"])) >= 0.5
    assert int(str(figures["most_in_an_hour"])) <= 6
    table = capsys.readouterr().out
    assert all(kind in table for kind in FAULTS)
