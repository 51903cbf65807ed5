DROP VIEW farm.platform_view, farm.running_view, farm.builder_view;
CREATE VIEW farm.builder_view AS
  SELECT b.id, b.name::text AS name, b.state::text AS state, b.reason, b.platforms, b.version, b.arches, b.slots, b.last_seen_at,
         coalesce(b.last_seen_at > now() - interval '2 minutes', false) AS alive,
         (SELECT count(*) FROM farm.lease l WHERE l.builder_id = b.id) AS running,
         farm.platforms_of(b.id) AS serves
  FROM farm.builder b;
CREATE VIEW farm.running_view AS
  SELECT l.task_id, l.attempt, t.job_id, t.platform, j.title, b.name::text AS builder, a.stage::text AS stage, a.started_at,
         l.expires_at
  FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.job j ON j.id = t.job_id
  JOIN farm.builder b ON b.id = l.builder_id JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt;
CREATE VIEW farm.platform_view AS
  SELECT p.name, p.recipe, p.recipe->>'description' AS description, p.enabled, p.auto,
         (SELECT count(*) FROM farm.ready r WHERE r.platform = p.name) AS pending,
         (SELECT count(*) FROM farm.lease l JOIN farm.task t ON t.id = l.task_id WHERE t.platform = p.name) AS running,
         (SELECT count(*) FROM farm.builder_view b WHERE b.alive AND p.name = ANY (b.serves)) AS builders
  FROM farm.platform p;
ALTER VIEW farm.builder_view OWNER TO farm_owner;
ALTER VIEW farm.running_view OWNER TO farm_owner;
ALTER VIEW farm.platform_view OWNER TO farm_owner;
GRANT SELECT ON farm.builder_view, farm.running_view, farm.platform_view TO farm_web;
GRANT SELECT ON farm.platform_view TO farm_validator;
GRANT SELECT ON farm.builder_view, farm.platform_view TO farm_readonly;
CREATE OR REPLACE FUNCTION farm.reap(p_grace interval) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
BEGIN
  FOR v_lease IN
    WITH silent AS MATERIALIZED (
      SELECT task_id FROM farm.lease WHERE expires_at < now() - p_grace ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED)
    DELETE FROM farm.lease l USING silent WHERE l.task_id = silent.task_id RETURNING l.*
  LOOP
    v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'builder_lost', 'the builder went silent and its lease ran out');
    PERFORM pg_notify('farm_orders', v_lease.builder_id::text);
  END LOOP;
  PERFORM farm.jobs_changed(v_jobs);
  RETURN cardinality(v_jobs);
END $$;
CREATE OR REPLACE FUNCTION farm.renew(p_builder int, p_instance uuid, p_tasks bigint[], p_attempts int[], p_tokens uuid[], p_lease interval)
RETURNS SETOF bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder AND instance = p_instance;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Locked in the order in which all others lock leases.
  RETURN QUERY
  WITH held AS MATERIALIZED (
    SELECT l.task_id FROM unnest(p_tasks, p_attempts, p_tokens) AS x(task_id, attempt, token)
    JOIN farm.lease l ON l.task_id = x.task_id AND l.attempt = x.attempt AND l.token = x.token AND l.builder_id = p_builder
    ORDER BY l.task_id FOR NO KEY UPDATE OF l)
  UPDATE farm.lease l SET expires_at = now() + p_lease FROM held WHERE l.task_id = held.task_id RETURNING l.task_id;
END $$;
CREATE OR REPLACE FUNCTION farm.begin_life(p_builder int, p_instance uuid, p_version text, p_arches text[], p_slots int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
BEGIN
  -- A claim of the earlier life either has its leases already, which are seen once this lock is there, or looks at the
  -- instance again after it waited for this lock, and is refused.
  PERFORM FROM farm.builder WHERE id = p_builder FOR UPDATE;
  IF NOT EXISTS (SELECT FROM farm.builder WHERE id = p_builder AND instance = p_instance) THEN
    FOR v_lease IN
      WITH held AS MATERIALIZED (
        SELECT task_id FROM farm.lease WHERE builder_id = p_builder ORDER BY task_id FOR UPDATE)
      DELETE FROM farm.lease l USING held WHERE l.task_id = held.task_id RETURNING l.*
    LOOP
      v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'builder_lost', 'the builder was started anew');
    END LOOP;
  END IF;
  UPDATE farm.builder SET instance = p_instance, version = p_version, arches = p_arches, slots = p_slots, last_seen_at = now()
    WHERE id = p_builder;
  PERFORM farm.jobs_changed(v_jobs);
  RETURN cardinality(v_jobs);
END $$;
CREATE OR REPLACE FUNCTION farm.requeue(p_task bigint, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task farm.task;
  v_avoid int[];
BEGIN
  UPDATE farm.task SET faults = faults + CASE WHEN p_outcome = 'released' THEN 0 ELSE 1 END WHERE id = p_task AND state = 'leased'
    RETURNING * INTO v_task;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s is not leased', p_task));
  END IF;
  IF v_task.faults >= 3 THEN
    RETURN farm.end_task(p_task, 'failed', p_cause, format('given up after three attempts that the farm spoilt; the last: %s', p_message));
  END IF;
  SELECT array_agg(DISTINCT builder_id) INTO v_avoid FROM farm.attempt WHERE task_id = p_task AND outcome IN ('farm_fault', 'lost');
  -- An elsewhere that is full is none: better the same builder again than a long wait.
  IF NOT EXISTS (SELECT FROM farm.builder b WHERE b.id <> ALL (v_avoid) AND b.last_seen_at > now() - interval '2 minutes'
                 AND (SELECT count(*) FROM farm.lease l WHERE l.builder_id = b.id) < b.slots
                 AND v_task.platform = ANY (farm.platforms_of(b.id))) THEN
    v_avoid := '{}';
  END IF;
  UPDATE farm.task SET state = 'pending' WHERE id = p_task;
  PERFORM farm.make_ready(p_task,
    CASE WHEN p_outcome = 'farm_fault' THEN now() + interval '5 seconds' * 4 ^ (v_task.faults - 1) ELSE now() END,
    coalesce(v_avoid, '{}'));
  RETURN v_task.job_id;
END $$;
CREATE OR REPLACE FUNCTION farm.take_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
  v_platforms text[] := farm.platforms_of(p_builder);
BEGIN
  PERFORM farm.be_alive(p_builder, p_instance);
  -- A builder without work shows itself by claiming; rarely, as this is a write.
  UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder AND last_seen_at < now() - interval '10 seconds';
  RETURN QUERY
  WITH head AS MATERIALIZED (
    SELECT h.platform, h.class, h.rank, h.task_id FROM unnest(v_platforms) AS p(name) CROSS JOIN LATERAL (
      SELECT r.platform, r.class, r.rank, r.task_id FROM farm.ready r
      WHERE r.platform = p.name AND r.not_before <= now()
        -- Better the same builder again than never.
        AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
      ORDER BY r.class, r.rank, r.task_id LIMIT p_want + 8) h
    ORDER BY h.class, h.rank, h.task_id LIMIT p_want + 8),
  locked AS (
    SELECT r.platform, r.class, r.rank, r.task_id FROM head JOIN farm.ready r USING (platform, class, rank, task_id)
    ORDER BY r.class, r.rank, r.task_id LIMIT p_want FOR UPDATE OF r SKIP LOCKED),
  taken AS (
    DELETE FROM farm.ready r USING locked l
    WHERE r.platform = l.platform AND r.class = l.class AND r.rank = l.rank AND r.task_id = l.task_id
    RETURNING r.task_id, r.not_before),
  leased AS (
    UPDATE farm.task t SET state = 'leased', attempts = t.attempts + 1, started_at = now()
    FROM taken WHERE t.id = taken.task_id AND t.state = 'pending'
    RETURNING t.id, t.attempts, t.job_id, t.platform, t.timeout_seconds, gen_random_uuid() AS token, taken.not_before),
  begun AS (
    INSERT INTO farm.attempt (task_id, number, builder_id, token) SELECT l.id, l.attempts, p_builder, l.token FROM leased l),
  held AS (
    INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at)
    SELECT l.id, l.attempts, p_builder, l.token, now() + p_lease FROM leased l),
  told AS (
    SELECT l.*, pg_notify('farm_job', l.job_id::text) FROM leased l)
  SELECT t.id, t.attempts, t.token, t.job_id, t.platform, t.timeout_seconds, p.recipe,
         (SELECT jsonb_agg(jsonb_build_object('position', s.position, 'digest', encode(s.digest, 'hex'), 'size', b.size,
            'label', coalesce(s.name || '-' || s.version || '-' || s.release, s.file_name)) ORDER BY s.position)
          FROM farm.source s JOIN farm.blob b ON b.digest = s.digest WHERE s.job_id = t.job_id),
         extract(epoch FROM clock_timestamp() - t.not_before)::double precision
  FROM told t JOIN farm.platform p ON p.name = t.platform;
  IF FOUND THEN
    -- The new attempts hold a lock on the builder (their foreign key), so a hello is either over or waits for us. Not
    -- before, and not where there is nothing to claim: a lock is a write.
    PERFORM farm.be_alive(p_builder, p_instance);
  END IF;
END $$;
CREATE OR REPLACE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_platform text;
BEGIN
  INSERT INTO farm.ready (platform, class, rank, task_id, not_before, avoid)
    SELECT platform, class, rank, id, p_not_before, p_avoid FROM farm.task WHERE id = p_task AND state = 'pending'
    RETURNING platform INTO STRICT v_platform;
  PERFORM pg_notify('farm_ready', v_platform);
END $$;
DROP FUNCTION farm.come_up, farm.hubs_were_away, farm.pulse, farm.tell_status, farm.leave, farm.saves_slots, farm.leased_weight, farm.make_room, farm.is_saved_for;
DROP TRIGGER weigh ON farm.task;
DROP FUNCTION farm.weigh, farm.weight_of;
DROP TABLE farm.hub_pulse, farm.leaving, farm.builder_status;
ALTER TABLE farm.builder DROP COLUMN saves_for;
ALTER TABLE farm.lease DROP COLUMN weight, DROP COLUMN instance;
DROP INDEX farm.ready_heavy;
ALTER TABLE farm.ready DROP COLUMN weight;
ALTER TABLE farm.task DROP COLUMN weight;
