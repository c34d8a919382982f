"""Arithmetic over one device's metrics, as text that people write and as steps for a stack that kernels run."""

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

CONSTANT, LOAD, ADD, SUBTRACT, MULTIPLY, DIVIDE, LEAST, GREATEST, ABSOLUTE, NEGATE = range(10)
DEEPEST = 16
"""The most values that stand on the stack at once."""
LONGEST = 200
"""The most characters of a text, so that none is nested too deep to read."""
MOST_METRICS = 8
"""The most metrics that one expression reads."""

_OPERATORS = {ast.Add: ADD, ast.Sub: SUBTRACT, ast.Mult: MULTIPLY, ast.Div: DIVIDE}
_FUNCTIONS = {"min": LEAST, "max": GREATEST}
_PLAIN: dict[int, Callable[[float, float], float]] = {
    ADD: operator.add,
    SUBTRACT: operator.sub,
    MULTIPLY: operator.mul,
    LEAST: min,
    GREATEST: max,
}


class ExpressionError(ValueError):
    """A text that is no expression; `column` counts from 1."""

    def __init__(self, what: str, column: int) -> None:
        super().__init__(what)
        self.column = column


class Step(NamedTuple):
    """One step: `argument` is the number of CONSTANT, the metric's place of LOAD, else 0."""

    op: int
    argument: float


@dataclass(frozen=True)
class Expression:
    """An expression's metrics, in the order in which they are first named, and its steps in reverse Polish order.

    >>> heat = Expression.parse("max(temp_1, temp_2) - 0.5 * ambient")
    >>> heat.metrics
    ('temp_1', 'temp_2', 'ambient')
    >>> heat.of({"temp_1": 40.0, "temp_2": 45.0, "ambient": 30.0})
    30.0
    """

    metrics: tuple[str, ...]
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """The expression in `text`: numbers, metrics, + - * /, parentheses, min, max, abs. Raises ExpressionError."""
        if len(text) > LONGEST:
            raise ExpressionError(f"is longer than {LONGEST} characters", LONGEST + 1)
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise ExpressionError("is no arithmetic expression", error.offset or 1) from error
        metrics: dict[str, int] = {}
        steps = tuple(_steps(tree.body, metrics))
        if not metrics:
            raise ExpressionError("names no metric", 1)
        if len(metrics) > MOST_METRICS:
            raise ExpressionError(f"names {len(metrics)} metrics, at most {MOST_METRICS} can be", 1)
        if _depth(steps) > DEEPEST:
            raise ExpressionError(f"needs more than {DEEPEST} intermediate values", 1)
        return cls(tuple(metrics), steps)

    def of(self, values: Mapping[str, float]) -> float:
        """The value for these metrics; NaN where it divides by zero."""
        stack: list[float] = []
        for op, argument in self.steps:
            if op == CONSTANT:
                stack.append(argument)
            elif op == LOAD:
                stack.append(values[self.metrics[int(argument)]])
            elif op in (ABSOLUTE, NEGATE):
                top = stack.pop()
                stack.append(abs(top) if op == ABSOLUTE else -top)
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_applied(op, left, right))
        return stack.pop()


def _applied(op: int, left: float, right: float) -> float:
    if math.isnan(left) or math.isnan(right):
        return float("nan")
    if op == DIVIDE:
        return left / right if right else float("nan")
    return _PLAIN[op](left, right)


def _steps(node: ast.expr, metrics: dict[str, int]) -> Iterator[Step]:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool) and math.isfinite(number):
            yield Step(CONSTANT, float(number))
        case ast.Name():
            yield Step(LOAD, float(metrics.setdefault(node.id, len(metrics))))
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield from _steps(node.left, metrics)
            yield from _steps(node.right, metrics)
            yield Step(_OPERATORS[type(node.op)], 0.0)
        case ast.UnaryOp(op=ast.USub()):
            yield from _steps(node.operand, metrics)
            yield Step(NEGATE, 0.0)
        case ast.Call(func=ast.Name(id="abs"), args=[only], keywords=[]):
            yield from _steps(only, metrics)
            yield Step(ABSOLUTE, 0.0)
        case ast.Call(func=ast.Name(id=name), args=[first, *more], keywords=[]) if name in _FUNCTIONS and more:
            yield from _steps(first, metrics)
            for other in more:
                yield from _steps(other, metrics)
                yield Step(_FUNCTIONS[name], 0.0)
        case _:
            what = f"can't use {ast.unparse(node)!r}: only metrics, numbers, + - * /, min, max and abs"
            raise ExpressionError(what, node.col_offset + 1)


def _depth(steps: tuple[Step, ...]) -> int:
    height = deepest = 0
    for op, _ in steps:
        height += 1 if op in (CONSTANT, LOAD) else 0 if op in (ABSOLUTE, NEGATE) else -1
        deepest = max(deepest, height)
    return deepest
