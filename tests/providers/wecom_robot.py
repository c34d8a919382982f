"""The rig of WeCom's group robot, whose strict server also runs as its own process: tests/fakes/wecom_robot.py."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from alerts.channels import Limit
from alerts.channels.transport import open_client
from alerts.channels.wecom_robot import WecomRobot as Channel
from core.clock import MINUTE
from tests.fakes.wecom_robot import Answer
from tests.fakes.wecom_robot import WecomRobot as Robot
from tests.providers.provider import LATE_S, TIMEOUT_S, MakeRig, Rig

KEY = "2f1c7d54-8b6e-4a9d-b3c2-1e0f9d8c7b6a"


@contextmanager
def rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    with Robot() as gone:
        nowhere = gone.url
    with Robot(keys=[KEY]) as robot, open_client(TIMEOUT_S) as client:

        def will(answer: Answer) -> Callable[[], None]:
            return lambda: robot.script.append(answer)

        yield Rig(
            channel=Channel("robot", client, "https://town.example", robot.url),
            address=KEY,
            held=lambda: [each["content"] or each["msgtype"] for each in robot.messages],
            cut_off=Channel("robot", client, "https://town.example", nowhere),
            does={
                "over the rate": lambda: setattr(robot, "limit", 0),
                "bad key": lambda: setattr(robot, "keys", frozenset(["another"])),
                "busy": will(Answer(b'{"errcode":-1,"errmsg":"system busy"}')),
                "garbage": will(Answer(b"<html>\xff ok</html>")),
                "late": will(Answer(delay_s=LATE_S)),
                "dropped": will(Answer(drop=True)),
                "echo": will(Answer(f'{{"errcode":40058,"errmsg":"{KEY} is no key"}}'.encode())),
                "refused": lambda: None,
                "long": lambda: None,
            },
            lacks={"expired token": "a robot's key does not end"},
            secrets=(KEY,),
            allows=(Limit(20, MINUTE),),
        )


RIGS: dict[type, MakeRig] = {Channel: rig}
