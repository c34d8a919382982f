"""Numba with types kept: `compiled` is `njit(nogil, cache)` that also works where no cache can be written."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")


def compiled(function: Callable[_Parameters, _Answer]) -> Callable[_Parameters, _Answer]:
    """`function` as machine code, compiled at its first call and kept beside the source or in the user's cache.

    >>> @compiled
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(21)
    42
    """
    try:
        made = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no writable place for a cache: compile in each process
        made = numba.njit(nogil=True)(function)
    return cast(Callable[_Parameters, _Answer], made)
