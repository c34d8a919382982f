"""Numba with types kept: `compiled` is `njit(nogil, cache)` that also works where no cache can be written."""

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import cgutils as _cgutils
from numba.core import types
from numba.extending import intrinsic

_cg: Any = _cgutils
_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")
_IMPORTED = re.compile(rb"^from [\w.]+\.(\w+) import", re.MULTILINE)


def compiled(function: Callable[_Parameters, _Answer]) -> Callable[_Parameters, _Answer]:
    """`function` as machine code, compiled at its first call and kept beside the source or in the user's cache.

    What is kept is used only while no file of the function's package that holds machine code has changed, nor one that
    it imports from: functions of one such file may call those of another, and constants become part of the code.

    >>> @compiled
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(21)
    42
    """
    try:
        made: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no writable place for a cache: compile in each process
        return cast(Callable[_Parameters, _Answer], numba.njit(nogil=True)(function))
    # numba itself looks only at the age of the file that a function stands in
    kept = made._cache._cache_file
    kept._source_stamp = (kept._source_stamp, digest_of(Path(function.__code__.co_filename).parent))
    return cast(Callable[_Parameters, _Answer], made)


@cache
def digest_of(folder: Path) -> str:
    """One digest of the folder's modules that hold machine code, and of those whose constants went into it."""
    texts = {file.stem: file.read_bytes() for file in folder.glob("*.py")}
    holding = {name for name, text in texts.items() if b"@compiled" in text}
    imported = {found.decode() for name in holding for found in _IMPORTED.findall(texts[name])}
    digest = hashlib.sha256()
    for name in sorted(holding | imported & texts.keys()):
        digest.update(texts[name])
    return digest.hexdigest()


def _prefetch(_typing: Any, array: Any, _index: Any) -> Any:
    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        its = context.make_array(array)(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _cg.get_item_pointer(context, builder, array, its, [index])
        byte, number = _cg.voidptr_t, _cg.int32_t
        there = builder.bitcast(pointer, byte)
        kind = _cg.ir.FunctionType(_cg.ir.VoidType(), [byte, number, number, number])
        wanted = _cg.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(wanted, [there, number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, _index), generated


prefetch: Any = intrinsic(_prefetch)
"""prefetch(array, index): ask for `array[index]` to be brought into the processor's cache; for machine code only."""
