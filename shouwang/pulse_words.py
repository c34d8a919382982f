"""What a role's pulse says, in words of an operator: what is wrong, and what to do; Chinese and English."""

from shouwang.pulse import STANDSTILLS
from shouwang.reasons import Reason

_SERVER = Reason(
    "角色本身正常，服务恢复后自行继续", "the role itself is well, and goes on by itself once that is mended"
)
_WORDS = {
    "never_started": Reason("还没有启动过", "it was never started"),
    "no_pulse": Reason(
        "{seconds} 秒没有动静，进程可能已经退出", "nothing was heard of it for {seconds} s, it may have ended"
    ),
    "journal_stands_still": Reason("没有写日志", "it writes nothing into the journal"),
    "broker_not_connected": Reason("没有连上消息代理", "it has no session at the broker"),
    "detection_not_begun": Reason("判断还没有开始", "detection has not begun"),
    "detection_behind": Reason("判断滞后一分钟以上", "detection is more than a minute behind"),
    "store_behind": Reason("入库滞后五分钟以上", "the store is more than five minutes behind"),
    "senders_stand_still": Reason("通知发送停住了：{rest}", "senders stand still: {rest}"),
    "escalation_not_audited_yet": Reason("还没有核对过下一步升级", "the next steps were not audited yet"),
    "escalation_unsure": Reason("有工单的下一步没有着落", "tickets have no next step to be counted on"),
    "console_does_not_answer": Reason("控制台没有应答", "the console does not answer"),
    "console_answers": Reason(
        "控制台答复 {rest}：它用不了数据库", "the console answers {rest}: it can't use the database"
    ),
    "database_does_not_answer": Reason("数据库没有应答", "the database does not answer"),
}
_OF_SERVERS = ("broker_not_connected", "database_does_not_answer", "console_answers", "store_behind")
"""Where something else is to be mended than the role."""


def words_of_pulse(role: str, why: str) -> Reason:
    """The words for a role's reason, as `why_unwell` names it, and what to do.

    >>> words_of_pulse("ingest", "broker_not_connected").en
    'it has no session at the broker; the role itself is well, and goes on by itself once that is mended'
    """
    known = next((name for name in _WORDS if why.startswith(name)), None)
    if known is None:
        said = Reason(why, why)
    else:
        rest = why.removeprefix(known).strip(":_ ")
        values = {"rest": rest, "seconds": rest.removeprefix("for_").removesuffix("_s")}
        said = Reason(*(text.format_map(values) for text in _WORDS[known]))
    return Reason(*(f"{text}{end}" for text, end in zip(said, _to_do(role, why), strict=True)))


def _to_do(role: str, why: str) -> tuple[str, str]:
    if why.startswith(_OF_SERVERS):
        return f"；{_SERVER.zh}", f"; {_SERVER.en}"
    if why.startswith((*STANDSTILLS, "no_pulse", "never_started")):
        return (
            f"：请看它的日志，再启动它（systemctl restart shouwang@{role}，或 docker compose restart {role}）",
            f": see its log, start it again (systemctl restart shouwang@{role}, or docker compose restart {role})",
        )
    return "：请看它的日志", ": see its log"
