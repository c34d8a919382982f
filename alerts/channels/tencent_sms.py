"""Tencent Cloud SMS (SendSms, 2021-01-11): each number has a Code of its own; receipts come later."""

from collections.abc import Sequence

import httpx

from alerts.channels import Limit, Outcome, OutgoingNotice, PlainChannel
from alerts.channels.template import SMS_VARIABLES, Template, filled, international
from alerts.channels.tencent import SecretKey, Service, request
from alerts.channels.transport import json_body
from alerts.measurements import Language
from alerts.sms_texts import VARIABLE_CHARACTERS
from core.clock import DAY, SECOND

BASE_URL = "https://sms.tencentcloudapi.com"
VERSION = "2021-01-11"
REGION = "ap-guangzhou"
PER_DAY = 10


class TencentSms(PlainChannel):
    """Sends to a number; without a country it is mainland China's.

    A number takes one message in 30 s and ten a day unless the account's own settings at the provider say more:
    `per_day` then says how many. The provider drops no repeat. Receipts carry the outcome's `provider_id`.

    A template's variable takes `variable_characters`. The provider publishes 6 for what is no verification code
    (cloud.tencent.com/document/product/382/13301, 短信正文模板中每个变量是否有字数限制), into which neither a ticket's
    number nor a link fits: the account needs more agreed, and this says how many.
    """

    one_to_one = True
    gives_receipts = True

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        key: SecretKey,
        app_id: str,
        template: Template,
        *,
        variables: Sequence[str] = SMS_VARIABLES,
        per_day: int = PER_DAY,
        variable_characters: int = VARIABLE_CHARACTERS,
        region: str = REGION,
        base_url: str = BASE_URL,
        language: Language = "zh",
    ) -> None:
        self.name = name
        self.limits = (Limit(1, 30 * SECOND), Limit(per_day, DAY))
        self._client = client
        self._key = key
        self._app_id = app_id
        self._template = template
        self._variables = variables
        self._longest = variable_characters
        self._service = Service("sms", "SendSms", VERSION, region)
        self._base_url = base_url
        self._language: Language = language

    def send(self, notice: OutgoingNotice) -> Outcome:
        message = {
            "PhoneNumberSet": [international(notice.address)],
            "SmsSdkAppId": self._app_id,
            "SignName": self._template.signature,
            "TemplateId": self._template.code,
            "TemplateParamSet": list(filled(notice, self._language, self._variables, self._longest).values()),
            "SessionContext": str(notice.id),
        }
        return request(self._client, self._base_url, self._key, self._service, json_body(message), notice.at)
