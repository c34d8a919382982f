"""Aliyun SMS (SendSms, 2017-05-25): 50 a rolling day for one number, signature and template; receipts come later."""

from collections.abc import Sequence

import httpx

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.aliyun import AccessKey, Call, request
from alerts.channels.template import SMS_VARIABLES, Template, filled
from alerts.channels.transport import json_body
from alerts.measurements import Language
from alerts.sms_texts import VARIABLE_CHARACTERS
from core.clock import DAY

BASE_URL = "https://dysmsapi.aliyuncs.com"
VERSION = "2017-05-25"
PER_DAY = 50


class AliyunSms(PlainChannel):
    """Sends to a number. The provider drops no repeat; its receipts carry the notice's id, which goes as OutId.

    A template's variable takes `variable_characters`, 35 as the provider has it (see VARIABLE_CHARACTERS).
    """

    one_to_one = True
    gives_receipts = True

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        key: AccessKey,
        template: Template,
        *,
        variables: Sequence[str] = SMS_VARIABLES,
        per_day: int = PER_DAY,
        variable_characters: int = VARIABLE_CHARACTERS,
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self.limits = (Limit(per_day, DAY),)
        self._client = client
        self._key = key
        self._template = template
        self._variables = variables
        self._longest = variable_characters
        self._base_url = base_url
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        told = filled(notice, self._language, self._variables, self._longest)
        parameters = {
            "PhoneNumbers": notice.address.strip(),
            "SignName": self._template.signature,
            "TemplateCode": self._template.code,
            "TemplateParam": json_body(told).decode(),
            "OutId": str(notice.id),
        }
        return request(self._client, self._base_url, self._key, Call("SendSms", VERSION, parameters), notice.at)
