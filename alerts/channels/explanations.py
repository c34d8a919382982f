"""What an outcome's detail says, in Chinese; adapters write it in English, before a colon and the provider's words."""

from itertools import takewhile

PHRASES = {
    # any channel
    "not connected": "未能连接",
    "no answer after the request was sent": "请求已发出，未收到应答",
    "the address cannot be requested": "地址无法访问",
    "too many requests": "请求过多",
    "something before the provider failed": "服务商前端故障",
    "redirected; give the final address": "地址被重定向，请填写最终地址",
    "refused": "被拒绝",
    "not taken": "对方未接收",
    "the answer carries no errcode": "应答中没有错误码",
    "the answer carries no code": "应答中没有错误码",
    "the provider is busy": "服务商繁忙",
    "too many requests at once": "并发请求过多",
    "no such kind of message": "不支持的消息类型",
    "a parameter is not allowed": "参数不合法",
    "the message is empty": "消息为空",
    "the message is too long": "消息过长",
    "the message is malformed": "消息格式有误",
    "the message is malformed or too long": "消息格式有误或过长",
    "the picture is too large": "图片过大",
    "the picture is over 2 MB": "图片超过 2 MB",
    "the upload has no number": "图片上传后没有编号",
    "there is nothing to draw": "没有可绘制的数据",
    "the worker is gone": "发送进程已退出",
    "the address is no robot's token": "地址不是机器人的令牌",
    "this machine's address is not allowed": "本机 IP 不在允许范围内",
    "the database did not answer": "数据库无应答",
    # robots
    "over the robot's rate": "超过机器人的频率限制",
    "the robot's key is wrong or the robot was removed": "机器人的 key 有误，或机器人已被移除",
    "the robot's token is wrong or the robot was removed": "机器人的令牌有误，或机器人已被移除",
    "the robot was stopped": "机器人已停用",
    "the robot is not enabled": "机器人未启用",
    "the robot is not in the group": "机器人不在群中",
    "the group was dissolved": "群已解散",
    "the robot's security settings refuse it (secret, keyword, addresses, or a clock that is off)": (
        "未通过机器人的安全设置（加签、关键词、IP，或本机时钟不准）"
    ),
    "the robot's keyword is missing in the message": "消息中缺少机器人要求的关键词",
    "the signature is refused (wrong secret, or a clock that is off by more than an hour)": (
        "签名未通过（密钥有误，或本机时钟偏差超过一小时）"
    ),
    # WeCom's application
    "over the application's rate": "超过应用的频率限制",
    "the access token was refused": "访问令牌被拒绝",
    "no access token": "未取得访问令牌",
    "the answer is none of the provider's": "应答并非来自服务商",
    "asked for tokens too often": "获取访问令牌过于频繁",
    "the application's secret is wrong": "应用的 secret 有误",
    "the enterprise's id is wrong": "企业 ID 有误",
    "the secret is not this application's": "secret 不属于该应用",
    "no such application": "应用不存在",
    "the application may not send": "应用没有发送权限",
    "no such member": "成员不存在",
    "no such member, or the application is not visible to them": "成员不存在，或不在应用的可见范围内",
    "the member has no licence for the interface": "成员没有接口许可",
    "this machine's address is not among the application's trusted IPs": "本机 IP 不在应用的可信 IP 中",
    # text messages and calls
    "over the number's limit": "超过该号码的频率限制",
    "the provider failed": "服务商故障，结果未知",
    "the answer carries no Code": "应答中没有 Code",
    "the answer names no number": "应答中没有号码的结果",
    "no such number": "号码有误",
    "too many numbers": "号码过多",
    "the account has no money left": "账户余额不足",
    "the service was stopped for want of money": "服务因欠费停用",
    "the package is used up": "套餐包已用完",
    "no such template": "模板不存在",
    "no such template, or not approved": "模板不存在或未通过审核",
    "no such signature": "短信签名不存在",
    "no such signature, or not approved": "短信签名不存在或未通过审核",
    "the template has other variables": "模板变量与设置不符",
    "a variable holds what the provider does not take": "变量中有不允许的内容",
    "a variable holds a forbidden word": "变量中有违禁词",
    "a variable is too long": "变量过长",
    "the number is on the blacklist": "号码在黑名单中",
    "the account's own limit of a day": "超过账户自设的日限额",
    "the application's own limit of a day": "超过应用自设的日限额",
    "the application's id is not this account's": "应用 ID 不属于该账户",
    "no such AccessKey": "AccessKey 不存在",
    "the AccessKey was stopped": "AccessKey 已停用",
    "the AccessKey's secret is wrong": "AccessKey 的密钥有误",
    "the AccessKey may not send": "AccessKey 没有发送权限",
    "no such SecretId": "SecretId 不存在",
    "the SecretKey is wrong": "SecretKey 有误",
    "this machine's clock is wrong": "本机时钟不准",
    # e-mail
    "not now": "邮件服务器暂不接收",
    "this is no mail address": "不是邮件地址",
    "the message cannot be written": "邮件无法生成",
    "no trusted encryption": "加密连接不可信",
    "the server offers no STARTTLS or no sign-in": "邮件服务器不支持 STARTTLS 或登录",
    "no answer after the message was sent": "邮件已发出，未收到应答",
    "the answer is no mail server's": "应答并非来自邮件服务器",
    # Apprise
    "the platform lacks its extra shouwang[notify]": "平台未安装组件 shouwang[notify]",
    "this is no Apprise URL, or of a service that is not there": "不是 Apprise 地址，或没有该服务",
    "the service's module failed": "该服务的模块出错",
    "Apprise says yes; nothing proves that it arrived": "Apprise 报告成功，无送达证明",
    "Apprise says no, and not whether the message arrived": "Apprise 报告失败，消息可能已送达",
}
"""By what an adapter writes, up to a colon."""


def explained(detail: str, language: str) -> str:
    """A detail for people: in Chinese its phrases are translated, and what the provider said stays as it is.

    >>> explained("the robot was stopped: bot disabled", "zh")
    '机器人已停用：bot disabled'
    """
    if language != "zh":
        return detail
    parts = detail.split(": ")
    known = list(takewhile(PHRASES.__contains__, parts))
    said = ": ".join(parts[len(known) :])
    return "：".join([*(PHRASES[phrase] for phrase in known), *([said] if said else [])])
