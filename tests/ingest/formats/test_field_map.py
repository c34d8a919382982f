import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.field_map import Field, FieldMap, flattened

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _fields(**fields: object) -> FieldMap:
    problems: list[str] = []
    read = FieldMap.of({"fields": fields}, problems)
    assert not problems
    return read


def test_a_name_without_an_entry_passes_and_a_text_is_refused_by_name() -> None:
    values, refused = _fields(t="cable_temp").apply({"t": 21.5, "battery": 90, "mode": "auto", "on": True, "x": None})

    assert values == {"cable_temp": 21.5, "battery": 90, "on": True}
    assert refused == [("mode", "must be a number, not text"), ("x", "must be a number, not null")]


def test_scale_and_offset_turn_a_raw_number_into_the_unit() -> None:
    values, _ = _fields(raw={"metric": "cable_temp", "scale": 0.1, "offset": -40}).apply({"raw": 655})

    assert values == {"cable_temp": 25.5}


def test_a_boolean_a_text_and_a_number_are_looked_up() -> None:
    fields = _fields(
        contact={"metric": "cover_open", "values": {"true": 0, "false": 1}},
        POWER={"metric": "on", "values": {"ON": 1, "OFF": 0}},
        state={"metric": "level", "values": {"1": 20, "2": 40}},
    )

    values, refused = fields.apply({"contact": False, "POWER": "ON", "state": 2.0})
    assert (values, refused) == ({"cover_open": 1, "on": 1, "level": 40}, [])
    assert fields.apply({"POWER": "Blink"}) == ({}, [("POWER", "Blink is none of ON, OFF")])


def test_of_two_names_for_one_metric_the_mapped_one_stands() -> None:
    values, refused = _fields(temp="cable_temp").apply({"cable_temp": 1, "temp": 2})

    assert values == {"cable_temp": 2}
    assert refused == [("cable_temp", "cable_temp is given by temp already")]


def test_a_name_that_is_null_is_left_out() -> None:
    assert _fields(uptime=None).apply({"uptime": "3d", "t": 1}) == ({"t": 1}, [])


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (7, "fields.t: must be a metric, null, or an object with metric, scale, offset and values"),
        ({}, "fields.t.metric: must be a metric of the device's type"),
        ({"metric": "m", "factor": 2}, "fields.t.factor: unknown; choose from metric, scale, offset, values"),
        ({"metric": "m", "scale": "0.1"}, "fields.t.scale: must be a number"),
        ({"metric": "m", "scale": 0}, "fields.t.scale: must not be 0"),
        ({"metric": "m", "offset": float("nan")}, "fields.t.offset: must be a number"),
        ({"metric": "m", "values": {"ON": "1"}}, "fields.t.values: must be an object of values and numbers"),
        ({"metric": "m", "values": {"ON": 1}, "scale": 2}, "fields.t.values: stands alone, without scale and offset"),
    ],
)
def test_every_fault_of_an_entry_is_told_with_its_key(entry: object, problem: str) -> None:
    problems: list[str] = []

    assert FieldMap.of({"fields": {"t": entry, "u": "good"}}, problems).fields == {"u": Field("good")}
    assert [told for told in problems if told.startswith(problem)]


def test_fields_that_are_no_object_are_a_fault_and_none_at_all_are_not() -> None:
    problems: list[str] = []

    assert FieldMap.of({}, problems).fields == {}
    assert problems == []
    FieldMap.of({"fields": ["t"]}, problems)
    assert problems == ["fields: must be an object of names and metrics"]


@given(st.dictionaries(st.sampled_from("abcd"), _JSON))
def test_any_values_become_numbers_or_refusals(given_values: dict[str, object]) -> None:
    fields = _fields(a={"metric": "m", "scale": 1e300}, b={"metric": "n", "values": {"true": 1}}, c="m")

    values, refused = fields.apply(given_values)

    assert len(values) + len(refused) == len(given_values)
    assert all(isinstance(value, int | float) and float(value) is not None for value in values.values())


@given(_JSON)
def test_any_object_is_flattened_to_leaves(value: object) -> None:
    assert not any(isinstance(leaf, dict | list) for leaf in flattened({"a": value}).values())


def test_deep_nesting_ends() -> None:
    deep = json.loads('{"a":' * 500 + "1" + "}" * 500)

    assert flattened(deep) == {}
