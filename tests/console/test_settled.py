"""What stands against a notice is told in the reader's words."""

import pytest
from sqlalchemy import update

from alerts import tables
from console.settled import answered, settled
from core.database import writing
from tests.console.console_scene import Town, Visit


@pytest.mark.parametrize(
    ("error", "zh", "en"),
    [
        (
            "refused_for_good 93000 the robot was stopped: bot disabled",
            "通道拒收：93000 机器人已停用：bot disabled",
            "refused: 93000 the robot was stopped: bot disabled",
        ),
        ("no_answer not connected", "未收到应答：未能连接", "no answer: not connected"),
        ("sender_gone lease_over", "发送进程中断：长时间无响应", "the sender stopped midway: it gave no sign for long"),
        ("not_delivered UNDELIV", "回执：未送达：UNDELIV", "its receipt says not delivered: UNDELIV"),
        ("superseded", "已由更新的通知取代", "replaced by a newer notice"),
        ("nobody knows this", "nobody knows this", "nobody knows this"),
        ("", "", ""),
    ],
)
def test_a_reason_is_told_with_what_the_provider_said(error: str, zh: str, en: str) -> None:
    assert (settled("zh", error), settled("en", error)) == (zh, en)


@pytest.mark.parametrize(("language", "shown"), [("zh", "0"), ("en", "0")])
def test_a_bare_code_stays(language: str, shown: str) -> None:
    assert answered(language, "0 ") == shown


def test_pages_show_no_codes_of_ours(town: Town, visit: Visit) -> None:
    town.alert()
    refused = {"state": "failed", "error": "refused_for_good 550 refused: no such mailbox"}
    with writing(town.engine) as connection:
        connection.execute(update(tables.notice).values(**refused))
    disp = visit("disp")
    for path in ("/channels", f"/tickets/{town.ticket()['number']}"):
        page = disp.get(path).text
        assert "通道拒收：550 被拒绝：no such mailbox" in page
        assert "refused_for_good" not in page
