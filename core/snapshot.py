"""Snapshots: named arrays and a little JSON in one file that is either whole or not there.

Layout: magic, length and CRC-32 of the header; the header as JSON (`meta` and every array's name, dtype, shape and
CRC-32); each array's raw bytes. Nothing is pickled.
"""

import json
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

_PREFIX = struct.Struct("<8sII")
_MAGIC = b"SWSNAP01"


class SnapshotDamaged(Exception):
    """The file is there but can't be trusted; start from the journal instead."""


def save(path: Path, meta: dict[str, Any], arrays: Arrays) -> None:
    """Write a snapshot atomically: after a crash at any moment `path` holds the old one or the new one, whole.

    `meta` must be JSON (NaN allowed, keys are strings); arrays have plain dtypes and any shape. Otherwise TypeError.
    """
    columns = {name: _bytes_of(name, array) for name, array in arrays.items()}
    listed = [(name, array.dtype.str, array.shape, zlib.crc32(columns[name])) for name, array in arrays.items()]
    header = json.dumps({"meta": meta, "arrays": listed}, ensure_ascii=False).encode()
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            file.write(_PREFIX.pack(_MAGIC, len(header), zlib.crc32(header)))
            file.write(header)
            for column in columns.values():
                file.write(column)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def load(path: Path) -> tuple[dict[str, Any], Arrays] | None:
    """The `meta` and the arrays (writable, of their own) that `save` wrote; None when there is no file.

    Raises SnapshotDamaged when the file is of another format, cut short or altered.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        header = _read_header(path, file)
        arrays = {name: _read_array(file, name, *rest) for name, *rest in header["arrays"]}
        if file.read(1):
            raise SnapshotDamaged(f"the snapshot {path} has bytes behind its last array")
    return header["meta"], arrays


def _bytes_of(name: str, array: npt.NDArray[Any]) -> memoryview:
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"the array {name} has dtype {array.dtype}; a snapshot holds plain dtypes only")
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _read_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(_MAGIC):
        raise SnapshotDamaged(f"{path} is not a snapshot of format {_MAGIC.decode()}")
    _, length, checksum = _PREFIX.unpack(prefix)
    text = file.read(min(length, _bytes_left(file)))
    if len(text) < length or zlib.crc32(text) != checksum:
        raise SnapshotDamaged(f"the header of the snapshot {path} is damaged")
    header: dict[str, Any] = json.loads(text)
    return header


def _read_array(file: BinaryIO, name: str, dtype: str, shape: list[int], checksum: int) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    if math.prod(shape) * kind.itemsize > _bytes_left(file):
        raise SnapshotDamaged(f"the snapshot {file.name} is cut short in its array {name}")
    array: npt.NDArray[Any] = np.empty(shape, kind)
    raw = array.reshape(-1).view(np.uint8).data
    file.readinto(raw)  # type: ignore[attr-defined]
    if zlib.crc32(raw) != checksum:
        raise SnapshotDamaged(f"the array {name} of the snapshot {file.name} is damaged")
    return array


def _bytes_left(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size - file.tell()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
