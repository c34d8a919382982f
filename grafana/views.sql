-- What Grafana may read of the desk: schema grafana. Times stand twice: as timestamptz to show, and under the same name
-- with _us as the platform keeps them (µs UTC), by which conditions find an index. No person, account, phone number or
-- text that somebody wrote; a device's name is left out, as it may say whose home it stands in.

CREATE SCHEMA IF NOT EXISTS grafana;

CREATE VIEW grafana.village AS
SELECT code, name, name_en FROM village;

CREATE VIEW grafana.grid AS
SELECT g.code, g.name, g.name_en, g.village, v.name AS village_name, v.name_en AS village_name_en
FROM grid g JOIN village v ON v.code = g.village
WHERE g.retired = 0;

CREATE VIEW grafana.team AS
SELECT code, name, grid FROM team WHERE retired = 0;

CREATE VIEW grafana.station AS
SELECT code, name, name_en, lng, lat, checkpoint FROM station WHERE retired = 0;

CREATE VIEW grafana.device AS
SELECT d.code, d.type, d.state, d.gateway, d.site, s.name AS site_name, s.kind, s.grid, g.village,
       coalesce(d.lng, s.lng) AS lng, coalesce(d.lat, s.lat) AS lat
FROM device d JOIN site s ON s.code = d.site LEFT JOIN grid g ON g.code = s.grid
WHERE d.state <> 'retired';

CREATE VIEW grafana.gateway AS
SELECT w.code, w.format, w.site, s.grid, g.village, w.disabled_at > 0 AS disabled,
       r.online, r.clock_off_s, r.messages, r.readings, r.rejected_messages, r.shed_messages,
       to_timestamp(r.last_received_at / 1e6) AS last_received_at, r.last_received_at AS last_received_at_us,
       extract(epoch FROM now()) - r.last_received_at / 1e6 AS silent_s
FROM gateway w LEFT JOIN gateway_report r ON r.gateway = w.code
LEFT JOIN site s ON s.code = w.site LEFT JOIN grid g ON g.code = s.grid
WHERE w.retired = 0;

CREATE VIEW grafana.alert AS
SELECT a.id, a.rule, a.hazard, a.category, a.severity, a.level, a.state, a.life_safety, a.paged, a.held,
       a.chattering IS NOT NULL AS chattering, a.closed_how, a.reopened,
       a.subject_kind, a.subject_id, a.series, a.site, s.name AS site_name, s.name_en AS site_name_en, s.kind,
       a.grid, g.village, a.lng, a.lat, a.value, a."limit" AS limit_value,
       a.ticket, t.number AS ticket_number,
       a.onset AS onset_us, to_timestamp(a.onset / 1e6) AS onset,
       a.opened_at AS opened_at_us, to_timestamp(a.opened_at / 1e6) AS opened_at,
       a.closed_at AS closed_at_us, to_timestamp(a.closed_at / 1e6) AS closed_at,
       coalesce(a.closed_at / 1e6, extract(epoch FROM now())) - a.opened_at / 1e6 AS open_s
FROM alert a LEFT JOIN site s ON s.code = a.site LEFT JOIN grid g ON g.code = a.grid
LEFT JOIN ticket t ON t.id = a.ticket;

CREATE VIEW grafana.ticket AS
SELECT t.id, t.number, t.source, t.status, t.hazard, t.category, t.class_code, t.severity, t.life_safety,
       CASE WHEN t.source IN ('iot', 'storm', 'drill') THEN t.title ELSE t.category END AS title,
       CASE WHEN t.source IN ('iot', 'storm', 'drill') THEN t.title_en ELSE t.category END AS title_en,
       t.priority > 0 AS supervised, t.drill IS NOT NULL AS drill, t.storm,
       t.site, s.name AS site_name, s.name_en AS site_name_en, t.grid, t.village, t.team, t.station, t.lng, t.lat,
       t.status NOT IN ('closed', 'void', 'false_alarm', 'merged') AS live,
       t.status NOT IN ('handled', 'checked', 'closed', 'void', 'false_alarm', 'merged') AS unhandled,
       t.result, t.extensions, t.reworks, t.paused / 1e6 AS paused_s,
       t.reported_at AS reported_at_us, to_timestamp(t.reported_at / 1e6) AS reported_at,
       to_timestamp(t.dispatched_at / 1e6) AS dispatched_at,
       to_timestamp(t.accepted_at / 1e6) AS accepted_at,
       to_timestamp(t.on_scene_at / 1e6) AS on_scene_at,
       t.handled_at AS handled_at_us, to_timestamp(t.handled_at / 1e6) AS handled_at,
       t.closed_at AS closed_at_us, to_timestamp(t.closed_at / 1e6) AS closed_at,
       to_timestamp(t.accept_by / 1e6) AS accept_by,
       to_timestamp(t.arrive_by / 1e6) AS arrive_by,
       t.done_by AS done_by_us, to_timestamp(t.done_by / 1e6) AS done_by,
       t.done_by / 1e6 - extract(epoch FROM now()) AS left_s
FROM ticket t LEFT JOIN site s ON s.code = t.site;

-- One row a ticket that somebody has to handle, with the moment from which it counts in 按期处置率: when it was handled
-- in time, or when its time was over. Not yet due, suspended, void, merged, drills, and what ended by itself: no row.
CREATE VIEW grafana.ticket_due AS
SELECT id, number, severity, hazard, category, grid, village, team, station, done_by_us, done_us,
       coalesce(done_us <= done_by_us, false) AS on_time,
       least(done_us, done_by_us) AS counted_at_us, to_timestamp(least(done_us, done_by_us) / 1e6) AS counted_at
FROM (
    SELECT id, number, severity, hazard, category, grid, village, team, station, done_by AS done_by_us,
           coalesce(handled_at, CASE WHEN result IN ('false_alarm', 'handled') THEN closed_at END) AS done_us
    FROM ticket
    WHERE done_by IS NOT NULL AND drill IS NULL AND status NOT IN ('suspended', 'void', 'merged')
      AND result IS DISTINCT FROM 'self_recovered' AND result IS DISTINCT FROM 'test'
) AS t
WHERE done_us <= done_by_us OR done_by_us < extract(epoch FROM now()) * 1e6;

CREATE VIEW grafana.ticket_move AS
SELECT l.id, l.ticket, t.number, t.severity, t.category, t.site, t.grid, t.village, t.team, t.drill IS NOT NULL AS drill,
       l.action, l.from_status, l.to_status,
       l.at AS at_us, to_timestamp(l.at / 1e6) AS at
FROM ticket_log l JOIN ticket t ON t.id = l.ticket;

-- A stage of a ticket and how long it took on the clock on the wall, pauses taken off. One that was undone (void) is
-- nobody's answer; the team is the ticket's present one.
CREATE VIEW grafana.ticket_stage AS
SELECT c.id, c.ticket, t.number, c.stage, c.state, c.clock, t.severity, t.category, t.grid, t.village, t.team, t.station,
       t.drill IS NOT NULL AS drill,
       c.started_at AS started_at_us, to_timestamp(c.started_at / 1e6) AS started_at,
       c.ended_at AS ended_at_us, to_timestamp(c.ended_at / 1e6) AS ended_at,
       to_timestamp(c.due_at / 1e6) AS due_at,
       c.ended_at IS NULL OR c.state = 'void' AS unanswered,
       CASE WHEN c.state <> 'void' THEN (c.ended_at - c.started_at - c.paused) / 1e6 END AS seconds
FROM ticket_timer c JOIN ticket t ON t.id = c.ticket;

CREATE VIEW grafana.notice AS
SELECT n.id, n.ticket, n.cause, n.step, n.channel, n.recipient_kind, n.state, n.severity, n.life_safety, n.attempts,
       n.repeated,
       n.created_at AS created_at_us, to_timestamp(n.created_at / 1e6) AS created_at,
       to_timestamp(n.due_at / 1e6) AS due_at,
       to_timestamp(n.requested_at / 1e6) AS requested_at,
       to_timestamp(n.accepted_at / 1e6) AS accepted_at,
       to_timestamp(n.delivered_at / 1e6) AS delivered_at,
       to_timestamp(n.acknowledged_at / 1e6) AS acknowledged_at,
       (n.requested_at - n.due_at) / 1e6 AS request_s,
       (n.acknowledged_at - n.created_at) / 1e6 AS acknowledge_s
FROM notice n;

CREATE VIEW grafana.storm AS
SELECT id, hazard, ticket, sites, alerts, ended_at IS NULL AS under_way,
       began_at AS began_at_us, to_timestamp(began_at / 1e6) AS began_at, to_timestamp(ended_at / 1e6) AS ended_at
FROM storm;

CREATE VIEW grafana.reject AS
SELECT gateway, reason, messages, readings, hour AS hour_us, to_timestamp(hour / 1e6) AS hour FROM reject_count;

CREATE VIEW grafana.site AS
SELECT s.code, s.kind, s.name, s.name_en, s.importance, s.lng, s.lat, s.grid, g.village,
       coalesce(a.worst, 0) AS worst, coalesce(a.alerts, 0) AS open_alerts, coalesce(t.tickets, 0) AS live_tickets
FROM site s LEFT JOIN grid g ON g.code = s.grid
LEFT JOIN (
    SELECT site, max(level) AS worst, count(*) AS alerts FROM alert WHERE state = 'open' GROUP BY site
) AS a ON a.site = s.code
LEFT JOIN (
    SELECT site, count(*) AS tickets FROM ticket
    WHERE status NOT IN ('closed', 'void', 'false_alarm', 'merged') GROUP BY site
) AS t ON t.site = s.code
WHERE s.retired = 0;
