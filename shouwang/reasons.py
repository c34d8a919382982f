"""Why a server or a file can't be used, in Chinese and English: what it is, and what to do about it."""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

from shouwang.short_session import BrokerSilent


class Reason(NamedTuple):
    """What is wrong and what to do, in both languages."""

    zh: str
    en: str

    def said(self, english: bool) -> str:
        """In one of them."""
        return self.en if english else self.zh


_WRONG_NAME = Reason(
    "它的证书不是发给这个地址的：请改用证书上的名字，或用这个名字重新签发",
    "its certificate is not for this address: use a name that is on it, or have one made with this name",
)
_STRANGER = Reason(
    "不认识它的证书的签发机构：请用 ?ca=文件 指明根证书，或装进本机的信任库",
    "nobody here knows who signed its certificate: name the authority's with ?ca=FILE, or add it to what this machine "
    "trusts",
)
_OF_CERTIFICATES = {
    9: Reason(
        "它的证书还没有生效：本机的时钟慢了吗？请查时间同步，时钟没错就换证书",
        "its certificate is not valid yet: is this machine's clock behind? See to its time; else renew the certificate",
    ),
    10: Reason(
        "它的证书已过期：请换新证书并重启它（见运维文档“证书”）；本机的时钟快了也会这样",
        "its certificate has ended: renew it and start the server again (operations: certificates); a clock that is "
        "ahead looks the same",
    ),
    **dict.fromkeys((18, 19, 20, 21), _STRANGER),
    **dict.fromkeys((62, 63, 64), _WRONG_NAME),
}
"""By OpenSSL's X509_V_ERR numbers."""
_NO_TLS = Reason(
    "对方没有按 TLS 应答：端口对吗？不加密的端口请写 mqtt:// 或 http://",
    "it does not speak TLS: is the port right? One without encryption is mqtt:// or http://",
)
_BAD_AUTHORITY = Reason(
    "ca= 指的文件读不出来，或不是证书：请改正路径和权限",
    "the file that ca= names can't be read or holds no certificate: mend its path or its rights",
)
_UNNAMED = Reason("主机名解析不了：请查拼写和 DNS", "its name is not known: mend the spelling, or the DNS")
_CLOSED = Reason(
    "没有程序在听这个端口：它在运行吗？端口对吗？", "nothing listens there: does it run, is the port right?"
)
_SILENT = Reason(
    "没有应答：请查地址、防火墙，以及加密与否是否写对（mqtts / mqtt）",
    "no answer: look at address and firewall, and whether encryption is as written (mqtts or mqtt)",
)
_FULL = Reason("磁盘满了：请清理或扩盘", "the disk is full: free some, or enlarge it")
_OF_STORES = {
    "refuses the token": Reason(
        "令牌不对或权限不够：请改正 store_token（或 store 里的令牌），它要能读也能写",
        "a wrong token, or one that may not: mend store_token, or the token in `store`; it has to read and write",
    ),
    "may not make": Reason(
        "令牌不能建桶和令牌：请换一个 all-access 的令牌",
        "the token may not make buckets and tokens: give one with all access",
    ),
    "has no bucket": Reason(
        "还没有桶：请运行 shouwang store init", "its buckets are missing: run `shouwang store init`"
    ),
    "another process has": Reason(
        "另一个进程正开着读数库文件：请先停下它", "another process has its file open: stop that one first"
    ),
    "can't be opened": Reason(
        "文件打不开：请查属主、剩余空间和磁盘",
        "its file can't be opened: look at its owner, at the disk's room and health",
    ),
}
"""By a part of what the store says."""
_ILL = Reason("服务器出错：请看它的日志和磁盘", "the server fails: see its log, and its disk")


def why_away(error: BaseException) -> Reason:
    """Why nothing could be had from a server: what is at the bottom of the error.

    >>> why_away(ConnectionRefusedError()).en
    'nothing listens there: does it run, is the port right?'
    """
    for each in _causes(error):
        match each:
            case ssl.SSLCertVerificationError():
                return _OF_CERTIFICATES.get(each.verify_code, Reason(each.verify_message, each.verify_message))
            case ssl.SSLError():
                known = ("CERTIFICATE_OR_CRL", "PEM", "X509")
                return _BAD_AUTHORITY if any(sign in str(each) for sign in known) else _NO_TLS
            case socket.gaierror():
                return _UNNAMED
            case ConnectionRefusedError():
                return _CLOSED
            case TimeoutError():
                return _SILENT
            case OSError() if each.errno == errno.ENOSPC:
                return _FULL
            case FileNotFoundError() | PermissionError():
                return _BAD_AUTHORITY
            case BrokerSilent() if "refuses" in str(each):
                zh = f"消息代理拒绝（{each}）：请改正 broker 里的用户名和口令（或 broker_password）"
                return Reason(zh, f"{each}: mend the user and password in `broker`, or broker_password")
            case BrokerSilent():
                return _SILENT
    return Reason(str(error), str(error))


def why_no_store(error: Exception) -> Reason:
    """Why the readings store can't be used."""
    text = str(error)
    known = next((reason for sign, reason in _OF_STORES.items() if sign in text), None)
    return known or (_ILL if " answers 5" in text else why_away(error))


def why_no_file(error: OSError) -> Reason:
    """What to do about a file that can't be used; other errors of the system as `why_away`."""
    if error.errno == errno.ENOSPC and error.filename:
        place = error.filename2 or error.filename
        return Reason(f"{place} 所在的{_FULL.zh}", f"{place}: {_FULL.en}")
    if error.filename is None:
        return why_away(error)
    name, why = error.filename, error.strerror
    return Reason(
        f"{name} 用不了（{why}）：请查路径、属主和权限", f"{name} can't be used ({why}): look at path, owner and rights"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, each once, the last first."""
    chain: list[BaseException] = []
    found: object = error
    while isinstance(found, BaseException) and found not in chain:
        chain.append(found)
        found = getattr(found, "reason", None) or found.__cause__ or found.__context__  # `reason`: of urllib3
        if not isinstance(found, BaseException):
            found = chain[-1].__cause__ or chain[-1].__context__
    return reversed(chain)
