"""The desk's scene on both databases."""

import pytest
from sqlalchemy import Engine

from tests.alerts.desk_scene import Scene


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene(engine)
