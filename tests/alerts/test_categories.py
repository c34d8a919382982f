"""The tables of categories and class codes: filled once, edited, retired, and right for every rule."""

import pytest
from sqlalchemy import Engine, insert

from alerts.case_tables import ticket_category
from alerts.categories import (
    Category,
    ClassCode,
    acceptance_of,
    categories,
    class_codes,
    ensure_categories,
    is_category,
    is_class,
    put_category,
    put_class,
    retire_category,
    retire_class,
)
from alerts.edits import edits
from alerts.refusals import EditRefused
from core.database import writing
from detectors.rule_checks import CATEGORIES
from detectors.rules import load_packs

NOW = 1_790_000_000_000_000


def test_the_usual_ones_are_there_and_every_rule_finds_its_own(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        assert tuple(each.name for each in categories(connection)) == CATEGORIES
        known = {each.code for each in class_codes(connection)}
        used = {rule.class_code for rule in load_packs().rules.values() if rule.class_code}
        assert used <= known
        assert all(is_class(connection, code) for code in used)


def test_a_towns_edits_outlive_a_restart(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        put_category(connection, Category("应急指挥", "Command", "both", 1), "root", NOW)
        put_category(connection, Category("水务", "Water", place=10), "root", NOW)
        put_class(connection, ClassCode("C02", "道路设施", "Roads"), "root", NOW)
        retire_category(connection, "网格党建", "root", NOW)
        retire_class(connection, "C05", "root", NOW)
        before = categories(connection, True), class_codes(connection, True)
        ensure_categories(connection)
        assert (categories(connection, True), class_codes(connection, True)) == before
        assert acceptance_of(connection, "应急指挥") == "both"
        assert acceptance_of(connection, "水务") == acceptance_of(connection, "volcano") == "first"


def test_what_is_retired_is_offered_no_more_and_can_come_back(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        retire_class(connection, "C05", "root", NOW)
        assert not is_class(connection, "C05")
        assert "C05" not in {each.code for each in class_codes(connection)}
        put_class(connection, ClassCode("C05", "其他部件", "Other components"), "root", NOW)
        assert is_class(connection, "C05")
        retire_category(connection, "公共服务", "root", NOW)
        assert not is_category(connection, "公共服务")


@pytest.mark.parametrize("code", ["c01", "C1", "D01", "C01-2", "C01-02-03", "", "C99-01"])
def test_a_class_code_has_its_shape_and_a_class_above_it(engine: Engine, code: str) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        with pytest.raises(EditRefused) as caught:
            put_class(connection, ClassCode(code, "名", "name"), "root", NOW)
    assert caught.value.reason == ("unknown_class" if code == "C99-01" else "bad_class_code")


def test_names_are_needed_in_both_languages(engine: Engine) -> None:
    with writing(engine) as connection:
        for wrong in (Category(" ", "x"), Category("名", ""), Category("名" * 25, "x")):
            with pytest.raises(EditRefused, match="needs_names"):
                put_category(connection, wrong, "root", NOW)
        with pytest.raises(EditRefused, match="needs_names"):
            put_class(connection, ClassCode("C01", "", "x"), "root", NOW)


def test_what_is_not_there_is_not_retired(engine: Engine) -> None:
    with writing(engine) as connection:
        with pytest.raises(EditRefused, match="unknown_category"):
            retire_category(connection, "volcano", "root", NOW)
        with pytest.raises(EditRefused, match="unknown_class"):
            retire_class(connection, "C99", "root", NOW)


def test_a_table_that_a_town_filled_itself_is_left_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        own = {"name": "水务", "name_en": "Water", "acceptance": "first", "place": 1, "retired": 0}
        connection.execute(insert(ticket_category).values(**own))
        ensure_categories(connection)
        assert [each.name for each in categories(connection)] == ["水务"]


def test_an_edit_is_written_down_with_what_was_and_what_is(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        assert edits(connection, 9) == []
        put_category(connection, Category("防汛", "Floods", place=10), "root", NOW)
        put_category(connection, Category("防汛", "Floods", "both", place=10), "zhang", NOW + 1)
        put_category(connection, Category("防汛", "Floods", "both", place=10), "zhang", NOW + 2)
        retire_class(connection, "C05", "root", NOW + 3)
        retire_class(connection, "C05", "root", NOW + 4)
        found = edits(connection, 9)
    assert [(each.at - NOW, each.who, each.what, each.code) for each in found] == [
        (3, "root", "class", "C05"),
        (1, "zhang", "category", "防汛"),
        (0, "root", "category", "防汛"),
    ]
    assert [each.changed for each in found[:2]] == [{"retired": (False, True)}, {"acceptance": ("first", "both")}]
    assert found[2].before is None
    assert found[2].changed["name_en"] == (None, "Floods")
    assert found[1].after["acceptance"] == "both"


def test_an_edit_that_is_refused_leaves_no_row(engine: Engine) -> None:
    with writing(engine) as connection:
        ensure_categories(connection)
        with pytest.raises(EditRefused):
            put_class(connection, ClassCode("X1", "名", "name"), "root", NOW)
        assert edits(connection, 9) == []


def test_edits_are_told_a_page_at_a_time(engine: Engine) -> None:
    with writing(engine) as connection:
        for n in range(5):
            put_category(connection, Category(f"类别{n}", "x"), "root", NOW + n)
        first = edits(connection, 3)
        rest = edits(connection, 3, before=first[-1].id)
    assert [each.code for each in (*first, *rest)] == [f"类别{n}" for n in (4, 3, 2, 1, 0)]
