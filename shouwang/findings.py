"""A finding of the doctor: how something stands, where, and what to do, in Chinese and English."""

from enum import Enum
from typing import NamedTuple


class Standing(Enum):
    """How a finding stands."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BROKEN = "broken"


class Finding(NamedTuple):
    """One thing that was looked at; `zh` is empty where `text` is a name or a figure that both languages share."""

    what: str
    standing: Standing
    text: str
    zh: str = ""

    def said(self, language: str) -> tuple[str, str, str]:
        """How it stands, what it is, and its text, in the language.

        >>> Finding("channel robot", Standing.GOOD, "wecom_robot").said("zh")
        ('正常', '通道 robot', 'wecom_robot')
        """
        if language == "en":
            return self.standing.value, self.what, self.text
        kind, _, name = self.what.partition(" ")
        what = _WHAT.get(self.what) or f"{_KINDS.get(kind, kind)} {name}".strip()
        return _STANDINGS[self.standing], what, self.zh or self.text


_STANDINGS = {Standing.GOOD: "正常", Standing.DOUBTFUL: "注意", Standing.BROKEN: "故障"}
_KINDS = {"certificate": "证书", "channel": "通道", "gateway": "网关", "mail": "邮件", "role": "进程"}
_WHAT = {
    "accounts": "账号",
    "backup": "备份",
    "broker": "消息代理",
    "channels": "通道",
    "clock": "时钟",
    "console": "控制台",
    "database": "数据库",
    "device types": "设备类型",
    "disk": "磁盘",
    "escalation": "升级",
    "grafana": "Grafana",
    "grafana role": "Grafana 只读角色",
    "heartbeat": "心跳",
    "journal": "日志",
    "outside": "外部平台",
    "people": "人员",
    "pictures": "曲线图",
    "platform": "平台",
    "reports": "报告",
    "restore": "恢复",
    "rosters": "排班",
    "routes": "路程",
    "rules": "规则",
    "senders": "通知发送",
    "calendar": "日历",
    "settings": "设置文件",
    "state folder": "状态目录",
    "store": "读数库",
    "town": "乡镇数据",
}
