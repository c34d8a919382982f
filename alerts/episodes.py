"""Which subjects and rules of a batch had an alert before: asked once, so that what is new costs no look of its own."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, TextClause, text

from detectors.words import Detection

Key = tuple[str, str, str]
"""Subject kind, subject, rule."""

_SQLITE = text(
    "SELECT k.key FROM json_each(:keys) AS k WHERE EXISTS (SELECT 1 FROM alert"
    " WHERE subject_kind = json_extract(k.value, '$[0]') AND subject_id = json_extract(k.value, '$[1]')"
    " AND rule = json_extract(k.value, '$[2]'))"
)
_POSTGRESQL = text(
    "SELECT k.place - 1 FROM jsonb_array_elements(CAST(:keys AS jsonb)) WITH ORDINALITY AS k(value, place)"
    " WHERE EXISTS (SELECT 1 FROM alert WHERE subject_kind = k.value->>0 AND subject_id = k.value->>1"
    " AND rule = k.value->>2)"
)


def key_of(detection: Detection) -> Key:
    """What an alert's episodes have in common."""
    return detection.subject.kind, detection.subject.id, detection.rule


def known_keys(connection: Connection, detections: Iterable[Detection]) -> set[Key]:
    """The keys of these detections of which there is an alert, open or closed."""
    keys = sorted({key_of(each) for each in detections})
    if not keys:
        return set()
    found = connection.scalars(_asked(connection.dialect.name), {"keys": json.dumps(keys)})
    return {keys[int(place)] for place in found}


def _asked(dialect: str) -> TextClause:
    return _POSTGRESQL if dialect == "postgresql" else _SQLITE
