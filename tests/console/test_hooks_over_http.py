"""Receipts that providers push, and buttons that members press on WeCom's cards."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from sqlalchemy import delete, insert, select, update

from alerts.channels.transport import open_client
from alerts.channels.wecom_crypto import Keys, Signed, open_message, signature
from alerts.owners import Owner
from alerts.sender import Sender
from alerts.tables import contact, notice, person, ticket
from alerts.town_view import load_town_view
from console.app import create_app
from console.doors import CardDoor, Doors, ReceiptDoor
from core.clock import SECOND, local
from core.database import reading, writing
from core.metrics import Metrics
from tests.console.console_scene import Town, free_port, serving
from tests.providers import aliyun, tencent, wecom_app

TOKEN = "a-token-of-the-receipts"
KEYS = Keys.parse("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", wecom_app.CORP)
DOOR = CardDoor(KEYS.token, "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", wecom_app.CORP)


@pytest.fixture
def hooks(town: Town) -> Iterator[httpx.Client]:
    """What a provider calls: it names no origin."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    kinds = {"sms": "aliyun_sms", "call": "aliyun_voice", "tsms": "tencent_sms", "tcall": "tencent_voice"}
    receipts = {name: ReceiptDoor(kind, TOKEN) for name, kind in kinds.items()}
    metrics = Metrics()
    known = {"metrics": metrics.registry, "unreadable_receipts": metrics.receipts_unreadable}
    doors = Doors(receipts=receipts, cards={"app": DOOR})
    app = create_app(replace(town.services(url), doors=doors, **known))
    with serving(app, port), httpx.Client(base_url=url, timeout=20) as client:
        yield client


def send(town: Town, channel: Any, address: str) -> list[Any]:
    """One patroller is reached by the channel and nobody by any other; what an alert sends them."""
    with writing(town.engine) as connection:
        connection.execute(delete(contact))
        to = {"owner_kind": "person", "owner": "G01-01", "channel": channel.name, "address": address}
        connection.execute(insert(contact).values(**to))
        town.view = load_town_view(connection)
    town.alert()
    sender = Sender(town.engine, [channel], town.clock, Owner("test", "localhost", 1, town.clock.now()))
    while sender.step(town.clock.now()):
        pass
    return rows(town, channel.name)


def unreadable(hooks: httpx.Client, channel: str) -> float:
    """How many receipts of a channel could not be read, by the platform's own metric."""
    line = re.search(rf'shouwang_receipts_unreadable_total{{channel="{channel}"}} (\S+)', hooks.get("/metrics").text)
    return float(line[1]) if line else 0


def rows(town: Town, channel: str) -> list[Any]:
    with reading(town.engine) as connection:
        return list(connection.execute(select(notice).where(notice.c.channel == channel).order_by(notice.c.id)))


@pytest.mark.parametrize("delivered", [True, False])
def test_aliyuns_receipts_find_their_notices(town: Town, hooks: httpx.Client, delivered: bool) -> None:
    with aliyun.Aliyun(clock_s=town.clock.now() / SECOND) as provider, open_client() as client:
        sent = send(town, aliyun.sms(client, provider.url), aliyun.NUMBER)
        assert [row.state for row in sent] == ["accepted"]
        for _ in range(2):  # a receipt may come twice
            answer = hooks.post(f"/hooks/receipts/sms/{TOKEN}", content=provider.reports(delivered=delivered))
            assert (answer.status_code, answer.json()["code"]) == (200, 0)
    found = rows(town, "sms")
    assert [row.state for row in found] == ["delivered" if delivered else "failed"]
    assert all(row.receipt.startswith("DELIVERED" if delivered else "MK:0001") for row in found)


@pytest.mark.parametrize("delivered", [True, False])
def test_aliyuns_calls_tell_whether_somebody_took_them(town: Town, hooks: httpx.Client, delivered: bool) -> None:
    with aliyun.Aliyun("SingleCallByTts", town.clock.now() / SECOND) as provider, open_client() as client:
        send(town, aliyun.voice(client, provider.url), aliyun.NUMBER)
        assert provider.taken
        answer = hooks.post(f"/hooks/receipts/call/{TOKEN}", content=provider.reports(delivered=delivered))
        assert (answer.status_code, answer.json()["code"]) == (200, 0)
        numbers = {int(each["OutId"]) for each in provider.taken}
    assert {row.state for row in rows(town, "call") if row.id in numbers} == {"delivered" if delivered else "failed"}


@pytest.mark.parametrize(("name", "action"), [("tsms", "SendSms"), ("tcall", "SendTts")])
@pytest.mark.parametrize("delivered", [True, False])
def test_tencents_receipts_find_their_notices(
    town: Town, hooks: httpx.Client, name: str, action: str, delivered: bool
) -> None:
    with tencent.Tencent(action, town.clock.now() / SECOND) as provider, open_client() as client:
        channel = tencent.sms(client, provider.url) if name == "tsms" else tencent.voice(client, provider.url)
        channel.name = name
        send(town, channel, tencent.NUMBER)
        assert provider.taken
        for body in provider.reports(delivered=delivered):
            answer = hooks.post(f"/hooks/receipts/{name}/{TOKEN}", content=body)
            assert (answer.status_code, answer.json()) == (200, {"result": 0, "errmsg": "OK"})
        numbers = {int(each["SessionContext"]) for each in provider.taken}
    assert {row.state for row in rows(town, name) if row.id in numbers} == {"delivered" if delivered else "failed"}


def test_a_receipt_that_overtook_our_record_is_asked_for_again(town: Town, hooks: httpx.Client) -> None:
    with aliyun.Aliyun(clock_s=town.clock.now() / SECOND) as provider, open_client() as client:
        sent = send(town, aliyun.sms(client, provider.url), aliyun.NUMBER)
        with writing(town.engine) as connection:
            connection.execute(update(notice).where(notice.c.id == sent[0].id).values(state="sending"))
        assert hooks.post(f"/hooks/receipts/sms/{TOKEN}", content=provider.reports()).status_code == 503


@pytest.mark.parametrize(("age", "status", "result"), [(5 * SECOND, 503, 1), (3600 * SECOND, 200, 0)])
def test_an_unknown_number_is_asked_for_again_while_it_is_young(
    town: Town, hooks: httpx.Client, age: int, status: int, result: int
) -> None:
    at = local(town.clock.now() - age).strftime("%Y-%m-%d %H:%M:%S")
    told = {"report_status": "SUCCESS", "sid": "2640:1", "user_receive_time": at}
    answer = hooks.post(f"/hooks/receipts/tsms/{TOKEN}", json=[told])
    assert (answer.status_code, answer.json()["result"]) == (status, result)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'[{"success": "x"}]'])
def test_what_is_no_receipt_is_refused(hooks: httpx.Client, body: bytes) -> None:
    assert hooks.post(f"/hooks/receipts/sms/{TOKEN}", content=body).status_code == 400


@pytest.mark.parametrize(
    "other",
    [{"success": "x"}, {"success": None}, 7, "text", [], {}],
    ids=["text", "null", "number", "word", "list", "none"],
)
def test_one_that_cannot_be_read_costs_the_others_nothing(town: Town, hooks: httpx.Client, other: Any) -> None:
    with aliyun.Aliyun(clock_s=town.clock.now() / SECOND) as provider, open_client() as client:
        send(town, aliyun.sms(client, provider.url), aliyun.NUMBER)
        batch = [other, *json.loads(provider.reports()), other]
        before = unreadable(hooks, "sms")
        answer = hooks.post(f"/hooks/receipts/sms/{TOKEN}", json=batch)
    assert (answer.status_code, answer.json()["code"]) == (200, 0), "or it comes again for ever"
    assert [row.state for row in rows(town, "sms")] == ["delivered"]
    assert unreadable(hooks, "sms") - before == 2


def test_tencents_too_are_read_each_for_itself(hooks: httpx.Client) -> None:
    batch = [{"report_status": "SUCCESS", "sid": "1:1"}, {"report_status": "SUCCESS", "sid": 5}]
    answer = hooks.post(f"/hooks/receipts/tsms/{TOKEN}", json=batch)
    assert (answer.status_code, answer.json()["result"]) == (200, 0)
    assert unreadable(hooks, "tsms") == 1
    calls = [{"status_code": "200000"}, {"status_code": 200000}]
    assert hooks.post(f"/hooks/receipts/call/{TOKEN}", json=calls).json()["code"] == 0
    assert unreadable(hooks, "call") == 1


def test_receipts_of_others_change_nothing(hooks: httpx.Client) -> None:
    told = {"success": True, "err_code": "DELIVERED"}
    for out_id in ("", "somebody-elses", "99999999", "9" * 40, "0" * 20 + "9" * 20, "0" * 20 + "9" * 5000, "²"):
        answer = hooks.post(f"/hooks/receipts/sms/{TOKEN}", json=[{**told, "biz_id": "1^0", "out_id": out_id}])
        assert (answer.status_code, answer.json()["code"]) == (200, 0)


@pytest.mark.parametrize(
    "path", [f"/hooks/receipts/nobody/{TOKEN}", "/hooks/receipts/sms/another", "/hooks/wecom/x?a=b"]
)
def test_without_the_token_there_is_nothing(hooks: httpx.Client, path: str) -> None:
    assert hooks.post(path, content=b"[]").status_code in (404, 422)


class Pressed:
    """A card of the application on the phone of a member who presses its buttons."""

    def __init__(self, town: Town, hooks: httpx.Client, provider: wecom_app.WecomApp) -> None:
        self.town, self.hooks, self.provider = town, hooks, provider

    def press(self, card: dict[str, Any], key: str, **given: Any) -> httpx.Response:
        now = given.get("at", self.town.clock.now())
        query, body = self.provider.press(given.get("keys", KEYS), card, key, now)
        return self.hooks.post(f"/hooks/wecom/app?{query}", content=body)

    def label(self, answer: httpx.Response) -> str:
        """What the button says then."""
        assert answer.status_code == 200, answer.text
        parts = dict(re.findall(r"<(\w+)>([^<]+)</\1>", answer.text))
        signed = Signed(parts["MsgSignature"], parts["TimeStamp"], parts["Nonce"])
        body = f"<xml><Encrypt>{parts['Encrypt']}</Encrypt></xml>".encode()
        message = open_message(KEYS, signed, body, self.town.clock.now())
        assert message.findtext("MsgType") == "update_button"
        return message.findtext("Button/ReplaceName") or ""


@pytest.fixture
def pressed(town: Town, hooks: httpx.Client) -> Iterator[Pressed]:
    with wecom_app.WecomApp() as provider, open_client() as client:
        with writing(town.engine) as connection:
            mine = person.c.code == "G01-01"
            connection.execute(update(person).where(mine).values(wecom_userid=wecom_app.MEMBER))
        send(town, wecom_app.channel(client, provider.url), wecom_app.MEMBER)
        yield Pressed(town, hooks, provider)


def card_of(pressed: Pressed) -> dict[str, Any]:
    cards = [each["template_card"] for each in pressed.provider.messages if each["msgtype"] == "template_card"]
    found: dict[str, Any] = next(card for card in cards if card["card_type"] == "button_interaction")
    return found


def status(town: Town) -> tuple[str, str | None]:
    with reading(town.engine) as connection:
        row = connection.execute(select(ticket.c.status, ticket.c.accepted_by)).one()
    return row.status, row.accepted_by


def test_a_button_moves_the_ticket_for_who_pressed_it(pressed: Pressed) -> None:
    card = card_of(pressed)
    for _ in range(2):  # pressed twice, or called twice
        assert pressed.label(pressed.press(card, "accept")) == "已接单"
        assert status(pressed.town) == ("accepted", "G01-01")
    assert pressed.label(pressed.press(card, "arrive")) == "已到场"


def test_a_member_whom_nobody_knows_moves_nothing(pressed: Pressed) -> None:
    with writing(pressed.town.engine) as connection:
        connection.execute(update(person).values(wecom_userid=""))
    assert pressed.label(pressed.press(card_of(pressed), "accept")) == "您的企业微信账号未登记"
    assert status(pressed.town)[0] == "dispatched"


def test_a_refusal_is_said_on_the_card(pressed: Pressed) -> None:
    assert pressed.label(pressed.press(card_of(pressed), "arrive")).startswith("工单现在是")
    forged = {**card_of(pressed), "task_id": "sw-1-999"}
    assert pressed.label(pressed.press(forged, "accept")) == "没有这个工单"


def test_who_does_not_sign_moves_nothing(pressed: Pressed) -> None:
    card, now = card_of(pressed), pressed.town.clock.now()
    assert pressed.press(card, "accept", keys=KEYS._replace(token="another")).status_code == 403
    assert pressed.press(card, "accept", at=now - 3600 * SECOND).status_code == 403
    assert (
        pressed.hooks.post("/hooks/wecom/app?msg_signature=x&timestamp=1&nonce=2", content=b"<xml/>").status_code == 403
    )
    assert status(pressed.town)[0] == "dispatched"


def test_the_address_proves_itself_and_a_get_changes_nothing(pressed: Pressed) -> None:
    now = str(pressed.town.clock.now() // SECOND)
    query, body = pressed.provider.press(KEYS, card_of(pressed), "accept", pressed.town.clock.now())
    encrypted = body.partition("<Encrypt>")[2].partition("</Encrypt>")[0]
    signed = {name: values[0] for name, values in parse_qs(query).items()}
    answer = pressed.hooks.get(f"/hooks/wecom/app?{urlencode({**signed, 'echostr': encrypted})}")
    assert answer.status_code == 200
    assert "template_card_event" in answer.text
    assert status(pressed.town)[0] == "dispatched"
    wrong = {"msg_signature": signature("x", now, "1", "e"), "timestamp": now, "nonce": "1", "echostr": "e"}
    assert pressed.hooks.get(f"/hooks/wecom/app?{urlencode(wrong)}").status_code == 403
