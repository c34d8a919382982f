"""By which settings a backup is restored: those that are there, or its own where there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from shouwang.backup_file import Manifest, unpack
from shouwang.settings import Settings, load_settings


@contextmanager
def settings_for_restore(file: Path, manifest: Manifest, place: Path) -> Iterator[tuple[Settings, Path | None]]:
    """The settings at `place`, or the backup's as if they lay there, with the draft to be put there at the end.

    Paths in them are relative to that place. Raises SettingsError, BackupDamaged.
    """
    if place.exists() or not manifest.settings:
        yield load_settings(place if place.exists() else None), None
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.part")
    with TemporaryDirectory(prefix=".shouwang-settings-", dir=place.parent) as folder:
        unpack(file, Path(folder), only=manifest.settings)
        (Path(folder) / manifest.settings).replace(draft)
    try:
        yield load_settings(draft), draft
    finally:
        draft.unlink(missing_ok=True)
