"""The shipped dashboards: what the code makes, readable by Grafana's own models, whole, and linked to what is there."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import Runtime

from grafana.annotations import read_back
from grafana.generation import DASHBOARDS, dashboards, write_dashboards
from grafana.kit import Kit, Places
from grafana.queries import SOURCES, register_queries
from grafana.sources import folder_of
from grafana.words import LANGUAGES, Words, table
from tests.grafana.shipped import DEPRECATED, FOLDER, SHIPPED, panels, query_text, shipped, strings, variables_in

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_OWN = re.compile(r"__\w+")
"""Variables that Grafana itself has."""
_SPAN = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

every_dashboard = pytest.mark.parametrize(("language", "name"), SHIPPED)


def _seconds(span: str) -> int:
    return int(span[:-1]) * _SPAN[span[-1]]


def test_the_shipped_files_are_what_the_code_makes(tmp_path: Path) -> None:
    made = {path.relative_to(tmp_path): path.read_text("utf-8") for path in write_dashboards(tmp_path)}
    kept = {path.relative_to(FOLDER): path.read_text("utf-8") for path in FOLDER.rglob("*/*.json")}
    assert kept.keys() == made.keys()
    for path, text in made.items():
        assert kept[path] == text, f"{path}: write it anew, see CONTRIBUTING.md"


@every_dashboard
def test_the_sdk_reads_it_back_without_loss(language: str, name: str) -> None:
    register_default_plugins()
    register_queries()
    read = read_back(shipped(language, name))
    assert json.loads(JSONEncoder().encode(read)) == shipped(language, name)


@every_dashboard
def test_every_panel_type_is_one_that_grafana_still_has(language: str, name: str) -> None:
    register_default_plugins()
    types = {panel["type"] for panel in panels(shipped(language, name))}
    assert not types & DEPRECATED
    assert types <= set(Runtime().panelcfg_variants)


def test_a_deprecated_type_is_none_that_the_sdk_knows() -> None:
    register_default_plugins()
    assert not DEPRECATED & set(Runtime().panelcfg_variants)


@every_dashboard
def test_its_panels_lie_side_by_side(language: str, name: str) -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        across, down = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        return {(x, y) for x in across for y in down}

    board = shipped(language, name)
    inner = [row["panels"] for row in board["panels"] if row["type"] == "row" and row["panels"]]
    for group in (list(board["panels"]), *inner):
        taken: set[tuple[int, int]] = set()
        for panel in group:
            assert not cells(panel) & taken, panel["title"]
            assert max(x for x, _ in cells(panel)) < 24, panel["title"]
            taken |= cells(panel)


@every_dashboard
def test_ids_are_unique_and_its_uid_tells_its_language(language: str, name: str) -> None:
    board = shipped(language, name)
    numbers = Counter(panel["id"] for panel in [*panels(board), *(row for row in board["panels"])])
    doubled = {number for number, times in numbers.items() if times > 1}
    assert not doubled - {panel["id"] for panel in board["panels"]}
    assert board["uid"] == Kit(Words(language)).uid(name)  # type: ignore[arg-type]  # a parametrised one
    assert board["tags"] == ["shouwang", f"shouwang-{language}"]


@every_dashboard
def test_every_query_asks_a_provisioned_source(language: str, name: str) -> None:
    uids = set(SOURCES.values())
    for panel in panels(shipped(language, name)):
        letters = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(letters)) == len(letters), panel["title"]
        assert {target["datasource"]["uid"] for target in panel.get("targets", [])} <= uids, panel["title"]
        asked = {target["datasource"]["uid"] for target in panel.get("targets", [])}
        whole = next(iter(asked)) if len(asked) == 1 else "-- Mixed --"
        assert panel["datasource"]["uid"] == whole, f"{panel['title']}: Grafana asks this one all of its queries"


@every_dashboard
def test_expressions_of_names_are_written_as_grafana_tells_them_from_whole_names(language: str, name: str) -> None:
    for panel in panels(shipped(language, name)):
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] == "byRegexp":
                assert re.fullmatch(r"/.+/", override["matcher"]["options"]), (
                    f"{panel['title']}: else it must match all"
                )


@every_dashboard
def test_no_time_left_is_not_shown_as_none_left(language: str, name: str) -> None:
    for panel in panels(shipped(language, name)):
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == "left_h":
                [shown] = [part["value"] for part in override["properties"] if part["id"] == "mappings"]
                [none] = [each["options"] for each in shown if each["type"] == "special"]
                assert (none["match"], none["result"]["color"]) == ("null", "transparent"), panel["title"]


@every_dashboard
def test_no_span_of_time_is_told_in_grafana_s_english_words(language: str, name: str) -> None:
    """Seconds stay where they are machine's time; hours and minutes are figures with a unit of our words."""
    for panel in panels(shipped(language, name)):
        if panel["type"] == "table" and name != "platform":
            for override in panel["fieldConfig"]["overrides"]:
                assert {"id": "unit", "value": "s"} not in override["properties"], panel["title"]
        assert "bool_yes_no" not in strings(panel["fieldConfig"]), panel["title"]


@every_dashboard
def test_every_variable_asked_for_is_there(language: str, name: str) -> None:
    board = shipped(language, name)
    own = [variable["name"] for variable in board.get("templating", {}).get("list", [])]
    for panel in panels(board):
        for target in panel.get("targets", []):
            asked = {one for one in variables_in(query_text(target)) if not _OWN.fullmatch(one)} - {"timeFilter"}
            assert asked <= set(own), panel["title"]
    for place, variable in enumerate(board.get("templating", {}).get("list", [])):
        assert variables_in(str(variable.get("query", ""))) <= set(own[:place]), variable["name"]


@every_dashboard
def test_annotations_ask_the_desk_with_variables_that_are_there(language: str, name: str) -> None:
    board = shipped(language, name)
    own = {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    for asked in board.get("annotations", {}).get("list", []):
        assert asked["datasource"] == asked["target"]["datasource"]
        assert asked["datasource"]["uid"] in SOURCES.values()
        assert {one for one in variables_in(query_text(asked["target"])) if not _OWN.fullmatch(one)} <= own


@every_dashboard
def test_a_wall_can_show_it_all_day(language: str, name: str) -> None:
    board = shipped(language, name)
    assert _seconds(board["refresh"]) >= 10
    assert board["timezone"] == "Asia/Shanghai"
    assert not board["editable"]
    for panel in panels(board):
        for target in panel.get("targets", []):
            if target["datasource"]["type"] == "influxdb":
                asked = target["query"]
                assert "$timeFilter" in asked, f"{panel['title']}: {asked}"
                if target["resultFormat"] == "time_series":
                    assert re.search(r"GROUP BY time\((\$__interval|\d+[smhd])\)", asked), f"{panel['title']}: {asked}"


@every_dashboard
def test_its_links_lead_somewhere(language: str, name: str) -> None:
    uids = {shipped(language, other)["uid"]: other for other in DASHBOARDS}
    for link in (text for text in strings(shipped(language, name)) if text.startswith("/d/")):
        address = urlsplit(link)
        uid = address.path.removeprefix("/d/")
        assert uid in uids, link
        there = {each["name"] for each in shipped(language, uids[uid]).get("templating", {}).get("list", [])}
        given = {key.removeprefix("var-") for key, _ in parse_qsl(address.query) if key.startswith("var-")}
        assert given <= there, link


@pytest.mark.parametrize("name", DASHBOARDS)
def test_both_languages_ask_the_same(name: str) -> None:
    def bones(language: str) -> list[Any]:
        return [
            (panel["type"], panel["gridPos"], len(panel.get("targets", [])))
            for panel in panels(shipped(language, name))
        ]

    assert bones("zh") == bones("en")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_speaks_its_own_language(name: str) -> None:
    for panel in panels(shipped("en", name)):
        for text in strings({key: part for key, part in panel.items() if key != "targets"}):
            assert not _CHINESE.search(text), text
    for panel in panels(shipped("zh", name)):
        assert _CHINESE.search(panel["title"]) or not panel["title"], panel["title"]


def test_every_text_is_in_both_languages() -> None:
    for key, (chinese, english) in table().items():
        assert chinese, key
        assert english, key
        assert not _CHINESE.search(english), key


def test_every_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said = set()
    say = Words.__call__

    def heard(words: Words, key: str, **values: object) -> str:
        said.add(key)
        return say(words, key, **values)

    monkeypatch.setattr(Words, "__call__", heard)
    for language in LANGUAGES:
        dashboards(Places(), language)
        folder_of(Words(language))
    assert set(table()) - said == set()


def test_the_console_s_address_and_the_tiles_are_those_given(tmp_path: Path) -> None:
    places = Places(console="https://console.example", tiles="https://tiles.example/{z}/{x}/{y}", attribution="ours")
    for path in write_dashboards(tmp_path, places):
        text = path.read_text("utf-8")
        assert "127.0.0.1" not in text
        assert "openstreetmap" not in text.lower()
    assert "https://console.example/" in text


def test_all_languages_have_a_folder() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(LANGUAGES)
