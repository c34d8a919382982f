"""Why a move is refused, in both languages."""

from alerts.words import Words

REFUSALS: dict[str, Words] = {
    "unknown_action": Words("没有这个操作", "There is no such action"),
    "unknown_ticket": Words("没有这个工单", "There is no such ticket"),
    "unknown_responder": Words("没有这个团队或执法站", "There is no such team or station"),
    "not_from_here": Words(
        "工单现在是“{status_zh}”，不能{action_zh}", "The ticket is “{status_en}” now: “{action_en}” is not possible"
    ),
    "already_accepted": Words("{who} 已接单", "{who} has accepted it already"),
    "not_allowed": Words("您的角色不能{action_zh}", "Your role may not do this: {action_en}"),
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
    "needs_until": Words("请写明截止时间", "Please say until when"),
    "needs_into": Words("请选择要并入的工单", "Please choose the ticket to merge it into"),
    "nothing_asked": Words("没有待答复的申请或督办", "Nothing waits for an answer"),
    "asked_already": Words("已有申请待审批", "It has been asked for already and waits for an answer"),
    "overdue_already": Words("已超时，不能延期", "It is overdue already: it can't be extended"),
    "extended_enough": Words("已延期两次，不能再延", "It was extended twice already: not again"),
    "until_out_of_range": Words(
        "挂账截止时间须在 {days} 天以内且晚于现在", "A suspension must end later than now, within {days} days"
    ),
    "danger_stands": Words(
        "仍有涉及生命安全的报警未恢复，不能挂账", "An alert of life and safety is still open: it can't be suspended"
    ),
    "reply_in_the_past": Words("回复期限须晚于现在", "The answer must be wanted later than now"),
    "merge_into_itself": Words("不能并入自身", "A ticket can't be merged into itself"),
    "target_ended": Words("要并入的工单已结束", "The ticket to merge it into is over"),
    "storm_takes_in": Words("群发事件工单不并入其他工单，可将其他工单并入它", "A storm's incident takes others in"),
    "drill_stays_apart": Words("演练工单与真实工单不能合并", "A drill's ticket and a real one stay apart"),
    "life_safety_stays_apart": Words(
        "涉及生命安全的工单不并入事件工单", "A ticket of life and safety is not merged into a storm's"
    ),
    "unknown_category": Words("没有“{code}”这个类别", "There is no category {code}"),
    "unknown_class": Words("没有“{code}”这个大小类代码", "There is no class code {code}"),
    "unknown_hazard": Words("没有“{code}”这类隐患，只能是：{known}", "There is no hazard {code}: it is one of {known}"),
    "bad_class_code": Words("代码应形如 C01、E01-04", "A class code looks like C01 or E01-04"),
    "needs_names": Words(
        "请写明中英文名称（类别不超过 24 字）", "Please give both names (a category's up to 24 characters)"
    ),
    "unknown_acceptance": Words("接单方式只能是先接或双接", "Acceptance is by the first or by both"),
    "unknown_source": Words("没有这个来源", "There is no such source"),
    "unknown_site": Words("没有这个点位", "There is no such site"),
    "unknown_severity": Words("没有这个等级", "There is no such severity"),
    "needs_title": Words("请写明标题", "Please give a title"),
    "bad_position": Words("经纬度不对或不在中国", "The position is wrong or not in China"),
    "bad_component": Words("部件标识码须为 16 位数字", "A component code has 16 digits"),
    "needs_number": Words("外部工单须有系统名和编号", "A ticket from outside needs its system and its number"),
    "no_picture": Words("不是 JPEG、PNG 或 WebP 图片，或已损坏", "It is no JPEG, PNG or WebP picture, or it is broken"),
    "too_large": Words("图片超过 {limit} MB", "The picture is larger than {limit} MB"),
    "too_many": Words("每单最多 {limit} 张照片", "A ticket has at most {limit} photos"),
    "ticket_over": Words("工单已结束", "The ticket is over"),
    "no_pillow": Words(
        "平台未安装图片组件（shouwang[reports]）", "The platform lacks its picture extra (shouwang[reports])"
    ),
    "drill_is_only_answered": Words("这是演练：只需接单确认", "This is a drill: it is only to be accepted"),
    "needs_name": Words("请写名称，最多 {most} 字", "Please give a name of at most {most} characters"),
    "bad_schedule": Words("星期须为 1 至 7，时间如 10:00", "Days are 1 to 7, a time is such as 10:00"),
    "bad_window": Words("应答时限须为 1 分钟至 24 小时", "The time for answers is 1 minute to 24 hours"),
    "no_such_group": Words("没有这个团队或执法站：{code}", "There is no such team or station: {code}"),
    "no_such_drill": Words("没有这个演练", "There is no such drill"),
    "no_such_run": Words("没有这次演练", "There is no such run of a drill"),
    "under_way": Words("该演练正在进行", "This drill is under way"),
    "nobody_to_call": Words("没有可联系的人", "There is nobody who can be reached"),
    "no_person_behind": Words(
        "您的账号没有对应的人员，没有可测试的联系方式", "No person belongs to your account: it has no contact to test"
    ),
    "no_such_contact": Words("您没有“{channel}”这个通道的联系方式", "You have no contact on the channel {channel}"),
    "tested_just_now": Words("测试过于频繁，请 {seconds} 秒后再试", "Tested too often: again in {seconds} s"),
    "changed_meanwhile": Words("工单刚被别人更新，请重试", "Somebody changed the ticket just now: please try again"),
}


class Refusal(Exception):
    """Something that is not done: `reason` is a key of REFUSALS, `text` and `text_en` say it to a person."""

    def __init__(self, reason: str, **facts: str) -> None:
        words = REFUSALS[reason]
        self.reason = reason
        self.text = words.zh.format(**facts)
        self.text_en = words.en.format(**facts)
        super().__init__(f"{reason}: {self.text_en}")


class MoveRefused(Refusal):
    """A move that is not done."""


class ReportRefused(Refusal):
    """A report by hand of which no ticket is made."""


class PhotoRefused(Refusal):
    """A photo that is not kept."""


class DrillRefused(Refusal):
    """A drill that is not held."""


class EditRefused(Refusal):
    """A category or class code that is not changed."""
