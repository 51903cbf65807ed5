SET LOCAL ROLE farm_owner;

-- How every function refuses. farm-db tells the kinds apart by the constraint name: conflict, not_found, lease_lost.
CREATE FUNCTION farm.refuse(p_kind text, p_message text) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = p_message, ERRCODE = 'P0001', CONSTRAINT = 'farm_' || p_kind;
END $$;

CREATE FUNCTION farm.is_final(p_state farm.task_state) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT p_state IN ('succeeded', 'failed', 'cancelled') $$;

CREATE FUNCTION farm.person_of(p_principal text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  SELECT id INTO v_id FROM farm.person WHERE principal = p_principal;
  IF NOT FOUND THEN
    INSERT INTO farm.person (principal) VALUES (p_principal)
      ON CONFLICT (principal) DO UPDATE SET principal = excluded.principal RETURNING id INTO v_id;
  END IF;
  RETURN v_id;
END $$;

-- Hands in a job. The same key with the same request answers the same job; with another request it is refused.
CREATE FUNCTION farm.submit(p_principal text, p_key text, p_request farm.sha256, p_title text, p_bucket text,
    p_class farm.class, p_targets text, p_timeout int, p_after bigint, p_names text[], p_digests bytea[],
    OUT o_job bigint, OUT o_created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := farm.person_of(p_principal);
  v_missing text;
BEGIN
  IF NOT EXISTS (SELECT FROM farm.bucket WHERE name = p_bucket) THEN
    PERFORM farm.refuse('not_found', format('there is no bucket “%s”', p_bucket));
  END IF;
  IF p_after IS NOT NULL AND NOT EXISTS (SELECT FROM farm.job WHERE id = p_after) THEN
    PERFORM farm.refuse('not_found', format('there is no job %s to come after', p_after));
  END IF;
  SELECT string_agg(encode(d, 'hex'), ', ') INTO v_missing
    FROM unnest(p_digests) AS d WHERE NOT EXISTS (SELECT FROM farm.blob WHERE digest = d);
  IF v_missing IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('these files were not uploaded: %s', v_missing));
  END IF;

  INSERT INTO farm.job (person_id, key, request, title, bucket, class, targets, timeout_seconds, after_job)
    VALUES (v_person, p_key, p_request, p_title, p_bucket, p_class, p_targets, p_timeout, p_after)
    ON CONFLICT (person_id, key) DO NOTHING RETURNING id INTO o_job;
  o_created := FOUND;
  IF NOT o_created THEN
    SELECT id INTO o_job FROM farm.job WHERE person_id = v_person AND key = p_key AND request = p_request;
    IF NOT FOUND THEN
      PERFORM farm.refuse('conflict', format('another job of yours has the id “%s”; choose another --id', p_key));
    END IF;
    RETURN;
  END IF;
  INSERT INTO farm.source (job_id, position, file_name, digest)
    SELECT o_job, n, name, digest FROM unnest(p_names, p_digests) WITH ORDINALITY AS s(name, digest, n);
  NOTIFY farm_submitted;
END $$;

-- Takes one job to decide on; its row stays locked until the transaction ends, so any number of validators can work
-- side by side, and the job of one that dies is free again at once.
CREATE FUNCTION farm.take_submitted() RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
  SELECT id FROM farm.job WHERE state = 'submitted' AND next_try_at <= now()
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED LIMIT 1
$$;

-- Where a new task stands in the order of its platform and class: start-time fair queueing. The virtual clock is the
-- rank of who is next; a person's task begins where that person's last one ended, but never in the past.
CREATE FUNCTION farm.place(p_platform text, p_class farm.class, p_person int, p_cost bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_clock bigint;
  v_cost bigint;
  v_finish bigint;
BEGIN
  -- One before the next: a newcomer goes ahead of those who have been served already.
  SELECT r.rank - 1 INTO v_clock FROM farm.ready r WHERE r.platform = p_platform AND r.class = p_class
    ORDER BY r.rank LIMIT 1;
  IF NOT FOUND THEN
    SELECT max(finish) INTO v_clock FROM farm.share WHERE platform = p_platform AND class = p_class;
  END IF;
  v_clock := coalesce(v_clock, 0);
  SELECT greatest(1, (p_cost / weight)::bigint) INTO v_cost FROM farm.person WHERE id = p_person;
  INSERT INTO farm.share AS s (platform, class, person_id, finish) VALUES (p_platform, p_class, p_person, v_clock + v_cost)
    ON CONFLICT (platform, class, person_id) DO UPDATE SET finish = greatest(s.finish, v_clock) + v_cost
    RETURNING finish INTO v_finish;
  RETURN v_finish - v_cost;
END $$;

-- How long a job's sources are expected to take on a platform, in milliseconds: what they took before, or a minute each.
CREATE FUNCTION farm.expected_cost(p_job bigint, p_platform text) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT greatest(1, sum(coalesce(t.seconds, 60) * 1000))::bigint
  FROM farm.source s LEFT JOIN farm.build_time t ON t.platform = p_platform AND t.name = s.name
  WHERE s.job_id = p_job
$$;

-- Puts a task where it can be claimed. The caller has set its state to pending.
CREATE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_platform text;
BEGIN
  INSERT INTO farm.ready (platform, class, rank, task_id, not_before, avoid)
    SELECT platform, class, rank, id, p_not_before, p_avoid FROM farm.task WHERE id = p_task AND state = 'pending'
    RETURNING platform INTO STRICT v_platform;
  PERFORM pg_notify('farm_ready', v_platform);
END $$;

-- Whether a job that others come after lets them begin: NULL while it has not ended.
CREATE FUNCTION farm.job_succeeded(p_job bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT CASE j.state
    WHEN 'submitted' THEN NULL
    WHEN 'accepted' THEN (SELECT CASE WHEN bool_and(farm.is_final(t.state)) THEN bool_and(t.state = 'succeeded') END
                          FROM farm.task t WHERE t.job_id = j.id)
    ELSE false END
  FROM farm.job j WHERE j.id = p_job
$$;

-- Accepts a job: what the validator read from its sources, and a task for each platform, all or nothing.
CREATE FUNCTION farm.accept(p_job bigint, p_sources jsonb, p_platforms text[], p_warnings jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_job farm.job;
  v_goes boolean := true;
  v_task bigint;
  v_platform text;
BEGIN
  UPDATE farm.job SET state = 'accepted', decided_at = now(), warnings = p_warnings
    WHERE id = p_job AND state = 'submitted' RETURNING * INTO v_job;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('job %s is not waiting for a decision', p_job));
  END IF;
  IF cardinality(p_platforms) = 0 THEN
    PERFORM farm.refuse('conflict', format('job %s would be built nowhere', p_job));
  END IF;
  UPDATE farm.source s SET name = x.name, epoch = x.epoch, version = x.version, release = x.release
    FROM jsonb_to_recordset(p_sources) AS x(position int, name text, epoch bigint, version text, release text)
    WHERE s.job_id = p_job AND s.position = x.position;

  IF v_job.after_job IS NOT NULL THEN
    -- Locked, so that it cannot end between this look and our commit without seeing our tasks.
    PERFORM FROM farm.job WHERE id = v_job.after_job FOR NO KEY UPDATE;
    v_goes := farm.job_succeeded(v_job.after_job);
  END IF;
  -- In one order, so that two jobs of one person do not wait for each other in farm.place.
  FOR v_platform IN SELECT DISTINCT name FROM unnest(p_platforms) AS name ORDER BY name LOOP
    INSERT INTO farm.task (job_id, platform, state, class, rank, timeout_seconds)
      SELECT p_job, p.name, CASE WHEN v_goes THEN 'pending' ELSE 'waiting' END::farm.task_state, v_job.class,
             farm.place(p.name, v_job.class, v_job.person_id, farm.expected_cost(p_job, p.name)),
             coalesce(v_job.timeout_seconds, (p.recipe->>'timeout_seconds')::int, 7200)
      FROM farm.platform p WHERE p.name = v_platform AND p.enabled
      RETURNING id INTO v_task;
    IF NOT FOUND THEN
      PERFORM farm.refuse('conflict', format('platform %s was disabled in the meantime', v_platform));
    END IF;
    IF v_goes THEN
      PERFORM farm.make_ready(v_task, now(), '{}');
    END IF;
  END LOOP;
  IF v_goes = false THEN
    PERFORM farm.give_up_waiting(p_job, v_job.after_job);
  END IF;
  PERFORM farm.jobs_changed(ARRAY[p_job]);
END $$;

-- Cancels the waiting tasks of a job whose predecessor did not succeed. Answers whether there were any.
CREATE FUNCTION farm.give_up_waiting(p_job bigint, p_predecessor bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', finished_at = now(),
      message = format('job %s, which this one comes after, did not succeed', p_predecessor)
    WHERE job_id = p_job AND state = 'waiting';
  RETURN FOUND;
END $$;

-- Lets the waiting tasks of a job go. Answers whether there were any.
CREATE FUNCTION farm.stop_waiting(p_job bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task bigint;
  v_any boolean := false;
BEGIN
  FOR v_task IN UPDATE farm.task SET state = 'pending' WHERE job_id = p_job AND state = 'waiting' RETURNING id LOOP
    PERFORM farm.make_ready(v_task, now(), '{}');
    v_any := true;
  END LOOP;
  RETURN v_any;
END $$;

-- Called last by whatever changed the tasks of jobs: tells those who watch, and lets those who wait for the jobs go on.
-- Here alone jobs with tasks are locked, after everything else and in the order of their numbers (a job comes after one
-- with a smaller number), so transactions that change tasks of the same jobs never wait for each other in a circle.
CREATE FUNCTION farm.jobs_changed(p_jobs bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
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
    CONTINUE WHEN v_succeeded IS NULL;
    FOR v_next IN SELECT id FROM farm.job WHERE after_job = v_job AND state = 'accepted' LOOP
      IF (CASE WHEN v_succeeded THEN farm.stop_waiting(v_next) ELSE farm.give_up_waiting(v_next, v_job) END) THEN
        v_left := v_left || v_next;
      END IF;
    END LOOP;
  END LOOP;
END $$;

CREATE FUNCTION farm.reject(p_job bigint, p_reasons jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.job SET state = 'rejected', decided_at = now(), reasons = p_reasons WHERE id = p_job AND state = 'submitted';
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('job %s is not waiting for a decision', p_job));
  END IF;
  PERFORM farm.jobs_changed(ARRAY[p_job]);
END $$;

-- A fault of the farm kept a validator from deciding: the job stays submitted and is tried again, ever more rarely.
CREATE FUNCTION farm.postpone(p_job bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.job SET tries = tries + 1, next_try_at = now() + least(interval '5 minutes', interval '2 seconds' * 2 ^ least(tries, 10))
    WHERE id = p_job AND state = 'submitted';
END $$;

RESET ROLE;
