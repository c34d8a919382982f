"""Why a move is refused, in both languages."""

from alerts.words import Words

REFUSALS: dict[str, Words] = {
    "unknown_action": Words("没有这个操作", "There is no such action"),
    "unknown_ticket": Words("没有这个工单", "There is no such ticket"),
    "unknown_responder": Words("没有这个团队或执法站", "There is no such team or station"),
    "not_from_here": Words("工单现在是“{status_zh}”，不能{action_zh}", "The ticket is “{status_en}” now: not possible"),
    "already_accepted": Words("{who} 已接单", "{who} has accepted it already"),
    "not_allowed": Words("您的角色不能{action_zh}", "Your role may not do this"),
    "unknown_person": Words("没有这个人员", "There is no such person"),
    "not_yours": Words(
        "该工单没有派给您、您的队伍或执法站", "This ticket was not sent to you, your team or your station"
    ),
    "needs_opinion": Words("请写明原因", "Please say why"),
    "needs_cause": Words("请选择误报原因", "Please give the cause of the false alarm"),
    "needs_arrival": Words(
        "涉及生命安全，须先到场", "It is a matter of life and safety: somebody must be on the scene first"
    ),
    "alerts_open": Words(
        "仍有未恢复的报警，只有调度员可以结案", "Alerts are still open: only a dispatcher may close it"
    ),
    "nobody_to_send": Words("没有可派的队伍或执法站，请选择", "There is nobody to send: choose a team or a station"),
    "changed_meanwhile": Words("工单刚被别人更新，请重试", "Somebody changed the ticket just now: please try again"),
}


class MoveRefused(Exception):
    """A move that is not done: `reason` is a key of REFUSALS, `text` and `text_en` say it to a person."""

    def __init__(self, reason: str, **facts: str) -> None:
        words = REFUSALS[reason]
        self.reason = reason
        self.text = words.zh.format(**facts)
        self.text_en = words.en.format(**facts)
        super().__init__(f"{reason}: {self.text_en}")
