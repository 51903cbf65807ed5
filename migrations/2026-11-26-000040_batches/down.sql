SET LOCAL ROLE farm_owner;
CREATE FUNCTION farm.remember_time(p_task bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.build_time AS b (platform, name, seconds)
    SELECT t.platform, min(s.name), extract(epoch FROM now() - min(t.started_at))
    FROM farm.task t JOIN farm.source s ON s.job_id = t.job_id
    WHERE t.id = p_task GROUP BY t.platform HAVING count(*) = 1 AND min(s.name) IS NOT NULL
    ON CONFLICT (platform, name) DO UPDATE SET seconds = b.seconds * 0.7 + excluded.seconds * 0.3, builds = b.builds + 1;
END $$;
CREATE OR REPLACE FUNCTION farm.finish_with_record(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
    p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb, p_usage jsonb, p_marks jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder FOR UPDATE;
  -- Sent again after a lost answer it changes nothing; whether it may be sent again is decided below.
  IF FOUND THEN
    UPDATE farm.attempt SET marks = p_marks, peak_memory_bytes = (p_usage->>'peak_memory_bytes')::bigint,
        cpu_milliseconds = (p_usage->>'cpu_milliseconds')::bigint, written_bytes = (p_usage->>'written_bytes')::bigint
      WHERE task_id = p_task AND number = p_attempt;
  END IF;
  PERFORM farm.finish(p_builder, p_task, p_attempt, p_token, p_outcome, p_cause, p_stage, p_message, p_excerpt, p_stages, p_artifacts);
END $$;
CREATE OR REPLACE FUNCTION farm.take_result(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
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
CREATE OR REPLACE FUNCTION farm.finish(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
    p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_held boolean := EXISTS (SELECT FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token
                            AND builder_id = p_builder FOR UPDATE);
  v_missing text;
BEGIN
  SELECT string_agg(x.name, ', ') INTO v_missing FROM jsonb_to_recordset(p_artifacts) AS x(name text, digest text)
    WHERE v_held AND NOT EXISTS (SELECT FROM farm.delivered d WHERE d.task_id = p_task AND d.attempt = p_attempt
                                 AND d.digest = decode(x.digest, 'hex'));
  IF v_missing IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('these artifacts were not delivered, or are of another size: %s', v_missing));
  END IF;
  PERFORM farm.take_result(p_builder, p_task, p_attempt, p_token, p_outcome, p_cause, p_stage, p_message, p_excerpt, p_stages, p_artifacts);
  IF v_held THEN
    DELETE FROM farm.delivered WHERE task_id = p_task AND attempt = p_attempt;
    -- The row of the job is ours already, see farm.jobs_changed.
    UPDATE farm.job SET bytes = bytes + (SELECT coalesce(sum(size), 0) FROM farm.artifact WHERE task_id = p_task AND attempt = p_attempt)
      WHERE id = (SELECT job_id FROM farm.task WHERE id = p_task);
    PERFORM farm.record(farm.builder_actor(p_builder), 'finish', 'task ' || p_task,
      jsonb_build_object('attempt', p_attempt, 'outcome', p_outcome, 'cause', p_cause, 'artifacts', nullif(jsonb_array_length(p_artifacts), 0)));
  END IF;
END $$;
CREATE OR REPLACE FUNCTION farm.jobs_changed(p_jobs bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_left bigint[] := p_jobs;
  v_job bigint;
  v_succeeded boolean;
  v_next bigint;
BEGIN
  LOOP
    SELECT min(j) INTO v_job FROM unnest(v_left) AS j;
    EXIT WHEN v_job IS NULL;
    v_left := array_remove(v_left, v_job);
    PERFORM pg_notify('farm_job', v_job::text);
    -- Two tasks that end in the same moment: the second one to get here sees both.
    PERFORM FROM farm.job WHERE id = v_job FOR NO KEY UPDATE;
    v_succeeded := farm.job_succeeded(v_job);
    UPDATE farm.job SET open = (v_succeeded IS NULL) WHERE id = v_job AND open <> (v_succeeded IS NULL);
    CONTINUE WHEN v_succeeded IS NULL;
    FOR v_next IN SELECT id FROM farm.job WHERE after_job = v_job AND state = 'accepted' LOOP
      IF (CASE WHEN v_succeeded THEN farm.stop_waiting(v_next) ELSE farm.give_up_waiting(v_next, v_job) END) THEN
        v_left := v_left || v_next;
      END IF;
    END LOOP;
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION farm.close_task(p_task bigint, p_state farm.task_state, p_cause farm.cause, p_message text) RETURNS bigint
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
CREATE OR REPLACE FUNCTION farm.end_task(p_task bigint, p_state farm.task_state, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job bigint := farm.close_task(p_task, p_state, p_cause, p_message);
BEGIN
  IF p_state = 'succeeded' THEN
    INSERT INTO farm.unpublished (bucket, platform)
      SELECT j.bucket, t.platform FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = p_task;
  END IF;
  RETURN v_job;
END $$;
DROP TRIGGER expect_no_more ON farm.lease;
CREATE OR REPLACE FUNCTION farm.expect_no_more() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  DELETE FROM farm.expected WHERE task_id = OLD.task_id AND attempt = OLD.attempt;
  RETURN NULL;
END $$;
CREATE TRIGGER expect_no_more AFTER DELETE ON farm.lease FOR EACH ROW EXECUTE FUNCTION farm.expect_no_more();
CREATE OR REPLACE FUNCTION farm.take_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision)
LANGUAGE plpgsql ROWS 2 SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
  v_platforms text[] := farm.platforms_of(p_builder);
  v_slots int;
  v_careful boolean;
  v_room record;
  v_class farm.class := 'background';
  v_rank bigint := 9223372036854775807;
  v_task bigint := 9223372036854775807;
  v_pass bigint[] := '{}';
  v_saved farm.ready;
BEGIN
  PERFORM farm.be_alive(p_builder, p_instance);
  -- A builder without work shows itself by claiming; rarely, as this is a write.
  UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder AND last_seen_at < now() - interval '10 seconds';
  SELECT greatest(b.slots, 1), b.saves_for IS NOT NULL INTO v_slots, v_careful FROM farm.builder b WHERE b.id = p_builder;
  LOOP
    IF v_careful THEN
      SELECT * INTO v_room FROM farm.make_room(p_builder, v_platforms, v_slots, p_want);
      v_class := v_room.o_class;
      v_rank := v_room.o_rank;
      v_task := v_room.o_task;
      v_pass := v_room.o_pass;
      v_saved := v_room.o_saved;
    END IF;
    RETURN QUERY
    WITH head AS MATERIALIZED (
      SELECT h.platform, h.class, h.rank, h.task_id, h.weight FROM (
        SELECT h.* FROM unnest(v_platforms) AS p(name) CROSS JOIN LATERAL (
          SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = p.name AND r.not_before <= now()
            -- Better the same builder again than never.
            AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
            AND (r.class, r.rank, r.task_id) < (v_class, v_rank, v_task) AND r.task_id <> ALL (v_pass)
          ORDER BY r.class, r.rank, r.task_id LIMIT p_want + 8) h
        UNION ALL
        SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = v_saved.platform AND r.class = v_saved.class AND r.rank = v_saved.rank AND r.task_id = v_saved.task_id) h
      ORDER BY h.class, h.rank, h.task_id LIMIT p_want + 8),
    locked AS (
      SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM head JOIN farm.ready r USING (platform, class, rank, task_id)
      WHERE v_careful OR NOT (SELECT bool_or(weight > 1) FROM head)
      ORDER BY r.class, r.rank, r.task_id LIMIT p_want FOR UPDATE OF r SKIP LOCKED),
    fitting AS (
      SELECT l.*, sum(least(l.weight, v_slots)) OVER (ORDER BY l.class, l.rank, l.task_id) AS total FROM locked l),
    taken AS (
      DELETE FROM farm.ready r USING fitting l
      WHERE l.total <= p_want AND r.platform = l.platform AND r.class = l.class AND r.rank = l.rank AND r.task_id = l.task_id
      RETURNING r.task_id, r.not_before, r.weight),
    leased AS (
      UPDATE farm.task t SET state = 'leased', attempts = t.attempts + 1, started_at = now()
      FROM taken WHERE t.id = taken.task_id AND t.state = 'pending'
      RETURNING t.id, t.attempts, t.job_id, t.platform, t.timeout_seconds, gen_random_uuid() AS token, taken.not_before, taken.weight),
    begun AS (
      INSERT INTO farm.attempt (task_id, number, builder_id, token) SELECT l.id, l.attempts, p_builder, l.token FROM leased l),
    held AS (
      INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at, weight, instance)
      SELECT l.id, l.attempts, p_builder, l.token, now() + p_lease, least(l.weight, v_slots), p_instance FROM leased l),
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
      RETURN;
    END IF;
    EXIT WHEN v_careful OR NOT EXISTS (SELECT FROM farm.ready r WHERE r.weight > 1 AND r.platform = ANY (v_platforms));
    v_careful := true;
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION farm.claim(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
  v_actor farm.actor;
BEGIN
  FOR task_id, attempt, token, job_id, platform, timeout_seconds, recipe, sources, waited, network IN
    SELECT t.*, j.network FROM farm.take_tasks(p_builder, p_instance, p_want, p_lease) t JOIN farm.job j ON j.id = t.job_id
  LOOP
    v_actor := coalesce(v_actor, farm.builder_actor(p_builder));
    PERFORM farm.record(v_actor, 'claim', 'task ' || task_id, jsonb_build_object('attempt', attempt));
    RETURN NEXT;
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_platform text;
BEGIN
  INSERT INTO farm.ready (platform, class, rank, task_id, not_before, avoid, weight)
    SELECT platform, class, rank, id, p_not_before, p_avoid, weight FROM farm.task WHERE id = p_task AND state = 'pending'
    RETURNING platform INTO STRICT v_platform;
  PERFORM pg_notify('farm_ready', v_platform);
END $$;
CREATE OR REPLACE FUNCTION farm.platforms_of(p_builder int) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT coalesce(array_agg(p.name), '{}') FROM farm.builder b
    JOIN farm.platform p ON p.enabled AND p.arch = ANY (b.arches) AND (b.platforms IS NULL OR p.name = ANY (b.platforms))
    WHERE b.id = p_builder AND b.state = 'enabled');
END $$;
CREATE OR REPLACE FUNCTION farm.build_limits_of(p_person int) RETURNS jsonb LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT coalesce((SELECT limits FROM farm.build_limits WHERE person_id IS NULL), '{}')
      || coalesce((SELECT limits FROM farm.build_limits WHERE person_id = p_person), '{}')
$$;
CREATE OR REPLACE FUNCTION farm.builds_with(p_builder int, p_tasks bigint[]) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY
  SELECT jsonb_build_object('task', l.task_id, 'like', farm.like_of(l.task_id),
      'lacks', CASE WHEN j.after_job IS NOT NULL THEN farm.lacks_before(j.person_id, j.after_job) END,
      'predecessors', CASE WHEN j.after_job IS NOT NULL THEN jsonb_build_object(
        'jobs', (SELECT jsonb_agg(p.o_job ORDER BY p.o_job) FROM farm.predecessors(j.id) p),
        'packages', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', x.o_name, 'digest', encode(x.o_digest, 'hex'), 'size', x.o_size,
            'job', x.o_job) ORDER BY x.o_name), '[]') FROM farm.packages_before(l.task_id) x)) END)
    FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.job j ON j.id = t.job_id
    WHERE l.task_id = ANY (p_tasks) AND l.builder_id = p_builder AND num_nonnulls(j.like_task, j.after_job) > 0;
END $$;
ALTER FUNCTION farm.claim SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION farm.finish_with_record SET plan_cache_mode = force_generic_plan;
DROP FUNCTION farm.finish_all, farm.undelivered, farm.end_tasks, farm.presence, farm.renew_all, farm.hands_over, farm.saw, farm.claim_keys, farm.claim_tasks,
  farm.hand_out, farm.record_leases, farm.ready_keys, farm.due_in, farm.serves,
  farm.built_with, farm.remember_times;
DROP TYPE farm.pick;
RESET ROLE;
