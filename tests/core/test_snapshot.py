"""Snapshots come back as they were, or are refused."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.snapshot import SnapshotDamaged, load, save

META = {"offset": [0, 2**60], "version": 3, "name": "望亭镇"}
ARRAYS = {"value": np.linspace(0, 1, 1000), "open": np.array([True, False]), "none": np.empty((0, 3), np.int32)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "safety.snapshot"


def loaded(path: Path) -> tuple[dict, dict]:
    found = load(path)
    assert found is not None
    return found


def test_none_when_there_is_no_file(path: Path) -> None:
    assert load(path) is None


def test_comes_back_as_it_was_and_writable(path: Path) -> None:
    save(path, META, ARRAYS)
    meta, arrays = loaded(path)
    assert meta == META
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    arrays["value"][0] = 5.0


@given(
    array=hnp.arrays(
        st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes(), hnp.unicode_string_dtypes()),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
def test_any_plain_array_comes_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "any.snapshot"
    save(path, {}, {"x": array, "turned": array.T})
    _, arrays = loaded(path)
    assert arrays["x"].dtype == array.dtype
    np.testing.assert_array_equal(arrays["x"], array)
    np.testing.assert_array_equal(arrays["turned"], array.T)


def test_meta_keeps_nan(path: Path) -> None:
    save(path, {"limit": math.nan}, {})
    assert math.isnan(loaded(path)[0]["limit"])


@pytest.mark.parametrize("array", [np.array([object()]), np.zeros(2, [("a", "i4")])], ids=["object", "structured"])
def test_refuses_what_is_not_plain(path: Path, array: np.ndarray) -> None:
    with pytest.raises(TypeError, match="plain dtypes"):
        save(path, {}, {"x": array})
    assert load(path) is None


def test_every_damaged_byte_is_noticed(path: Path) -> None:
    save(path, META, {"x": np.arange(7)})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with pytest.raises(SnapshotDamaged):
            load(path)


def test_every_cut_and_every_excess_is_noticed(path: Path) -> None:
    save(path, META, {"x": np.arange(7)})
    whole = path.read_bytes()
    for text in [*(whole[:length] for length in range(len(whole))), whole + b"\0"]:
        path.write_bytes(text)
        with pytest.raises(SnapshotDamaged):
            load(path)


def test_a_failed_save_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, META, ARRAYS)

    def fail(descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save(path, {"version": 4}, {})
    assert loaded(path)[0] == META
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_unfinished_file_of_a_killed_save_does_no_harm(path: Path) -> None:
    path.with_name(path.name + ".part").write_bytes(b"half")
    assert load(path) is None
    save(path, META, ARRAYS)
    assert loaded(path)[0] == META
