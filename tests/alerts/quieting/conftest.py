"""The scene of quieting on both databases."""

import pytest
from sqlalchemy import Engine

from tests.alerts.quieting.quiet_scene import QuietScene


@pytest.fixture
def quiets(engine: Engine) -> QuietScene:
    return QuietScene(engine)
