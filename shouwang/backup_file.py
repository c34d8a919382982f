"""The backup's file: a tar, packed with gzip, whose first member says what is in it, what is not, and each sum.

`manifest.json`, then the members in its order. The file appears whole under its name or not at all, readable by its
owner only, for it holds the settings' passwords.
"""

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import msgspec

from core.clock import SECOND

FORMAT = 1
"""Of the file; raised when its meaning changes."""
MANIFEST = "manifest.json"
_LEVEL = 3  # of gzip: photos don't shrink, and the rest mostly does at once
_PIECE = 1 << 20
_MOST_MANIFEST = 16 << 20
_PRIVATE = 0o600


class BackupDamaged(Exception):
    """A file that is no backup, or not as it was written; nothing was changed."""


class Member(NamedTuple):
    """A file in the backup: its name there, length, SHA-256, and permissions."""

    name: str
    bytes: int
    sha256: str
    mode: int


class KeptJournal(NamedTuple):
    """The part of the journal in the backup: its records behind `after` up to `head`."""

    after: int
    head: int
    records: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is. `made_at` in µs UTC; `schema` the database's revision, `kind` the database that it came from.

    `settings` is the settings file's member, empty without one; `rules` and `device_types` the folders in the order of
    the settings, as prefixes of members; `variables` the names of the settings that came by environment.
    """

    format: int
    program: str
    made_at: int
    schema: str
    kind: str
    registry: str
    applied: dict[str, int]
    journal: KeptJournal | None
    settings: str
    rules: list[str]
    device_types: list[str]
    variables: list[str]
    left_out: list[str]
    members: list[Member]


def sum_of(file: Path) -> tuple[int, str]:
    """A file's length and SHA-256."""
    digest, length = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
            length += len(piece)
    return length, digest.hexdigest()


def write_backup(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write the manifest and its members, found in `files` by name; `target` is whole and durable when this returns."""
    draft = target.with_name(f".{target.name}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE), "wb") as opened:
            with tarfile.open(fileobj=opened, mode="w:gz", compresslevel=_LEVEL) as tar:
                text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
                _add(tar, Member(MANIFEST, len(text), "", _PRIVATE), io.BytesIO(text), manifest.made_at)
                for member in manifest.members:
                    with files[member.name].open("rb") as content:
                        _add(tar, member, content, manifest.made_at)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)


def read_manifest(file: Path) -> Manifest:
    """What a backup says of itself. Raises BackupDamaged."""
    with _opened(file) as tar:
        first = tar.next()
        if first is None or first.name != MANIFEST or not first.isreg() or first.size > _MOST_MANIFEST:
            raise _damaged(file, "它的第一项不是清单", "its first member is no manifest")
        return _manifest(file, _content(tar, first).read())


def unpack(file: Path, folder: Path, only: str = "") -> Manifest:
    """Write every member (or `only` one) into a folder, each checked against its sum. Raises BackupDamaged.

    A member that the manifest does not list, or one that is missing, is damage too.
    """
    with _opened(file) as tar:
        manifest = read_manifest(file)
        listed = {member.name: member for member in manifest.members}
        for info in _members(tar):
            member = listed.pop(info.name, None)
            if member is None or not info.isreg() or not is_inside(info.name):
                raise _damaged(file, f"清单里没有 {info.name}", f"{info.name} is not in its manifest")
            if only not in ("", info.name):
                continue
            place = folder / info.name
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(place, _content(tar, info), member.mode)
            if sum_of(place) != (member.bytes, member.sha256):
                raise _damaged(file, f"{info.name} 的校验和不符", f"{info.name} does not have its sum")
    if listed:
        some = ", ".join(sorted(listed)[:3])
        raise _damaged(file, f"缺少 {some}", f"{some} is missing")
    return manifest


def is_inside(name: str) -> bool:
    """Whether a member's name stays in the folder that it is unpacked to.

    >>> [is_inside(name) for name in ("state/gate.snapshot", "/etc/passwd", "state/../../x", "")]
    [True, False, False, False]
    """
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _add(tar: tarfile.TarFile, member: Member, content: IO[bytes], made_at: int) -> None:
    info = tarfile.TarInfo(member.name)
    info.size, info.mode, info.mtime = member.bytes, member.mode, made_at // SECOND
    tar.addfile(info, content)


def _manifest(file: Path, text: bytes) -> Manifest:
    try:
        head = msgspec.json.decode(text, type=dict)
        if isinstance(head.get("format"), int) and head["format"] > FORMAT:
            raise BackupDamaged(
                f"{file} 由更新的程序（{head.get('program')}）写成：请用该版本或更新的程序恢复。\n"
                f"{file} was written by a newer program ({head.get('program')}): restore it with that one or a newer."
            )
        return msgspec.convert(head, Manifest)
    except msgspec.MsgspecError as error:
        raise _damaged(file, "清单读不出来", "its manifest can't be read") from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while info := tar.next():
        if info.name != MANIFEST:
            yield info


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    if content is None:
        raise tarfile.ReadError(info.name)
    return content


def _write(place: Path, content: IO[bytes], mode: int) -> None:
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as opened:
        while piece := content.read(_PIECE):
            opened.write(piece)
        opened.flush()
        os.fsync(opened.fileno())
    place.chmod(mode & 0o700)


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:gz") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(file, "它被截断或不是备份", "it is cut short, or no backup") from error


def _damaged(file: Path, zh: str, en: str) -> BackupDamaged:
    return BackupDamaged(f"{file} 不能用于恢复：{zh}。\n{file} can't be restored from: {en}.")
