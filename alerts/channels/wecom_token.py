"""The access token of a WeCom application: fetched once, kept until shortly before it ends, renewed when refused."""

from threading import Lock
from typing import NamedTuple

import httpx
import msgspec

from alerts.channels import Outcome
from alerts.channels.transport import FAILED_REQUEST, decoded, outcome_of_failure, told
from core.clock import MINUTE, SECOND

_EARLY = 5 * MINUTE
_BUSY = (-1, 45033)
_RATE = 45009
_REFUSED = {
    40001: "the application's secret is wrong",
    40013: "the enterprise's id is wrong",
    60020: "this machine's address is not among the application's trusted IPs",
}


class _Granted(msgspec.Struct):
    errcode: int = 0
    errmsg: str = ""
    access_token: str = ""
    expires_in: int = 0


class _Held(NamedTuple):
    token: str
    until: int


class AccessToken:
    """Shared by all senders of one application; they ask for it one after the other, so that it is fetched once."""

    def __init__(self, client: httpx.Client, base_url: str, corp_id: str, secret: str) -> None:
        self._client = client
        self._endpoint = base_url + "/cgi-bin/gettoken"
        self._asked = {"corpid": corp_id, "corpsecret": secret}
        self._lock = Lock()
        self._held = _Held("", 0)

    def get(self, now: int, refused: str = "") -> str | Outcome:
        """The token at `now`, a new one if the kept one is the one that was `refused`; an outcome where there is none.

        As no message was sent, that outcome is never uncertain.
        """
        with self._lock:
            if self._held.token not in ("", refused) and now < self._held.until:
                return self._held.token
            return self._fetch(now)

    def _fetch(self, now: int) -> str | Outcome:
        self._held = _Held("", 0)
        try:
            response = self._client.get(self._endpoint, params=self._asked)
        except FAILED_REQUEST as error:
            failed = outcome_of_failure(error)
            return failed if failed.state == "failed" else _later(failed.code, "no access token: not connected")
        granted = decoded(response.content, _Granted) if response.status_code == 200 else None
        if granted is None or (granted.errcode == 0 and not granted.access_token):
            return _later(str(response.status_code), "no access token: the answer is none of the provider's")
        if granted.errcode:
            return self._refusal(granted)
        # one that ends sooner than we would renew it is still good for its first half
        lasts = granted.expires_in * SECOND
        self._held = _Held(granted.access_token, now + max(lasts - _EARLY, lasts // 2))
        return granted.access_token

    def _refusal(self, granted: _Granted) -> Outcome:
        code = str(granted.errcode)
        detail = told(granted.errmsg, self._asked.values())
        if granted.errcode in _BUSY:
            return _later(code, f"no access token: the provider is busy: {detail}")
        if granted.errcode == _RATE:
            return Outcome("retry", code, f"asked for tokens too often: {detail}", "", MINUTE, holds_address=True)
        return Outcome("failed", code, f"{_REFUSED.get(granted.errcode, 'no access token')}: {detail}")


def _later(code: str, detail: str) -> Outcome:
    return Outcome("retry", code, detail, retry_after=5 * SECOND)
