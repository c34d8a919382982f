"""Which subjects and rules of a batch had an alert before: asked once, so that what is new costs no look of its own."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, TextClause, text

from detectors.words import Detection

Key = tuple[str, str, str]
"""Subject kind, subject, rule."""

# a subquery that no planner unfolds: each key is looked up in the index, however many alerts there are
_SQLITE = text(
    "SELECT k.key FROM json_each(:keys) AS k WHERE (SELECT a.id FROM alert AS a"
    " WHERE a.subject_kind = json_extract(k.value, '$[0]') AND a.subject_id = json_extract(k.value, '$[1]')"
    " AND a.rule = json_extract(k.value, '$[2]') LIMIT 1) IS NOT NULL"
)
_POSTGRESQL = text(
    "SELECT k.place - 1 FROM jsonb_array_elements(CAST(:keys AS jsonb)) WITH ORDINALITY AS k(value, place)"
    " WHERE (SELECT a.id FROM alert AS a WHERE a.subject_kind = k.value->>0 AND a.subject_id = k.value->>1"
    " AND a.rule = k.value->>2 LIMIT 1) IS NOT NULL"
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
