SET LOCAL ROLE farm_owner;

-- The platforms whose tasks a builder is given: set here, not claimed by it.
-- In plpgsql, which keeps its plan: a function in SQL that cannot be inlined is planned at each call.
CREATE FUNCTION farm.platforms_of(p_builder int) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT coalesce(array_agg(p.name), '{}') FROM farm.builder b
    JOIN farm.platform p ON p.enabled AND p.arch = ANY (b.arches) AND (b.platforms IS NULL OR p.name = ANY (b.platforms))
    WHERE b.id = p_builder AND b.state = 'enabled');
END $$;

-- Who comes with a token. No process may read the digests themselves.
CREATE FUNCTION farm.builder_by_token(p_digest farm.sha256) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT jsonb_build_object('id', id, 'name', name) FROM farm.builder WHERE token_digest = p_digest
$$;

-- A builder comes up. What an earlier life of it held goes back to the queue at once. Answers how much that was.
CREATE FUNCTION farm.hello(p_builder int, p_instance uuid, p_version text, p_arches text[], p_slots int) RETURNS int
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

-- Ends the attempt of a lease that has just been deleted, without a result, and puts the task back or gives it up.
-- Answers the job, of which the caller tells in the end.
CREATE FUNCTION farm.end_attempt(p_lease farm.lease, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  UPDATE farm.attempt SET outcome = p_outcome, cause = p_cause, message = p_message, finished_at = now()
    WHERE task_id = p_lease.task_id AND number = p_lease.attempt AND outcome IS NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('attempt %s of task %s has ended', p_lease.attempt, p_lease.task_id));
  END IF;
  IF p_outcome = 'cancelled' THEN
    RETURN farm.end_task(p_lease.task_id, 'cancelled', p_cause, p_message);
  END IF;
  RETURN farm.requeue(p_lease.task_id, p_outcome, p_cause, p_message);
END $$;

-- Ends a task. Answers its job, of which the caller tells in the end.
CREATE FUNCTION farm.end_task(p_task bigint, p_state farm.task_state, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job bigint;
BEGIN
  UPDATE farm.task SET state = p_state, cause = p_cause, message = nullif(p_message, ''), finished_at = now()
    WHERE id = p_task AND NOT farm.is_final(state) RETURNING job_id INTO v_job;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s has ended', p_task));
  END IF;
  RETURN v_job;
END $$;

-- After an attempt that says nothing about the package: back to the queue, elsewhere where there is an elsewhere;
-- after three spoilt ones the task fails with the farm's cause. Answers its job, of which the caller tells in the end.
CREATE FUNCTION farm.requeue(p_task bigint, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
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

-- Refuses what a life of a builder asks for that is over.
CREATE FUNCTION farm.be_alive(p_builder int, p_instance uuid) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM farm.builder WHERE id = p_builder AND instance = p_instance) THEN
    PERFORM farm.refuse('conflict', 'this life of the builder is over: another one said hello');
  END IF;
END $$;

-- Gives a builder up to so many tasks. Each platform is looked at from its head and no row is locked in the look, then
-- the best are locked, whoever is locked already being left to whoever locked it. `waited`: seconds since it could be had.
CREATE FUNCTION farm.claim(p_builder int, p_instance uuid, p_want int, p_lease interval)
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

-- Proves a lease; every write of a builder goes through here. The row stays locked, so that it cannot be reaped meanwhile.
CREATE FUNCTION farm.hold(p_builder int, p_task bigint, p_attempt int, p_token uuid) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM farm.refuse('lease_lost', format('attempt %s of task %s is not yours any more', p_attempt, p_task));
  END IF;
END $$;

-- Renews all leases of a builder. Those that do not come back are gone.
CREATE FUNCTION farm.renew(p_builder int, p_instance uuid, p_tasks bigint[], p_attempts int[], p_tokens uuid[], p_lease interval)
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

CREATE FUNCTION farm.stage_began(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_stage farm.stage) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.hold(p_builder, p_task, p_attempt, p_token);
  UPDATE farm.attempt SET stage = p_stage WHERE task_id = p_task AND number = p_attempt;
  PERFORM pg_notify('farm_job', job_id::text) FROM farm.task WHERE id = p_task;
END $$;

-- Takes a piece of log if it begins where the last one ended, and answers where the next one has to begin. A piece sent
-- again changes nothing, nor does an empty one.
CREATE FUNCTION farm.append_log(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_start bigint, p_length int, p_data bytea)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_size bigint;
BEGIN
  PERFORM farm.hold(p_builder, p_task, p_attempt, p_token);
  UPDATE farm.attempt SET log_size = log_size + p_length
    WHERE task_id = p_task AND number = p_attempt AND log_size = p_start AND p_length > 0 RETURNING log_size INTO v_size;
  IF NOT FOUND THEN
    RETURN (SELECT log_size FROM farm.attempt WHERE task_id = p_task AND number = p_attempt);
  END IF;
  INSERT INTO farm.log_chunk (task_id, attempt, start, length, data) VALUES (p_task, p_attempt, p_start, p_length, p_data);
  RETURN v_size;
END $$;

-- Ends an attempt with what came of it. Sent again after a lost answer it changes nothing and is no error.
CREATE FUNCTION farm.finish(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
    p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_log farm.sha256;
  v_missing text;
  v_job bigint;
BEGIN
  DELETE FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM farm.attempt WHERE task_id = p_task AND number = p_attempt AND token = p_token
                   AND builder_id = p_builder AND outcome = p_outcome) THEN
      PERFORM farm.refuse('lease_lost', format('attempt %s of task %s is not yours any more', p_attempt, p_task));
    END IF;
    RETURN;
  END IF;
  SELECT string_agg(x.name, ', ') INTO v_missing
    FROM jsonb_to_recordset(p_artifacts) AS x(name text, digest text, size bigint)
    WHERE NOT EXISTS (SELECT FROM farm.blob b WHERE b.digest = decode(x.digest, 'hex') AND b.size = x.size);
  IF v_missing IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('these artifacts were not delivered, or are of another size: %s', v_missing));
  END IF;
  INSERT INTO farm.artifact (task_id, attempt, kind, name, digest, size)
    SELECT p_task, p_attempt, x.kind, x.name, decode(x.digest, 'hex'), x.size
    FROM jsonb_to_recordset(p_artifacts) AS x(kind farm.artifact_kind, name text, digest text, size bigint);
  SELECT digest INTO v_log FROM farm.artifact WHERE task_id = p_task AND attempt = p_attempt AND kind = 'log';
  UPDATE farm.attempt SET outcome = p_outcome, cause = p_cause, stage = coalesce(p_stage, stage), message = nullif(p_message, ''),
      excerpt = p_excerpt, stages = p_stages, finished_at = now(), log_digest = v_log
    WHERE task_id = p_task AND number = p_attempt AND outcome IS NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('attempt %s of task %s has ended', p_attempt, p_task));
  END IF;
  IF v_log IS NOT NULL THEN
    DELETE FROM farm.log_chunk WHERE task_id = p_task AND attempt = p_attempt;
  END IF;
  CASE p_outcome
    WHEN 'succeeded' THEN
      PERFORM farm.remember_time(p_task);
      v_job := farm.end_task(p_task, 'succeeded', NULL, NULL);
    WHEN 'failed' THEN v_job := farm.end_task(p_task, 'failed', p_cause, p_message);
    WHEN 'farm_fault' THEN v_job := farm.requeue(p_task, p_outcome, p_cause, p_message);
    ELSE PERFORM farm.refuse('conflict', format('a builder cannot end an attempt as %s', p_outcome));
  END CASE;
  PERFORM farm.jobs_changed(ARRAY[v_job]);
END $$;

-- What a job of one source took is what that package takes on that platform; newer builds count more.
CREATE FUNCTION farm.remember_time(p_task bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.build_time AS b (platform, name, seconds)
    SELECT t.platform, min(s.name), extract(epoch FROM now() - min(t.started_at))
    FROM farm.task t JOIN farm.source s ON s.job_id = t.job_id
    WHERE t.id = p_task GROUP BY t.platform HAVING count(*) = 1 AND min(s.name) IS NOT NULL
    ON CONFLICT (platform, name) DO UPDATE SET seconds = b.seconds * 0.7 + excluded.seconds * 0.3, builds = b.builds + 1;
END $$;

CREATE FUNCTION farm.release(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_message text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
BEGIN
  DELETE FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder
    RETURNING * INTO v_lease;
  IF NOT FOUND THEN
    PERFORM farm.refuse('lease_lost', format('attempt %s of task %s is not yours any more', p_attempt, p_task));
  END IF;
  PERFORM farm.jobs_changed(ARRAY[farm.end_attempt(v_lease, 'released', NULL, p_message)]);
END $$;

-- Takes back what silent builders held. Answers how many leases ended.
CREATE FUNCTION farm.reap(p_grace interval) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
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

-- The pieces of a log are put together in a blob: record it, drop them.
CREATE FUNCTION farm.seal_log(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.blob (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
  UPDATE farm.attempt SET log_digest = p_digest WHERE task_id = p_task AND number = p_attempt AND outcome IS NOT NULL AND log_digest IS NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('attempt %s of task %s runs, or has its log sealed', p_attempt, p_task));
  END IF;
  INSERT INTO farm.artifact (task_id, attempt, kind, name, digest, size) VALUES (p_task, p_attempt, 'log', 'build.log.gz', p_digest, p_size);
  DELETE FROM farm.log_chunk WHERE task_id = p_task AND attempt = p_attempt;
END $$;

-- Withdraws one task wherever it is. Answers whether there was anything to withdraw; the caller tells the job in the end.
CREATE FUNCTION farm.cancel_task(p_task bigint, p_message text) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task farm.task;
  v_lease farm.lease;
BEGIN
  -- It may be claimed, reaped or ended between two looks; then look again.
  FOR try IN 1..10 LOOP
    SELECT * INTO v_task FROM farm.task WHERE id = p_task;
    IF v_task.id IS NULL OR farm.is_final(v_task.state) THEN
      RETURN false;
    END IF;
    IF v_task.state = 'waiting' THEN
      UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', message = p_message, finished_at = now()
        WHERE id = p_task AND state = 'waiting';
      IF FOUND THEN
        RETURN true;
      END IF;
    END IF;
    DELETE FROM farm.ready WHERE platform = v_task.platform AND class = v_task.class AND rank = v_task.rank AND task_id = p_task;
    IF FOUND THEN
      PERFORM farm.end_task(p_task, 'cancelled', 'cancelled', p_message);
      RETURN true;
    END IF;
    DELETE FROM farm.lease WHERE task_id = p_task RETURNING * INTO v_lease;
    IF FOUND THEN
      PERFORM farm.end_attempt(v_lease, 'cancelled', 'cancelled', p_message);
      PERFORM pg_notify('farm_orders', v_lease.builder_id::text);
      RETURN true;
    END IF;
  END LOOP;
  PERFORM farm.refuse('conflict', format('task %s changes too fast to be cancelled; try again', p_task));
END $$;

-- Withdraws what of a job has not ended. Answers how many tasks (or the job itself) that were.
CREATE FUNCTION farm.cancel_job(p_job bigint, p_principal text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_task bigint;
  v_count int := 0;
BEGIN
  UPDATE farm.job SET state = 'cancelled', decided_at = now() WHERE id = p_job AND state = 'submitted';
  IF FOUND THEN
    PERFORM farm.jobs_changed(ARRAY[p_job]);
    RETURN 1;
  END IF;
  IF NOT EXISTS (SELECT FROM farm.job WHERE id = p_job) THEN
    PERFORM farm.refuse('not_found', format('there is no job %s', p_job));
  END IF;
  FOR v_task IN SELECT id FROM farm.task WHERE job_id = p_job ORDER BY id LOOP
    IF farm.cancel_task(v_task, format('cancelled by %s', p_principal)) THEN
      v_count := v_count + 1;
    END IF;
  END LOOP;
  IF v_count > 0 THEN
    PERFORM farm.jobs_changed(ARRAY[p_job]);
  END IF;
  RETURN v_count;
END $$;

-- Builds again what did not succeed: same job, next attempt. Answers how many tasks.
CREATE FUNCTION farm.retry_job(p_job bigint, p_failed_only boolean) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_task bigint;
  v_count int := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM farm.job WHERE id = p_job) THEN
    PERFORM farm.refuse('not_found', format('there is no job %s', p_job));
  END IF;
  FOR v_task IN
    UPDATE farm.task SET state = 'pending', cause = NULL, message = NULL, finished_at = NULL, faults = 0
    WHERE job_id = p_job AND (state = 'failed' OR (state = 'cancelled' AND NOT p_failed_only)) RETURNING id
  LOOP
    PERFORM farm.make_ready(v_task, now(), '{}');
    v_count := v_count + 1;
  END LOOP;
  IF v_count > 0 THEN
    PERFORM farm.jobs_changed(ARRAY[p_job]);
  END IF;
  RETURN v_count;
END $$;

RESET ROLE;
