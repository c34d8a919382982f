"""YAML that people write."""

import pytest

from core.yaml_files import YAMLError, load_yaml


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


def test_only_plain_types_are_made() -> None:
    with pytest.raises(YAMLError):
        load_yaml("!!python/object/apply:os.getcwd []")
