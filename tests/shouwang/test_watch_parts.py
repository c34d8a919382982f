"""How the safety consumer cuts what it found into transactions."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.journal import Offset
from detectors.words import Change, Detection, Found, Severity, Subject
from shouwang.watch import _AT_ONCE, _parts


def _found(offset: int) -> Found:
    gas = Detection(Change.OPENED, Subject("device", "GAS-1"), "gas.leak", Severity.ALARM, 1, 1, 1)
    return Found(Offset(0, offset), 1, gas)


@given(st.lists(st.integers(0, 90), max_size=60).map(sorted))
def test_each_part_ends_with_a_record_and_nothing_is_left_out(records: list[int]) -> None:
    found = [_found(n) for record, n in enumerate(records) for _ in range(1 + record % 3)]
    upto = Offset(0, 100)
    parts = list(_parts(found, upto))
    assert [each for part, _ in parts for each in part] == found
    for (part, reached), (after, _) in pairwise(parts):
        assert len(part) >= _AT_ONCE
        assert part[-1].offset == reached < after[0].offset
    assert not parts or parts[-1][1] == upto
