"""Every panel of every dashboard asks real servers that a town has lived in, and is answered what its type can show."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text

from core.clock import MILLISECOND
from core.database import writing
from grafana.role import make_role
from grafana.views import READER
from tests.grafana.asking import Servers
from tests.grafana.filling import Choice, Range, span_ms
from tests.grafana.lived_town import LivedTown, lived_town
from tests.grafana.shipped import SHIPPED, panels, shipped
from tests.grafana.showing import problems
from tests.influx_server import InfluxOne
from tests.servers import Postgres

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lived(postgres: Postgres, influx_one: InfluxOne, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivedTown]:
    """A town that lived for two minutes."""
    name = postgres.create()
    with lived_town(tmp_path_factory.mktemp("town"), postgres.url(name), influx_one.address("town")) as town:
        yield town


@pytest.fixture(scope="module")
def servers(lived: LivedTown) -> Iterator[Servers]:
    """Both data sources as Grafana has them: PostgreSQL signed in to as the reader."""
    with writing(lived.engine) as connection:
        assert not make_role(connection, "a password of the test")
    reader = create_engine(lived.engine.url.set(username=READER))
    with httpx.Client(timeout=20) as influx:
        yield Servers(reader, lived.readings, influx)
    reader.dispose()


def test_every_panel_is_answered_what_it_can_show(lived: LivedTown, servers: Servers) -> None:
    """In one test, since several would each live the two minutes where tests run side by side."""
    busy = _busy_site(lived.engine)
    wrong = []
    for language, name in SHIPPED:
        board = shipped(language, name)
        everything = _chosen(servers, board, lived, {"site": busy})
        few = {each: Choice(choice.values[:2], choice.multi) for each, choice in _listed(servers, board, lived).items()}
        for panel in panels(board):
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    continue
                where = f"{language}/{name}, {panel['title']}, {target['refId']}"
                try:
                    for choices in _repeated(panel, everything):
                        found = servers.ask(target, choices, _range(board, panel, lived), panel.get("interval", ""))
                        wrong += [f"{where}: {problem}" for problem in problems(panel, target, found)]
                    for choices in _repeated(panel, few):
                        servers.ask(target, choices, _range(board, panel, lived), panel.get("interval", ""))
                except (ValueError, TypeError) as error:
                    wrong.append(f"{where}: {error}")
        wrong += [f"{language}/{name}, {problem}" for problem in _unannotated(servers, board, everything, lived)]
    assert not wrong, "\n".join(wrong)


def _unannotated(
    servers: Servers, board: Mapping[str, Any], choices: Mapping[str, Choice], lived: LivedTown
) -> Iterator[str]:
    """What of the annotations can't be drawn: Grafana finds time, timeend, text and tags by these names."""
    for asked in board.get("annotations", {}).get("list", ()):
        [frame] = servers.ask(asked["target"], choices, _range(board, {}, lived))
        kinds = {name: frame.kind(name) for name in frame.fields}
        wanted = {"time": "time", "timeend": "time", "text": "string", "tags": "string"}
        if not frame.rows or kinds != {name: wanted[name] for name in kinds} or not {"time", "text"} <= kinds.keys():
            yield f"{asked['name']}: {frame.rows} rows of {kinds}"


def _busy_site(engine: Engine) -> str:
    """The enterprise where gas leaked."""
    with engine.connect() as connection:
        return str(connection.scalar(text("SELECT site FROM alert WHERE rule = 'gas.leak'")))


def _listed(servers: Servers, board: Mapping[str, Any], lived: LivedTown) -> dict[str, Choice]:
    """Each variable with all the values that its query lists, those before it narrowing it to all."""
    return _filled(servers, board, lived, {})[1]


def _chosen(servers: Servers, board: Mapping[str, Any], lived: LivedTown, single: dict[str, str]) -> dict[str, Choice]:
    """Each variable with "all" chosen, or `single`'s value where only one can be."""
    return _filled(servers, board, lived, single)[0]


def _filled(
    servers: Servers, board: Mapping[str, Any], lived: LivedTown, single: dict[str, str]
) -> tuple[dict[str, Choice], dict[str, Choice]]:
    chosen: dict[str, Choice] = {}
    listed: dict[str, Choice] = {}
    for variable in board.get("templating", {}).get("list", ()):
        name = variable["name"]
        target = {"datasource": variable["datasource"], "rawSql": variable["query"]}
        [frame] = servers.ask(target, chosen, Range(lived.start, lived.end))
        assert list(frame.fields) == ["__value", "__text"], name
        assert frame.rows, name
        assert frame.named("string") == ["__value", "__text"], name
        values = [str(value) for value in frame.fields["__value"]]
        assert len(set(values)) == len(values), name
        listed[name] = Choice(values, variable["multi"])
        if not variable["multi"]:
            chosen[name] = Choice([single.get(name, values[0])], multi=False)
            listed[name] = chosen[name]
        else:
            chosen[name] = Choice(values, everything=variable.get("allValue") or None)
    return chosen, listed


def _repeated(panel: Mapping[str, Any], choices: Mapping[str, Choice]) -> Iterator[Mapping[str, Choice]]:
    """The choices of each panel that a repeated one becomes."""
    if "repeat" not in panel:
        yield choices
        return
    name = panel["repeat"]
    for value in choices[name].values:
        yield {**choices, name: Choice([value], multi=False)}


def _range(board: Mapping[str, Any], panel: Mapping[str, Any], lived: LivedTown) -> Range:
    """The dashboard's own time range, or the panel's."""
    back = panel.get("timeFrom") or board["time"]["from"].removeprefix("now-")
    return Range(lived.end - span_ms(back) * MILLISECOND, lived.end)
