"""Aliyun voice calls (SingleCallByTts, 2017-05-25): rings a number and reads a template; for what can't wait."""

from collections.abc import Sequence

import httpx

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.aliyun import AccessKey, Call, request
from alerts.channels.template import VOICE_VARIABLES, Template, filled, for_a_voice
from alerts.channels.transport import json_body
from alerts.measurements import Language
from core.clock import DAY, HOUR, MINUTE

BASE_URL = "https://dyvmsapi.aliyuncs.com"
VERSION = "2017-05-25"
_TIMES = "2"


class AliyunVoice(PlainChannel):
    """Rings a number; `caller` is the number that is shown, empty for the provider's own pool.

    What became of the call comes later, as a receipt that carries the notice's id.
    """

    urgent_only = True
    gives_receipts = True
    limits = (Limit(1, MINUTE), Limit(5, HOUR), Limit(20, DAY))

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        key: AccessKey,
        template: Template,
        *,
        caller: str = "",
        variables: Sequence[str] = VOICE_VARIABLES,
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self._client = client
        self._key = key
        self._template = template
        self._caller = caller
        self._variables = variables
        self._base_url = base_url
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        told = for_a_voice(filled(notice, self._language, self._variables))
        parameters = {
            "CalledNumber": notice.address.strip(),
            "TtsCode": self._template.code,
            "TtsParam": json_body(told).decode(),
            "PlayTimes": _TIMES,
            "OutId": str(notice.id),
            **({"CalledShowNumber": self._caller} if self._caller else {}),
        }
        return request(self._client, self._base_url, self._key, Call("SingleCallByTts", VERSION, parameters), notice.at)
