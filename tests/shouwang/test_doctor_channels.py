"""What the doctor says of channels."""

from typing import Any

import pytest

from shouwang import diagnosis
from shouwang.diagnosis import _channels
from shouwang.findings import Finding, Standing
from shouwang.settings import Settings

APP = {"kind": "wecom_app", "corp_id": "ww1", "agent_id": 7, "secret": "s3cret"}
CALLBACK = {"token": "t0ken", "aes_key": "A" * 43}


def found(channel: dict[str, Any]) -> dict[str, Finding]:
    return {finding.what: finding for finding in _channels(Settings(channels={"mine": channel}))}


def test_an_application_without_its_callback_has_no_buttons() -> None:
    finding = found(APP)["channel mine"]
    assert finding.standing is Standing.DOUBTFUL
    assert "buttons" in finding.text
    assert found(APP | CALLBACK) == {"channel mine": Finding("channel mine", Standing.GOOD, "wecom_app")}


@pytest.mark.parametrize("channel", [{"kind": "dingtalk"}, {"kind": "feishu"}, {"kind": "wecom_robot"}])
def test_a_robot_needs_nothing_but_addresses(channel: dict[str, Any]) -> None:
    assert found(channel)["channel mine"].standing is Standing.GOOD


def test_a_missing_extra_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "find_spec", lambda module: None)
    finding = found(APP | CALLBACK)["channel mine"]
    assert finding.standing is Standing.BROKEN
    assert "shouwang[notify]" in finding.text
    assert found(APP)["channel mine"].standing is Standing.DOUBTFUL


def test_without_the_extra_for_pictures_notices_still_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "can_draw", lambda: False)
    assert found({"kind": "wecom_robot"})["pictures"].standing is Standing.DOUBTFUL
    assert "pictures" not in found({"kind": "feishu"})


def test_no_secret_is_told() -> None:
    assert "s3cret" not in f"{found(APP | CALLBACK)}"
    assert "t0ken" not in f"{found(APP | CALLBACK)}"


SMS = {"kind": "aliyun_sms", "key_id": "k", "secret": "s", "signature": "s", "template": "t"}
MAIL = {"kind": "email", "sender": "desk@town.example"}


def test_without_receipts_nothing_is_proven() -> None:
    assert found(SMS)["channel mine"].standing is Standing.DOUBTFUL
    assert found(SMS | {"token": "a-token-of-receipts"})["channel mine"].standing is Standing.GOOD


def test_mail_in_the_clear_is_told() -> None:
    assert found(MAIL | {"url": "smtp+plain://127.0.0.1"})["channel mine"].standing is Standing.DOUBTFUL
    assert found(MAIL | {"url": "smtp://mail.example"})["channel mine"].standing is Standing.GOOD


def test_apprise_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found({"kind": "apprise"})["channel mine"].standing is Standing.GOOD
    monkeypatch.setattr(diagnosis, "find_spec", lambda module: None)
    assert found({"kind": "apprise"})["channel mine"].standing is Standing.BROKEN
