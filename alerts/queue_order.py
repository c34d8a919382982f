"""Where a ticket stands in the queue of open ones."""

QUEUE_BY = (
    "CASE WHEN status IN ('closed', 'void', 'false_alarm', 'merged') THEN NULL "
    "WHEN status IN ('reported', 'verified', 'registered', 'dispatched') "
    "THEN coalesce(accept_by, arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'accepted' THEN coalesce(arrive_by, done_by, 9223372036854775807) "
    "WHEN status = 'on_scene' THEN coalesce(done_by, 9223372036854775807) "
    "ELSE 9223372036854775807 END"
)
"""When the running clock of an open ticket ends, behind all others where none runs; null once the ticket has ended."""
