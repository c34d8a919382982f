import io
import zipfile

import pytest

from tests.console.console_scene import Town, Visit
from tests.console.evidence_scene import MOBILE, make_case


def test_the_pack_is_made_in_a_process_of_its_own_and_downloaded(town: Town, visit: Visit) -> None:
    number = make_case(town)["number"]
    answer = visit("disp").get(f"/tickets/{number}/evidence.zip", timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="{number}-evidence.zip"' in answer.headers["content-disposition"]
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    assert {"case.pdf", "timeline.csv", "SHA256SUMS"} <= set(packed.namelist())
    assert MOBILE not in packed.read("timeline.csv").decode()


def test_whole_phones_are_for_an_admin_who_asks(town: Town, visit: Visit) -> None:
    number = make_case(town)["number"]
    place = f"/tickets/{number}/evidence.zip?phones=true&language=en"
    assert visit("disp").get(place).status_code == 403
    answer = visit("root").get(place, timeout=120)
    said = zipfile.ZipFile(io.BytesIO(answer.content)).read("timeline.csv").decode()
    assert MOBILE in said
    assert "Accept" in said


def test_strangers_and_patrollers_get_none(town: Town, visit: Visit) -> None:
    number = make_case(town)["number"]
    assert visit().get(f"/tickets/{number}/evidence.zip").status_code in (303, 401)
    assert visit("g01").get(f"/tickets/{number}/evidence.zip").status_code == 403
    assert visit("disp").get("/tickets/20200101-0001/evidence.zip").status_code == 404


def test_a_missing_extra_is_said(town: Town, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    number = make_case(town)["number"]
    monkeypatch.setattr("console.evidence_work.find_spec", lambda name: None)
    answer = visit("disp").get(f"/tickets/{number}/evidence.zip")
    assert answer.status_code == 503
    assert "shouwang[reports]" in answer.text
