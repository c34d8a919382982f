"""The rig of Apprise: its JSON service to a strict server that wants a path and gives no reason."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from alerts.channels.apprise_url import AppriseUrl
from tests.providers.provider import LATE_S, Answer, MakeRig, Provider, Request, Rig, gone

SECRET = "a-path-that-opens-the-service"


class Service(Provider):
    """Takes what comes to its secret path."""

    secret = SECRET

    def judge(self, request: Request) -> Answer:
        message = request.json()
        if request.path.strip("/") != self.secret or not isinstance(message, dict):
            return Answer(b"", 404)
        if not {"title", "message", "type"} <= set(message) or len(message["message"].encode()) > 4096:
            return Answer(json.dumps({"error": "bad"}).encode(), 400)
        self.held.append(f"{message['title']}\n{message['message']}")
        return Answer(b"", 200)


def address(url: str) -> str:
    """The Apprise URL of a server."""
    return f"json://{url.removeprefix('http://')}/{SECRET}?cto=0.5&rto=0.5"


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with Service() as provider:
        yield Rig(
            channel=AppriseUrl("tail", "https://town.example"),
            address=address(provider.url),
            held=lambda: provider.held,
            cut_off=AppriseUrl("tail", "https://town.example"),
            cut_off_address=address(gone(Service)),
            does={
                "late": lambda: provider.script.append(Answer(delay_s=LATE_S)),
                "dropped": lambda: provider.script.append(Answer(drop=True)),
                "long": lambda: None,
            },
            lacks={
                "over the rate": "a no says nothing of why",
                "bad key": "a no says nothing of why",
                "expired token": "a no says nothing of why",
                "busy": "a no says nothing of why",
                "garbage": "the status alone decides with this service",
                "echo": "nothing of an answer is kept",
                "refused": "a no says nothing of whether it was sent",
            },
            secrets=(SECRET,),
        )


RIGS: dict[type, MakeRig] = {AppriseUrl: rig}
