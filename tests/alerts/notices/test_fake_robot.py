"""The fake provider is as strict as the real one, or tests against it prove nothing."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.wecom_robot import WecomRobot


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as opened:
        yield opened


def _errcode(client: httpx.Client, robot: WecomRobot, message: Any, key: str = "key-a") -> int:
    answer = client.post(f"{robot.url}/cgi-bin/webhook/send", params={"key": key}, json=message)
    assert answer.status_code == 200
    errcode: int = answer.json()["errcode"]
    return errcode


def _text(content: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content, **more}}


def _image(content: bytes, md5: str = "") -> dict[str, Any]:
    told = {"base64": base64.b64encode(content).decode(), "md5": md5 or hashlib.md5(content).hexdigest()}
    return {"msgtype": "image", "image": told}


def _card(**more: Any) -> dict[str, Any]:
    url = {"type": 1, "url": "https://town.example"}
    card = {"card_type": "text_notice", "main_title": {"title": "a"}, "card_action": url, **more}
    return {"msgtype": "template_card", "template_card": card}


ROW = {"keyname": "a", "value": "b"}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("message", "errcode"),
    [
        (_text("水" * 682), 0),
        (_text("水" * 683), 40058),
        (_text(""), 40058),
        (_text("a", mentioned_mobile_list=["138"]), 0),
        (_text("a", mentioned_mobile_list="138"), 40058),
        (_text("a", unheard_of=1), 40058),
        ({"msgtype": "markdown", "markdown": {"content": "水" * 1365}}, 0),
        ({"msgtype": "markdown", "markdown": {"content": "水" * 1366}}, 40058),
        ({"msgtype": "markdown", "markdown": {"content": "a", "mentioned_mobile_list": []}}, 40058),
        ({"msgtype": "markdown", "text": {"content": "a"}}, 40058),
        (_image(PNG), 0),
        (_image(PNG + bytes(2 * 1024 * 1024 - 8)), 0),
        (_image(PNG + bytes(2 * 1024 * 1024 - 7)), 40009),
        (_image(PNG, "0" * 32), 40059),
        (_image(b"GIF89a"), 40059),
        (_card(), 0),
        (_card(card_action={"type": 1}), 40058),
        (_card(main_title={"title": ""}), 40058),
        (_card(horizontal_content_list=[ROW] * 6), 0),
        (_card(horizontal_content_list=[ROW] * 7), 40058),
        (_card(jump_list=[{"type": 1, "title": "a", "url": "https://a.example"}] * 4), 40058),
        (_card(jump_list=[{"type": 1, "title": "a"}]), 40058),
        (_card(button_list=[]), 40058),
        ({"msgtype": "carrier_pigeon"}, 40008),
        ([], 47001),
    ],
)
def test_messages_are_judged(client: httpx.Client, message: Any, errcode: int) -> None:
    with WecomRobot() as robot:
        assert _errcode(client, robot, message) == errcode
        assert len(robot.messages) == (errcode == 0)


def test_keys_and_rate_are_held_to(client: httpx.Client) -> None:
    seconds = [0.0]
    with WecomRobot(keys=["key-a", "key-b"], seconds=lambda: seconds[0]) as robot:
        assert _errcode(client, robot, _text("a"), "key-c") == 93000
        assert [_errcode(client, robot, _text("a")) for _ in range(21)] == [0] * 20 + [45009]
        assert _errcode(client, robot, _text("a"), "key-b") == 0
        seconds[0] = 59.9
        assert _errcode(client, robot, _text("a")) == 45009
        seconds[0] = 60.0
        assert _errcode(client, robot, _text("a")) == 0


def test_it_runs_as_its_own_process_and_has_messages_on_disk_before_it_answers(
    client: httpx.Client, tmp_path: Path
) -> None:
    log = tmp_path / "messages.jsonl"
    script = Path(__file__).parents[2] / "fakes" / "wecom_robot.py"
    command = [sys.executable, str(script), "--port", "0", "--log", str(log), "--limit", "2", "--key", "key-a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        send = f"{url}/cgi-bin/webhook/send?key=key-a"
        codes = [client.post(send, json=_text(f"消息 {n}")).json()["errcode"] for n in range(3)]
        process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert codes == [0, 0, 45009]
    assert [(line["key"], line["content"]) for line in lines] == [("key-a", "消息 0"), ("key-a", "消息 1")]
