"""Texts of notices in Chinese and English, within the byte limits of each channel."""

from urllib.parse import quote

from alerts.channels import OutgoingNotice
from alerts.facts import Facts
from alerts.measurements import Language, Measurement, figure, span_text
from alerts.words import UNNAMED, Words
from core.clock import local

_SEVERITIES = {
    1: Words("提示", "NOTICE"),
    2: Words("预警", "WARNING"),
    3: Words("报警", "ALARM"),
    4: Words("紧急", "CRITICAL"),
}
_HAZARDS = {
    "gas": Words("可燃气体", "Combustible gas"),
    "toxic": Words("有毒气体或缺氧", "Toxic gas or lack of oxygen"),
    "smoke": Words("烟雾火警", "Smoke or fire"),
    "electrical": Words("电气火灾隐患", "Electrical fire hazard"),
    "ebike": Words("电动自行车棚", "E-bike shed"),
    "lift": Words("电梯", "Lift"),
    "fire_water": Words("消防供水", "Fire water supply"),
    "warehouse": Words("仓储环境", "Warehouse climate"),
    "flood": Words("道路积水", "Road flooding"),
    "canal": Words("河道水位", "Canal level"),
    "manhole": Words("井盖异常", "Manhole cover"),
    "structure": Words("建筑或杆体倾斜", "Leaning structure"),
    "noise": Words("噪声超标", "Noise"),
    "dust": Words("扬尘超标", "Dust"),
    "fume": Words("餐饮油烟", "Cooking fume"),
    "emission": Words("排放超标", "Emission above the permit"),
    "overload": Words("车辆超限", "Overloaded vehicle"),
    "traffic": Words("交通拥堵", "Congestion"),
    "device": Words("设备故障", "Device fault"),
    "platform": Words("平台故障", "Platform fault"),
}
_SAFETY = {
    "gas": Words("勿单独进入，勿开关电器，禁明火", "Never go in alone; no switches, no open flame"),
    "toxic": Words(
        "勿单独进入，须佩戴正压式空气呼吸器，先通风检测",
        "Never go in alone; breathing apparatus on; ventilate and test first",
    ),
    "smoke": Words("先疏散人员，拨打119，勿乘电梯", "Evacuate first, call 119, no lifts"),
    "electrical": Words("勿触碰设备，先断电", "Do not touch; cut the power first"),
    "ebike": Words("先断电，大量水降温，勿吸入烟气", "Cut the power, cool with much water, do not breathe the smoke"),
    "lift": Words("安抚乘客，勿扒门，通知维保单位", "Calm the people inside; never force the doors; call maintenance"),
    "flood": Words("勿涉水，先设警示", "Do not wade; put up warnings first"),
    "canal": Words("勿靠近岸边，穿救生衣", "Keep off the bank; life jacket on"),
    "manhole": Words("先设围挡，勿靠近井口", "Fence it off first; keep clear of the shaft"),
    "structure": Words("撤离倾倒范围，先拉警戒", "Clear everybody from where it may fall; tape it off first"),
}
_CAUSES = {
    "raised": Words("等级上升", "Severity raised"),
    "joined": Words("同一工单新增报警", "Another alert on this ticket"),
    "reopened": Words("再次报警", "Alert again"),
    "uncertain": Words("前一通知未确认送达", "The notice before may not have arrived"),
    "overdue": Words("已超时", "Overdue"),
    "recovered": Words("已恢复", "Recovered"),
    "returned": Words("已退回", "Returned"),
    "rework": Words("返工", "Rework"),
    "sent_back": Words("处置后再次报警", "Alert after it was handled"),
    "unassigned": Words("无人可派，请调度", "Nobody to send: dispatcher to decide"),
}
_SAID = {
    "plate": Words("车牌", "Plate"),
    "axles": Words("轴数", "Axles"),
    "speed_km_h": Words("车速 km/h", "Speed km/h"),
    "lane": Words("车道", "Lane"),
}
_REPEATED = Words("可能重复", "may be a repeat")
_TITLE_BYTES = 180
_NAME_BYTES = 60


def shorten_bytes(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, cut between characters and ended with … where it was cut.

    >>> shorten_bytes("可燃气体", 9)
    '可燃…'
    """
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    mark = "…" if limit >= 3 else ""
    return raw[: max(0, limit - len(mark.encode()))].decode(errors="ignore") + mark


def fit(head: str, middle: str, tail: str, limit: int) -> str:
    """Three parts, a line each, in at most `limit` bytes: the middle gives way first, then the head, never the tail.

    The tail carries the ticket's number and link and must itself be within the limit.

    >>> fit("head", "a long middle", "20261123-0007", 27)
    'head\\na lon…\\n20261123-0007'
    """
    room = limit - len(tail.encode(errors="replace"))
    head = shorten_bytes(head, max(0, room - 1))
    middle = shorten_bytes(middle, max(0, room - len(head.encode()) - 2))
    return "\n".join(part for part in (head, middle, tail.encode(errors="replace").decode()) if part)


def headline(notice: OutgoingNotice, language: Language) -> str:
    """The one line that must be read: severity, hazard, value and limit, what is new, whether it may be a repeat.

    【紧急】可燃气体泄漏 52 %LEL（限值 25）
    """
    facts = notice.facts
    title = _pick(_SEVERITIES.get(facts.severity, Words("通知", "INFO")), language)
    hazard = facts.title_zh if language == "zh" else facts.title_en
    hazard = hazard or _pick(_HAZARDS.get(facts.hazard, UNNAMED), language)
    notes = [_pick(_CAUSES[facts.cause], language)] if facts.cause in _CAUSES else []
    notes += [_pick(_REPEATED, language)] if notice.repeated else []
    line = (
        f"【{title}】{hazard}{measurement(facts, language)}"
        if language == "zh"
        else (f"[{title}] {hazard}{measurement(facts, language)}")
    )
    opened, closed = ("〔", "〕") if language == "zh" else (" (", ")")
    return shorten_bytes("".join([line, *(f"{opened}{note}{closed}" for note in notes)]), _TITLE_BYTES)


def measurement(facts: Facts, language: Language) -> str:
    """Value, unit and limit, with a space before; empty where the hazard is not measured in a unit."""
    found = Measurement(facts.measured, facts.value, facts.limit, facts.unit, facts.within, facts.times)
    text = found.text(language)
    if not text or not found.limit_text:
        return f" {text}" if text else ""
    return f" {text}（限值 {found.limit_text}）" if language == "zh" else f" {text} (limit {found.limit_text})"


def details(facts: Facts, language: Language) -> list[str]:
    """The lines below the headline, the most needed first: place, what to bring and beware of, time, contact."""
    chinese = language == "zh"
    colon = "：" if chinese else ": "
    lines = {
        "地点" if chinese else "Place": _place(facts, language),
        "须知" if chinese else "Do": _advice(facts, language),
        "发生" if chinese else "Since": _since(facts, language),
        "设备" if chinese else "Device": facts.device or _devices(facts, language),
        "详情" if chinese else "Details": said(facts, language),
        "联系" if chinese else "Contact": " ".join(part for part in (facts.contact, facts.phone) if part),
    }
    return [f"{label}{colon}{text}" for label, text in lines.items() if text]


def said(facts: Facts, language: Language) -> str:
    """What an event brought besides its value, such as a lorry's plate and axles."""
    told = {name: value for name, value in facts.said.items() if name in _SAID and value not in (None, "")}
    texts = {name: figure(value) if isinstance(value, int | float) else value for name, value in told.items()}
    return ("，" if language == "zh" else ", ").join(
        f"{_pick(_SAID[name], language)} {text}" for name, text in texts.items() if text
    )


def navigation_url(facts: Facts) -> str:
    """A map link that takes the WGS84 position as it is; empty without one."""
    if facts.lng is None or facts.lat is None:
        return ""
    name = quote(shorten_bytes(facts.place_zh or facts.number, _NAME_BYTES))
    return f"https://uri.amap.com/marker?position={facts.lng:.6f},{facts.lat:.6f}&name={name}&coordinate=wgs84"


def phone_text(notice: OutgoingNotice, language: Language) -> str:
    """The whole message for one person's own phone; the personal link travels beside it."""
    chinese = language == "zh"
    place = navigation_url(notice.facts)
    lines = [headline(notice, language), *details(notice.facts, language), reference(notice, language)]
    lines += [("导航：" if chinese else "Navigate: ") + place] if place else []
    return "\n".join(lines)


def robot_markdown(notice: OutgoingNotice, url: str, language: Language, limit: int) -> str:
    """A group robot's markdown within `limit` bytes; `url` must ask for sign-in, since anyone may forward it."""
    label = "打开工单（需登录）" if language == "zh" else "Open the ticket (sign-in)"
    head = f'<font color="warning">**{_unmarked(headline(notice, language))}**</font>'
    middle = "\n".join(f"> {_unmarked(line)}" for line in details(notice.facts, language))
    return fit(head, middle, f"{reference(notice, language)}\n[{label}]({url})", limit)


def robot_text(notice: OutgoingNotice, url: str, language: Language, limit: int) -> str:
    """A group robot's plain text within `limit` bytes; the kind that can mention people."""
    middle = "\n".join(details(notice.facts, language))
    return fit(headline(notice, language), middle, f"{reference(notice, language)}\n{url}", limit)


def reference(notice: OutgoingNotice, language: Language) -> str:
    """Ticket and notice number, by which a message can be told from its repeat."""
    if language == "zh":
        return f"工单 {notice.facts.number} · 通知 {notice.id}"
    return f"Ticket {notice.facts.number}, notice {notice.id}"


def _pick(words: Words, language: Language) -> str:
    return words.zh if language == "zh" else words.en


def _advice(facts: Facts, language: Language) -> str:
    from_rule = facts.advice_zh if language == "zh" else facts.advice_en
    return from_rule or _pick(_SAFETY.get(facts.hazard, Words("", "")), language)


def _place(facts: Facts, language: Language) -> str:
    place, area = (facts.place_zh, facts.area_zh) if language == "zh" else (facts.place_en, facts.area_en)
    address = facts.address if facts.address != place else ""
    named = " ".join(part for part in (place, address) if part)
    if not area:
        return named
    return f"{named}（{area}）" if language == "zh" else f"{named} ({area})".lstrip()


def _since(facts: Facts, language: Language) -> str:
    if facts.onset is None:
        return ""
    text = local(facts.onset).strftime("%m-%d %H:%M:%S")
    if not facts.age:
        return text
    age = span_text(facts.age, language)
    return text + (f"（数据迟到 {age}）" if language == "zh" else f" (data {age} old)")


def _devices(facts: Facts, language: Language) -> str:
    """The devices that a finding about a site is made of, and how many more there are."""
    named = ("、" if language == "zh" else ", ").join(facts.devices)
    if facts.members <= len(facts.devices):
        return named
    return f"{named} 等 {facts.members} 台" if language == "zh" else f"{named}, {facts.members} in all"


def _unmarked(text: str) -> str:
    """Signs that markdown would take as its own, as their full-width twins."""
    return text.translate(str.maketrans("<>[]*`", "＜＞［］＊｀"))
