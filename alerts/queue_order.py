"""Where a ticket stands in the queue of open ones."""

QUEUE_BY = (
    "CASE WHEN status IN ('closed', 'void', 'false_alarm', 'merged') THEN NULL "
    "WHEN status IN ('reported', 'verified', 'registered') "
    "THEN coalesce(desk_by, accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'dispatched' THEN coalesce(accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'accepted' THEN coalesce(arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'on_scene' THEN coalesce(done_by, 9223372036854775807) "
    "WHEN status IN ('handled', 'checked') THEN coalesce(desk_by, 9223372036854775807) "
    "ELSE 9223372036854775807 END"
)
"""When the running clock of an open ticket ends, the desk's own as any other, behind all others where none runs.

Null once the ticket has ended.
"""
