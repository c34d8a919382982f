"""The kernel says what the plain reference says, for any stream."""

import dataclasses
import math
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from detectors.checks import Checks
from detectors.columns import REASONS, empty_series
from detectors.compile import Compiled, compile_rules
from detectors.hearing import Devices
from detectors.reference import Reference, Step
from ingest.words import Block
from tests.detectors.stage import START
from tests.detectors.streams import TICKS, TOWN, block_at, moves, readings
from tests.detectors.wide import RULES, WIDE, WIDE_TOWN

SICKNESS = st.one_of(
    st.tuples(st.just("sick"), st.tuples(st.integers(0, len(TOWN.device_codes) - 1), st.booleans())),
    st.tuples(
        st.just("rearm"), st.tuples(st.integers(0, len(TOWN.device) - 1), st.sampled_from([r.id for r in RULES]))
    ),
)
COMPILED = compile_rules(WIDE, WIDE_TOWN)
ACTIVE = [state == "in_service" for state in TOWN.state]
streams = moves(readings(), readings(), readings(), TICKS, TICKS, SICKNESS)


def fresh() -> tuple[Checks, Reference]:
    devices = Devices.unheard(len(TOWN.device_codes))
    active, sick = np.array(ACTIVE), np.zeros(len(ACTIVE), np.bool_)
    series = empty_series(TOWN.device)
    kernel = Checks.fresh(COMPILED, series, devices.heard, devices.heard_at, active, TOWN.silence, sick)
    return kernel, Reference(COMPILED, TOWN.device.tolist(), ACTIVE, TOWN.silence.tolist(), [False] * len(ACTIVE))


def followed(stream: list[tuple[int, tuple[str, Any]]]) -> None:
    """Feed both the same stream."""
    checks, reference = fresh()
    now = START
    for passed, (kind, what) in stream:
        now += passed * SECOND
        if kind == "sick":
            device, ill = what
            checks.arrays.sick[device], reference.sick[device] = ill, ill
        elif kind == "rearm":
            number, rule = what
            checks.rearm([number], rule)
            reference.rearm([number], rule)
        else:
            compared(checks, reference, block_at(now, what) if kind == "read" else None, now)


def step_of(emission: Any, compiled: Compiled) -> Step:
    plan = compiled.plans[compiled.plan[emission["check"]]]
    told, level, page = int(emission["told"]), int(emission["level"]), bool(emission["page"])
    times = (int(emission[name]) for name in ("onset", "at", "received_at", "age"))
    return Step(int(emission["series"]), plan.rule.id, told, level, page, REASONS[emission["reason"]], *times)


def compared(checks: Checks, reference: Reference, block: Block | None, now: int) -> set[str]:
    """Feed both the same; the reasons of the steps that they agreed on."""
    emissions = checks.tick(now) if block is None else checks.read(block, now)
    said = [step_of(emission, COMPILED) for emission in emissions]
    expected = list(reference.tick(now) if block is None else reference.read(block, now))
    assert [dataclasses.astuple(step) for step in said] == [dataclasses.astuple(step) for step in expected]
    return {step.reason for step in said}


@settings(max_examples=300, deadline=None)
@given(streams)
def test_the_kernel_agrees_with_the_reference(stream: list[tuple[int, tuple[str, Any]]]) -> None:
    followed(stream)


@settings(max_examples=100, deadline=None)
@given(moves(readings(st.floats(allow_nan=True, allow_infinity=True)), TICKS))
@example([(0, ("read", [(0, 0, 0, math.inf, 0)])), (5, ("tick", None))])
def test_the_kernel_agrees_on_any_float(stream: list[tuple[int, tuple[str, Any]]]) -> None:
    followed(stream)


def test_the_kernel_agrees_on_long_streams_that_say_everything() -> None:
    said: set[str] = set()
    for seed in range(4):
        said |= long_stream(np.random.default_rng(seed))
    assert said == set(REASONS)


def long_stream(random: np.random.Generator) -> set[str]:
    """Values that wander, with pauses and backlogs; the reasons that were said."""
    checks, reference = fresh()
    now, said, walk = START, set(), random.uniform(0, 60, len(TOWN.device))
    for step in range(900):
        ill = [bool(random.random() < 0.2)] * len(reference.sick)
        reference.sick, checks.arrays.sick[:] = ill, ill
        now += int(random.integers(1, 9)) * SECOND
        walk += (
            random.normal(0, 2 if 200 < step < 600 else 12, len(walk))
            * (random.random(len(walk)) < 0.5)
            * (step % 100 < 70)
        )
        rows = np.flatnonzero(random.random(len(walk)) < (0.1 if step % 20 > 15 else 0.8))
        quality = random.choice([0, 0, 0, 1, 4] if step % 40 < 30 else [4], len(rows))
        times = [now] * len(rows)
        said |= compared(checks, reference, Block.of(rows, times, times, np.round(walk[rows]), quality), now)
        said |= compared(checks, reference, None, now + SECOND // 2)
    return said
