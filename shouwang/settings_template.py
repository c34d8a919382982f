"""The settings file that `shouwang init` writes: what is decided first, and what else there is, in either language."""

import re
from collections.abc import Mapping
from typing import Literal

_TEMPLATE = """\
# {about}
# {effect}

state = "state"                         # {state}
broker = "embedded://127.0.0.1:1883"    # {broker}
# database = "postgresql+psycopg://shouwang@localhost/shouwang"
language = "{language}"                         # {spoken}

[console]
host = "127.0.0.1"
port = 8000
# base_url = "https://shouwang.example"  # {base_url}

[journal]
quota_gb = 8
reserve_gb = 1

# {channel}
[channels.phone]
kind = "phone"

# [channels.robot]
# kind = "wecom_robot"

# {heartbeat}
# [heartbeat]
# url = "https://…"                      # {better} SHOUWANG_HEARTBEAT__URL

# {backup}
# [backup]
# folder = "/srv/backup/shouwang"
# keep = 14

# {desk}
# [desk.deadlines.critical]
# accept = "5 min"
# [[desk.escalation.critical.accept]]    # {escalation}
# after = "2 min"
# tell = ["next_recipients"]

# [channels.district]
# kind = "webhook"
# secret = "…"                           # {better} SHOUWANG_CHANNELS__DISTRICT__SECRET
"""
_WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "about": "守望的设置。每一项也可用环境变量给：SHOUWANG_STATE、SHOUWANG_CONSOLE__PORT 等。",
        "effect": "生效的设置用 shouwang config show 查看。",
        "state": "所有文件都在这里",
        "broker": "内置的只供试用；正式运行写 mqtts://用户:口令@主机",
        "spoken": "zh 或 en",
        "base_url": "消息里的链接以它开头",
        "channel": "通道的名字，就是人员、队伍、执法站的联系方式里写的那个。",
        "heartbeat": "平台每分钟向这个外部地址报平安；它听不到就报警。",
        "better": "最好用",
        "backup": "每天定时运行 shouwang backup，并把备份抄到别的机器。",
        "desk": "指挥台的规定；不写的按默认。",
        "escalation": "特急工单无人接单时通知谁",
    },
    "en": {
        "about": "Shouwang. Every key can also be set in the environment: SHOUWANG_STATE, SHOUWANG_CONSOLE__PORT, …",
        "effect": "`shouwang config show` tells what is in effect.",
        "state": "all files live here",
        "broker": "for trying out; in service mqtts://USER:PASSWORD@HOST",
        "spoken": "zh or en",
        "base_url": "what links in messages begin with",
        "channel": "A channel's name is what the contacts of people, teams and stations refer to.",
        "heartbeat": "Where the platform says every minute that it is well; the address rings when it hears nothing.",
        "better": "better:",
        "backup": "`shouwang backup` each day, by a timer; copy them to another machine.",
        "desk": "The desk's policies; what is not written stays as it is by default.",
        "escalation": "whom to tell of a critical ticket that nobody has accepted",
    },
}


def settings_template(language: Literal["zh", "en"]) -> str:
    """The file's text.

    >>> 'language = "en"' in settings_template("en")
    True
    """
    words = {**_WORDS[language], "language": language}
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], _TEMPLATE)
