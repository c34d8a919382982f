"""Random sequences of detections, quiets, releases, clock steps and kills: nothing is lost, nothing held for ever."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from alerts.holding import GRACE
from alerts.lifecycle import ENDED
from alerts.matching import Matcher, labels_of, matcher, matches
from alerts.moves import MoveRefused
from alerts.quiet_decisions import quiet_of
from alerts.quiet_limits import QuietRefused
from alerts.quiet_tables import quiet, storm
from alerts.settings import DeskSettings
from alerts.storm_decisions import StormPolicy
from alerts.tables import ticket_log
from alerts.words import PLATFORM, Row
from core.clock import DAY, HOUR, MINUTE, SECOND
from core.database import open_engine
from detectors.words import Change, Found, Severity
from tests.alerts.desk_scene import MONDAY_TEN
from tests.alerts.quieting.quiet_scene import RULES, QuietScene
from tests.servers import Postgres

SAID = [
    *(("PLANT-1", rule) for rule in ("gas.lel", "noise", "silence", "rise")),
    *((device, rule) for device in ("FAR-1", "GHOST-1") for rule in ("noise", "silence", "gas.lel")),
    *((device, "noise") for device in ("S1-1", "S2-1", "S3-1")),
    ("GW-0001", "gateway"),
    ("PLANT", "power"),
]
STEPS = (0, SECOND, 20 * SECOND, MINUTE, 6 * MINUTE, 30 * MINUTE, 2 * HOUR, 9 * HOUR, -SECOND, -10 * MINUTE, -2 * HOUR)
MATCHERS = (
    matcher("rule", "=", "noise"),
    matcher("rule", "in", "gas.lel", "rise"),
    matcher("site", "=", "PLANT"),
    matcher("site", "!=", "FAR"),
    matcher("subject", "=", "PLANT-1"),
    matcher("severity", "in", "notice", "warning"),
    matcher("gateway", "!=", "GW-0002"),
    matcher("hazard", "=", "device"),
)


class Says(NamedTuple):
    """A detection; `killed`: the first try is killed before it commits, and the journal replays it."""

    about: tuple[str, str]
    change: Change
    severity: Severity
    onset: int
    page: bool
    killed: bool


class Quiets(NamedTuple):
    """A silence, or a window at hours that come every day."""

    matchers: tuple[Matcher, ...]
    span: int
    begin: int
    life_safety: bool
    nightly: bool


What = Literal["shelve", "one_shot", "end", "release", "killed_release", "clear", "finish", "void", "false_alarm"]


class Does(NamedTuple):
    """Somebody or time itself."""

    what: What
    which: int


class Burst(NamedTuple):
    """Much at once, in one transaction: so many of these, one after the other."""

    said: tuple[tuple[str, str], ...]
    change: Change


Step = Says | Quiets | Does | Burst | int
SITES_AT_ONCE = tuple((f"S{n}-1", "noise") for n in range(1, 5))
DEAD_GATEWAY = (("GW-0001", "gateway"), ("FAR-1", "silence"), ("PLANT-1", "silence"))
DARK_SITE = (("PLANT", "power"), ("PLANT-1", "silence"), ("PLANT-1", "gas.lel"))
DOINGS: tuple[What, ...] = (
    *("shelve", "one_shot", "end", "end", "release", "killed_release", "clear", "finish", "void", "false_alarm"),
)


def sequence(random: Random, length: int) -> Iterator[Step]:
    """So many steps, each kind often enough to meet the others."""
    ways = (says_something, says_something, much_at_once, quiets_something, does_something, waits)
    for _ in range(length):
        yield random.choice(ways)(random)


def says_something(random: Random) -> Step:
    change = random.choice((Change.OPENED, Change.OPENED, Change.UPDATED, Change.CLEARED))
    severity = random.choice(list(Severity)[1:])
    return Says(
        random.choice(SAID), change, severity, random.randrange(2), random.random() < 0.8, random.random() < 0.3
    )


def much_at_once(random: Random) -> Step:
    said = random.choice((SITES_AT_ONCE, DEAD_GATEWAY, DARK_SITE, DEAD_GATEWAY[:1], DARK_SITE[:1]))
    return Burst(said, random.choice((Change.OPENED, Change.OPENED, Change.CLEARED)))


def quiets_something(random: Random) -> Step:
    span, begin = random.choice((MINUTE, HOUR, 4 * HOUR, 3 * DAY)), random.choice((0, 0, 10 * MINUTE))
    matchers = tuple(random.sample(MATCHERS, random.choice((1, 1, 2))))
    return Quiets(matchers, span, begin, random.random() < 0.5, random.random() < 0.3)


def does_something(random: Random) -> Step:
    return Does(random.choice(DOINGS), random.randrange(6))


def waits(random: Random) -> Step:
    return random.choice(STEPS)


FEW = DeskSettings(storm=StormPolicy(sites=3))


@pytest.fixture(params=["sqlite", "postgresql"])
def scenes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], QuietScene]]:
    """Makes a scene on a database of its own each time."""
    engines: list[Engine] = []

    def fresh() -> QuietScene:
        if engines:
            engines[-1].dispose()
        if request.param == "sqlite":
            path = tmp_path / f"{len(engines)}.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            engines.append(open_engine(f"sqlite:///{path}"))
        else:
            server: Postgres = request.getfixturevalue("postgres")
            name = server.create(request.getfixturevalue("postgres_template"))
            engines.append(open_engine(server.url(name)))
        return QuietScene(engines[-1], FEW)

    yield fresh
    engines[-1].dispose()


def sequences(runs: int) -> settings:
    """So many sequences; one that fails is told as it is, for a seed can't be shrunk."""
    told = (Phase.explicit, Phase.reuse, Phase.generate)
    kept = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=runs, deadline=None, phases=told, suppress_health_check=kept)


@sequences(7)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(20, 60))
def test_every_paged_alert_has_a_ticket_or_a_true_hold(
    scenes: Callable[[], QuietScene], seed: int, length: int
) -> None:
    nothing_is_lost(scenes(), seed, length)


@pytest.mark.soak
@sequences(100)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(20, 60))
def test_every_paged_alert_of_many_days(scenes: Callable[[], QuietScene], seed: int, length: int) -> None:
    nothing_is_lost(scenes(), seed, length)


def nothing_is_lost(scene: QuietScene, seed: int, length: int) -> None:
    """Looked at after each step, and at the end."""
    for step in sequence(Random(seed), length):
        done(scene, step)
        placed_or_held(scene)
        danger_is_heard(scene)
        scene.release()
        holds_are_true(scene)
    all_ends(scene)


def done(scene: QuietScene, step: Step) -> None:
    if isinstance(step, Says):
        says(scene, step)
    elif isinstance(step, Burst):
        onset = scene.clock.now()
        said = [scene.detection(subject, step.change, rule=rule, onset=onset) for subject, rule in step.said]
        scene.apply(scene.found(*said))
    elif isinstance(step, Quiets):
        quieted(scene, step)
    elif isinstance(step, Does):
        does(scene, step)
    else:
        scene.clock.advance(step)


def says(scene: QuietScene, step: Says) -> None:
    subject, rule = step.about
    onset = MONDAY_TEN + step.onset
    found = scene.found(
        scene.detection(subject, step.change, severity=step.severity, rule=rule, onset=onset, page=step.page)
    )
    if step.killed:
        before = scene.alerts
        killed(scene, found)
        assert scene.alerts == before
    scene.apply(found)
    assert scene.apply(found).replayed == 1


def killed(scene: QuietScene, found: list[Found] | None) -> None:
    """The work of a transaction that never commits."""
    with scene.engine.connect() as connection:
        transaction = connection.begin()
        if found is None:
            scene.release_in(connection)
        else:
            scene.apply_in(connection, found)
        transaction.rollback()


def quieted(scene: QuietScene, step: Quiets) -> None:
    hours: Any = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "22:00", "to": "11:00"}
    more: Any = {"kind": "window", "schedule": hours} if step.nightly else {}
    with suppress(QuietRefused):
        scene.quiet(*step.matchers, span=step.span, begin=step.begin, life_safety=step.life_safety, **more)


def does(scene: QuietScene, step: Does) -> None:
    opened = [alert["id"] for alert in scene.alerts if alert["state"] == "open"]
    try:
        if step.what in ("release", "killed_release"):
            _ = killed(scene, None) if step.what == "killed_release" else scene.release()
        elif step.what == "end" and (known := scene.rows(quiet)):
            scene.end(known[step.which % len(known)]["id"])
        elif step.what in ("shelve", "one_shot") and opened:
            once = step.what == "one_shot"
            scene.shelve(opened[step.which % len(opened)], role="leader", life_safety=True, one_shot=once)
        elif step.what == "clear" and opened:
            scene.clear(opened[step.which % len(opened)])
        elif step.what in ("finish", "void", "false_alarm") and (tickets := scene.tickets):
            ends(scene, step.what, tickets[step.which % len(tickets)]["id"])
    except (QuietRefused, MoveRefused):
        return


def ends(scene: QuietScene, what: str, number: int) -> None:
    if what == "finish":
        scene.finish(number, "DISP-1")
    else:
        scene.move(what, "DISP-1", number, opinion="because", cause="works")


def placed_or_held(scene: QuietScene) -> None:
    """Each open paged alert is held, or has a ticket that is live or that a person ended."""
    tickets = {ticket["id"]: ticket for ticket in scene.tickets}
    by_hand = {row["ticket"] for row in scene.rows(ticket_log) if row["to_status"] in ENDED and row["who"] != PLATFORM}
    for alert in scene.alerts:
        assert alert["held"] is None or (alert["state"] == "open" and alert["paged"] and alert["held_by"] is not None)
        if alert["state"] == "open" and alert["paged"] and alert["held"] is None:
            ticket = tickets[alert["ticket"]]
            assert ticket["status"] not in ENDED or ticket["id"] in by_hand
    opened = [row for row in scene.rows(storm) if row["ended_at"] is None]
    assert len({row["hazard"] for row in opened}) == len(opened)


def danger_is_heard(scene: QuietScene) -> None:
    """Whatever is a matter of life and safety and not held was told, on a ticket that says so and is no storm's."""
    told = {notice["alert"] for notice in scene.notices}
    tickets = {ticket["id"]: ticket for ticket in scene.tickets}
    for alert in scene.alerts:
        if alert["state"] == "open" and alert["paged"] and alert["life_safety"] and alert["held"] is None:
            assert alert["id"] in told
            assert tickets[alert["ticket"]]["life_safety"]
            assert tickets[alert["ticket"]]["storm"] is None


def holds_are_true(scene: QuietScene) -> None:
    """Right after a release every hold is what its quiet or its inhibiting alert says, read from the rows alone."""
    alerts = {alert["id"]: alert for alert in scene.alerts}
    quiets = {row["id"]: row for row in scene.rows(quiet)}
    for alert in alerts.values():
        if alert["held"] == "inhibited":
            assert not alert["life_safety"]
            source = alerts[alert["held_by"]]
            lingers = source["closed_at"] is not None and 0 <= scene.clock.now() - source["closed_at"] < GRACE
            assert source["state"] == "open" or lingers
        elif alert["held"]:
            true_quiet(scene, alert, quiets[alert["held_by"]])


def true_quiet(scene: QuietScene, alert: Row, row: Row) -> None:
    now = scene.clock.now()
    assert row["kind"] == alert["held"]
    assert row["ended_at"] is None
    assert row["starts_at"] <= now < row["ends_at"]
    assert row["life_safety"] or not alert["life_safety"]
    assert row["ends_at"] - row["starts_at"] <= 4 * HOUR or not alert["life_safety"]
    assert matches(quiet_of(row).matchers, labels_of(alert, scene.town, RULES.rules))
    if row["kind"] == "window":
        assert not 11 * HOUR <= (now + 8 * HOUR) % DAY < 22 * HOUR


def all_ends(scene: QuietScene) -> None:
    """When every quiet is over and whatever inhibits is gone, nothing is held."""
    sources = [
        alert["id"] for alert in scene.alerts if alert["rule"] in ("gateway", "power") and alert["state"] == "open"
    ]
    for number in sources:
        scene.clear(number)
    ends = [row["ends_at"] for row in scene.rows(quiet)]
    scene.clock.value = max([scene.clock.now() + GRACE, *ends])
    scene.release()
    assert not [alert for alert in scene.alerts if alert["held"]]
    placed_or_held(scene)
    danger_is_heard(scene)
    assert scene.release() == 0
