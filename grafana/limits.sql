-- The rules in force today, and the limits of each device's metrics by them: what curves are drawn against. Limits that a
-- device has of its own (an outlet's permit) and overrides for device types, attributes, sites and devices hold as they do
-- for the detectors, the more specific one wins.

CREATE VIEW grafana.rule AS
SELECT r.key AS code, r.value ->> 'kind' AS kind, r.value ->> 'hazard' AS hazard, r.value ->> 'category' AS category,
       r.value ->> 'title_zh' AS name, r.value ->> 'title_en' AS name_en, r.value ->> 'metric' AS metric,
       r.value ->> 'unit' AS unit, r.value ->> 'direction' AS direction,
       coalesce(nullif(r.value ->> 'baseline', ''), r.value ->> 'expression', '') AS judged
FROM (SELECT content::jsonb AS rules FROM rules_version ORDER BY version DESC LIMIT 1) AS newest,
     jsonb_each(newest.rules) AS r
WHERE (now() AT TIME ZONE 'Asia/Shanghai')::date
      BETWEEN coalesce((r.value ->> 'effective_from')::date, '-infinity')
          AND coalesce((r.value ->> 'effective_to')::date, 'infinity');

CREATE VIEW grafana.series AS
SELECT n.device, n.metric, d.type, d.site, s.grid, g.village
FROM series n JOIN device d ON d.code = n.device JOIN site s ON s.code = d.site LEFT JOIN grid g ON g.code = s.grid
WHERE d.state <> 'retired';

-- Reckoned for each device and rule by itself, so that a question about one site costs what that site costs.
CREATE VIEW grafana.device_limit AS
SELECT r.code AS rule, r.name, r.name_en, r.unit, r.direction, r.metric,
       n.device, n.type, n.site, n.grid, n.village, e.severity, e."limit"
FROM grafana.rule r
CROSS JOIN (SELECT content::jsonb AS rules FROM rules_version ORDER BY version DESC LIMIT 1) AS v
JOIN grafana.series n ON n.metric = r.metric AND v.rules -> r.code -> 'device_types' ? n.type
JOIN device d ON d.code = n.device
JOIN site s ON s.code = n.site
CROSS JOIN LATERAL (SELECT v.rules -> r.code AS content, s.attributes::jsonb || d.attributes::jsonb AS attributes) AS j
CROSS JOIN LATERAL (
    WITH overriding AS (
        SELECT o.value AS change, o.ordinality AS place,
               CASE WHEN o.value ? 'device' THEN 5 WHEN o.value ? 'site' THEN 4 WHEN o.value ? 'attribute' THEN 3 ELSE 2 END
               AS rank
        FROM jsonb_array_elements(coalesce(j.content -> 'overrides', '[]')) WITH ORDINALITY AS o
        WHERE CASE
            WHEN o.value ? 'device' THEN o.value ->> 'device' = n.device
            WHEN o.value ? 'site' THEN o.value ->> 'site' = n.site
            WHEN o.value ? 'attribute' THEN NOT EXISTS (
                SELECT FROM jsonb_each_text(o.value -> 'attribute') AS wanted
                WHERE j.attributes ->> wanted.key IS DISTINCT FROM wanted.value
            )
            ELSE o.value ->> 'device_type' = n.type END
    ), said AS (
        SELECT l.key AS severity, l.value::float AS "limit", 0 AS rank, 0 AS place
        FROM jsonb_each_text(j.content -> 'limits') AS l
        UNION ALL
        SELECT l.key,
               CASE WHEN jsonb_typeof(j.attributes -> (l.value ->> 'attribute')) = 'number'
                    THEN (j.attributes ->> (l.value ->> 'attribute'))::float * coalesce((l.value ->> 'times')::float, 1)
                    ELSE (l.value ->> 'default')::float END, 1, 0
        FROM jsonb_each(j.content -> 'limits_from') AS l
        UNION ALL
        SELECT l.key, l.value::float, rank, place
        FROM overriding, jsonb_each_text(coalesce(change -> 'limits', '{}')) AS l
    )
    SELECT DISTINCT ON (severity) severity::int AS severity, "limit" FROM said
    WHERE "limit" IS NOT NULL AND coalesce((
        SELECT (change ->> 'enabled')::boolean FROM overriding WHERE change ? 'enabled' ORDER BY rank DESC, place DESC LIMIT 1
    ), true)
    ORDER BY severity, rank DESC, place DESC
) AS e
WHERE r.kind = 'threshold' AND r.judged = '';

-- Sound level meters with the class of their area (GB 3096) and the limits that hold for each by day and by night.
CREATE VIEW grafana.noise_meter AS
SELECT d.code AS device, d.site, s.grid, g.village,
       coalesce((s.attributes::jsonb || d.attributes::jsonb) ->> 'noise_class', '?') AS class, l.by_day, l.by_night
FROM device d JOIN site s ON s.code = d.site LEFT JOIN grid g ON g.code = s.grid
LEFT JOIN (
    SELECT device, min("limit") FILTER (WHERE rule = 'noise.level') AS by_day,
           min("limit") FILTER (WHERE rule = 'noise.level_night') AS by_night
    FROM grafana.device_limit WHERE rule IN ('noise.level', 'noise.level_night') GROUP BY device
) AS l ON l.device = d.code
WHERE d.type = 'noise' AND d.state IN ('in_service', 'maintenance');
