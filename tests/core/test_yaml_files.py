"""YAML that people write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.yaml_files import LONGEST, YAMLError, fault_of, load_yaml, read_yaml


@pytest.mark.parametrize(
    "text",
    ["a: 1\nb: 2\na: 3", "- {x: 1, x: 1}", "? [1]\n: {k: 1, k: 2}", "b: &b {x: 1}\nc: {<<: *b, <<: *b}"],
    ids=["top", "in a list", "below a key that is a list", "two merges"],
)
def test_a_key_that_stands_twice_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(YAMLError, match=r"stands twice[\s\S]*line \d"):
        load_yaml(text)


def test_merged_keys_give_way_to_a_mappings_own_also_through_two_mappings() -> None:
    document = load_yaml("a: &a {x: 1, y: 1, z: 1}\nb: &b {<<: *a, y: 2}\nc: {z: 3, <<: *b}\nd: {<<: [*a, *b], x: 4}")
    assert document["b"] == {"x": 1, "y": 2, "z": 1}
    assert document["c"] == {"x": 1, "y": 2, "z": 3}
    assert document["d"] == {"x": 4, "y": 1, "z": 1}


@pytest.mark.parametrize("text", ["!!python/object/apply:os.getcwd []", "a: !!timestamp foo", "!x {a: 1}"])
def test_a_tag_is_refused(text: str) -> None:
    with pytest.raises(YAMLError, match="is a tag"):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("22:30", "22:30"),
        ("22:00-06:00", "22:00-06:00"),
        ("2020-01-01", "2020-01-01"),
        ("2020-13-45", "2020-13-45"),
        ("-3", -3),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("1" * 5000, float("inf")),
        ("~", None),
        ("''", ""),
    ],
)
def test_what_looks_like_something_else_is_read_as_it_is_written(text: str, value: Any) -> None:
    read = load_yaml(f"a: {text}")["a"]
    assert (type(read), read) == (type(value), value)


def test_every_key_and_item_has_its_place() -> None:
    document = read_yaml("rules:\n  gas:\n    limits: {alarm: 25, 3: x}\n    list:\n      - a\n      - {b: 1}\n")
    assert document.place(("rules", "gas", "limits", "alarm")) == (3, 14)
    assert document.place(("rules", "gas", "limits", "3")) == (3, 25)
    assert document.place(("rules", "gas", "list", 1, "b")) == (6, 10)
    assert document.place(("rules", "gas", "absent")) == (2, 3)
    assert document.place(("absent",)) == (1, 1)


def test_a_merged_key_stands_where_it_was_written() -> None:
    document = read_yaml("a: &a {x: 1, y: 1}\nb:\n  <<: *a\n  y: 2\n")
    assert document.place(("b", "x")) == (1, 8)
    assert document.place(("b", "y")) == (4, 3)


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a:\n\tb: 1", 2, 1, "indent with spaces"),
        ("a: &a [*a]", 1, 4, "contains itself"),
        ("a: *b", 1, 4, "undefined alias"),
        ("a: " + "[" * 100_000, 1, 35, "more than 32"),
        ("a: [1\nb: 2", 2, 2, "expected ',' or ']'"),
        ("a: 1\n---\nb: 2", 2, 1, "another document"),
        ("? {a: 1}\n: 2", 1, 3, "unhashable"),
        ("a: 1\x00", 1, 1, "not allowed"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_place(text: str, line: int, column: int, what: str) -> None:
    with pytest.raises(YAMLError) as raised:
        load_yaml(text)
    found = fault_of(raised.value)
    assert found[:2] == (line, column)
    assert what in found[2]


def test_aliases_that_multiply_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(YAMLError, match="more than 200,000 values"):
        load_yaml(bomb)
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
    )
    with pytest.raises(YAMLError, match="more than 200,000 values"):
        load_yaml(merges)
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    with pytest.raises(YAMLError, match="more than 32"):
        load_yaml(chain)


def test_a_huge_text_is_refused_before_it_is_read() -> None:
    with pytest.raises(YAMLError, match="longer than 1,000,000 characters"):
        load_yaml("a" * (LONGEST + 1))


@given(st.text(alphabet=" \t\nab:-[]{}&*!|>'\"#%0189.,?<~", max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        read_yaml(text)
    except YAMLError as error:
        line, column, what = fault_of(error)
        assert line >= 1
        assert column >= 1
        assert what
