"""Pushing into a Grafana: what is made, what stays, and that a second push changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from grafana.pushing import Grafana, GrafanaRefused
from grafana.queries import SOURCES
from grafana.sources import (
    Desk,
    Readings,
    desk_source,
    metrics_source,
    providers_text,
    provisioned,
    readings_source,
    sources_text,
)
from tests.fakes.grafana_api import TOKEN, GrafanaApi
from tests.grafana.shipped import FOLDER, shipped
from tests.providers.provider import Answer
from tests.servers import free_port

READINGS = readings_source(Readings("http://influx:8086", "readings", "t0k"))
DESK = desk_source(Desk("pg:5432", "shouwang", "s3cret"))
BOARD = shipped("zh", "roads")
PROVISIONING = FOLDER.parent / "provisioning"


@pytest.fixture
def api() -> Iterator[GrafanaApi]:
    with GrafanaApi() as running:
        yield running


@pytest.fixture
def there(api: GrafanaApi) -> Iterator[Grafana]:
    grafana = Grafana(api.url, TOKEN)
    grafana.put_folder("shouwang", "守望")
    yield grafana
    grafana.close()


def test_a_folder_is_made_once(api: GrafanaApi, there: Grafana) -> None:
    assert api.folders["shouwang"]["title"] == "守望"
    api.folders["shouwang"]["title"] = "Ours now"
    assert there.put_folder("shouwang", "守望").done == "same"
    assert api.folders["shouwang"]["title"] == "Ours now"


def test_a_data_source_is_made_with_its_secret_and_then_left_alone(api: GrafanaApi, there: Grafana) -> None:
    assert there.put_source(READINGS).done == "made"
    kept = api.sources["shouwang-readings"]
    assert kept["secureJsonData"] == {"httpHeaderValue1": "Token t0k"}
    assert "t0k" not in str({name: part for name, part in kept.items() if name != "secureJsonData"})
    before = api.writes
    assert there.put_source(READINGS).done == "same"
    assert api.writes == before


def test_a_data_source_that_differs_is_set_right_and_keeps_what_it_was_not_told(
    api: GrafanaApi, there: Grafana
) -> None:
    there.put_source(DESK)
    api.sources["shouwang-desk"]["url"] = "elsewhere:5432"
    api.sources["shouwang-desk"]["isDefault"] = True
    assert there.put_source(DESK).done == "changed"
    kept = api.sources["shouwang-desk"]
    assert (kept["url"], kept["isDefault"], kept["user"]) == ("pg:5432", True, "shouwang_read")
    assert there.put_source(DESK).done == "same"


def test_a_secret_is_written_again_only_when_asked_for(api: GrafanaApi, there: Grafana) -> None:
    there.put_source(DESK)
    newer = DESK._replace(secrets={"password": "newer"})
    assert there.put_source(newer).done == "same"
    assert there.put_source(newer, secrets_again=True).done == "changed"
    assert api.sources["shouwang-desk"]["secureJsonData"] == {"password": "newer"}


def test_a_provisioned_data_source_is_left_to_its_file(api: GrafanaApi, there: Grafana) -> None:
    there.put_source(metrics_source("http://prometheus:9090"))
    api.sources["shouwang-prometheus"]["readOnly"] = True
    put = there.put_source(metrics_source("http://elsewhere:9090"))
    assert (put.done, put.why) == ("kept", "provisioned")


def test_a_dashboard_pushed_twice_has_one_version(api: GrafanaApi, there: Grafana) -> None:
    assert there.put_dashboard(BOARD, "shouwang").done == "made"
    assert there.put_dashboard(BOARD, "shouwang").done == "same"
    assert len(api.boards[BOARD["uid"]]) == 1
    assert api.where[BOARD["uid"]] == "shouwang"


def test_a_newer_dashboard_is_a_new_version_in_the_folder_where_it_is_now(api: GrafanaApi, there: Grafana) -> None:
    there.put_dashboard(BOARD, "shouwang")
    there.put_folder("theirs", "Theirs")
    api.where[BOARD["uid"]] = "theirs"
    assert there.put_dashboard({**BOARD, "title": "新"}, "shouwang").done == "changed"
    newest = api.boards[BOARD["uid"]][-1]["dashboard"]
    assert (newest["title"], newest["version"], api.where[BOARD["uid"]]) == ("新", 2, "theirs")
    assert there.put_dashboard({**BOARD, "title": "新"}, "shouwang").done == "same"


def test_a_dashboard_that_somebody_edited_stays_unless_forced(api: GrafanaApi, there: Grafana) -> None:
    there.put_dashboard(BOARD, "shouwang")
    api.edit(BOARD["uid"], "改过的")
    put = there.put_dashboard({**BOARD, "title": "新"}, "shouwang")
    assert (put.done, put.why) == ("kept", "edited")
    assert api.boards[BOARD["uid"]][-1]["dashboard"]["title"] == "改过的"
    assert there.put_dashboard({**BOARD, "title": "新"}, "shouwang", force=True).done == "changed"
    assert api.boards[BOARD["uid"]][-1]["dashboard"]["title"] == "新"
    assert len(api.boards[BOARD["uid"]]) == 3  # what was edited is a version that can be restored


def test_a_dashboard_of_grafana_s_own_files_stays(api: GrafanaApi, there: Grafana) -> None:
    there.put_dashboard(BOARD, "shouwang")
    api.from_files.add(BOARD["uid"])
    put = there.put_dashboard({**BOARD, "title": "新"}, "shouwang", force=True)
    assert (put.done, put.why) == ("kept", "provisioned")


def test_an_edit_between_the_look_and_the_write_is_not_written_over(
    api: GrafanaApi, there: Grafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.put_dashboard(BOARD, "shouwang")
    looked = Grafana._last_message

    def and_then_edited(self: Grafana, uid: str) -> str:
        said = looked(self, uid)
        api.edit(uid, "刚改的")
        return said

    monkeypatch.setattr(Grafana, "_last_message", and_then_edited)
    with pytest.raises(GrafanaRefused, match="push again"):
        there.put_dashboard({**BOARD, "title": "新"}, "shouwang")
    assert api.boards[BOARD["uid"]][-1]["dashboard"]["title"] == "刚改的"


def test_versions_as_older_grafanas_list_them(api: GrafanaApi, there: Grafana) -> None:
    there.put_dashboard(BOARD, "shouwang")
    listed = b'[{"version": 1, "message": ""}, {"version": 2, "message": "shouwang 0"}]'
    api.scripted_path = "/versions"
    api.script.append(Answer(listed, headers=(("Content-Type", "application/json"),)))
    assert there.put_dashboard({**BOARD, "title": "新"}, "shouwang").done == "changed"


@pytest.mark.parametrize(
    ("token", "role", "said"),
    [("glsa_wrong", "Admin", "refuses the token"), (TOKEN, "Viewer", "needs Admin")],
)
def test_who_may_not_is_told_so(token: str, role: str, said: str) -> None:
    with GrafanaApi(role=role) as api:
        grafana = Grafana(api.url, token)
        with pytest.raises(GrafanaRefused, match=said) as refused:
            grafana.put_folder("shouwang", "守望")
        grafana.close()
    assert token not in str(refused.value)


@pytest.mark.parametrize(("version", "fits"), [("10.4.2", False), ("11.0.0", True), ("12.1.0-pre", True), ("", False)])
def test_a_grafana_that_is_too_old_is_refused(version: str, fits: bool) -> None:
    with GrafanaApi(version) as api:
        grafana = Grafana(api.url, TOKEN)
        if fits:
            assert grafana.version() == version
        else:
            with pytest.raises(GrafanaRefused, match=r"11\.0 or newer"):
                grafana.version()
        grafana.close()


def test_nobody_there_is_told_in_words() -> None:
    grafana = Grafana(f"http://127.0.0.1:{free_port()}", TOKEN)
    with pytest.raises(GrafanaRefused, match="can't be asked"):
        grafana.version()
    grafana.close()


@pytest.mark.parametrize("answer", [Answer(b"<html>", 200), Answer(b"<html>", 502), Answer(drop=True)])
def test_an_answer_that_makes_no_sense_is_told_in_words(api: GrafanaApi, there: Grafana, answer: Answer) -> None:
    api.script.append(answer if answer.drop else answer._replace(headers=(("Content-Type", "application/json"),)))
    with pytest.raises(GrafanaRefused, match=r"127\.0\.0\.1"):
        there.put_folder("another", "x")


def test_the_provisioning_files_are_what_the_code_makes() -> None:
    kept = {path.parent.name: path.read_text(encoding="utf-8") for path in PROVISIONING.rglob("*.yaml")}
    assert kept == {"datasources": sources_text(), "dashboards": providers_text()}


def test_provisioning_and_pushing_name_the_same_sources() -> None:
    listed = yaml.safe_load(sources_text())["datasources"]
    assert {each["uid"]: each["type"] for each in listed} == {uid: kind for kind, uid in SOURCES.items()}
    assert [each.uid for each in provisioned()] == [READINGS.uid, DESK.uid, metrics_source("x").uid]
    for given, pushed in zip(provisioned(), (READINGS, DESK, metrics_source("x")), strict=True):
        assert given.body["jsonData"].keys() == pushed.body["jsonData"].keys()
        assert given.secrets.keys() == pushed.secrets.keys()


def test_no_secret_stands_in_the_provisioning_files() -> None:
    for each in yaml.safe_load(sources_text())["datasources"]:
        for value in each.get("secureJsonData", {}).values():
            assert value.removeprefix("Token ").startswith("$__file{")


def test_every_language_has_its_provider_and_its_folder(tmp_path: Path) -> None:
    providers = yaml.safe_load(providers_text())["providers"]
    assert [Path(each["options"]["path"]).name for each in providers] == ["zh", "en"]
    assert len({each["folderUid"] for each in providers}) == 2
    assert not any(each["allowUiUpdates"] for each in providers)
