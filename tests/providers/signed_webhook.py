"""The rig of the signed webhook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from alerts.channels.signed_webhook import SignedWebhook
from alerts.channels.transport import open_client
from tests.fakes.webhook_receiver import Answer, WebhookReceiver
from tests.providers.provider import LATE_S, TIMEOUT_S, MakeRig, Rig

SECRET = b"a secret that only the receiver knows"


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with WebhookReceiver(SECRET) as gone:
        nowhere = gone.url
    with WebhookReceiver(SECRET) as receiver, open_client(TIMEOUT_S) as client:

        def will(answer: Answer) -> Callable[[], None]:
            return lambda: receiver.script.append(answer)

        yield Rig(
            channel=SignedWebhook("hook", client, "https://town.example", SECRET, deduplicates=True),
            address=receiver.url,
            held=lambda: [str(each) for each in receiver.received.values()],
            cut_off=SignedWebhook("hook", client, "https://town.example", SECRET),
            cut_off_address=nowhere,
            does={
                "over the rate": will(Answer(429, (("Retry-After", "7"),))),
                "bad key": lambda: setattr(receiver, "secret", b"another"),
                "busy": will(Answer(503)),
                "late": will(Answer(delay_s=LATE_S)),
                "refused": lambda: None,
            },
            lacks={
                "expired token": "it signs each message",
                "garbage": "the status alone is the answer",
                "dropped": "as late",
                "echo": "nothing of the answer's body is kept",
                "long": "a receiver takes any length",
            },
            secrets=(SECRET.decode(),),
        )


RIGS: dict[type, MakeRig] = {SignedWebhook: rig}
