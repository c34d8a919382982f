"""Tencent Cloud voice calls (SendTts, 2020-09-02): rings a number and reads a template; for what can't wait."""

from collections.abc import Sequence

import httpx

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.template import VOICE_VARIABLES, Template, filled, for_a_voice, international
from alerts.channels.tencent import SecretKey, Service, request
from alerts.channels.tencent_sms import REGION
from alerts.channels.transport import json_body
from alerts.measurements import Language
from core.clock import DAY, SECOND

BASE_URL = "https://vms.tencentcloudapi.com"
VERSION = "2020-09-02"
_TIMES = 2


class TencentVoice(PlainChannel):
    """Rings a number; what became of the call comes later, by the outcome's `provider_id`."""

    urgent_only = True
    gives_receipts = True
    limits = (Limit(1, 30 * SECOND), Limit(30, DAY))

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        key: SecretKey,
        app_id: str,
        template: Template,
        *,
        variables: Sequence[str] = VOICE_VARIABLES,
        region: str = REGION,
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self._client = client
        self._key = key
        self._app_id = app_id
        self._template = template
        self._variables = variables
        self._service = Service("vms", "SendTts", VERSION, region)
        self._base_url = base_url
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        told = for_a_voice(filled(notice, self._language, self._variables))
        message = {
            "TemplateId": self._template.code,
            "TemplateParamSet": list(told.values()),
            "CalledNumber": international(notice.address),
            "VoiceSdkAppid": self._app_id,
            "PlayTimes": _TIMES,
            "SessionContext": str(notice.id),
        }
        return request(self._client, self._base_url, self._key, self._service, json_body(message), notice.at)
