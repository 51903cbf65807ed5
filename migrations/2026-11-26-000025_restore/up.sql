SET LOCAL ROLE farm_owner;

-- After a restore: of the database to an earlier state, of the store to one that lacks something, or of both.

-- Numbers that were given out between the state that the database was set back to and its end. What had them is lost, people have seen
-- them in messages and links, and they are not given again.
CREATE TABLE farm.restoration (
  id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at           timestamptz NOT NULL DEFAULT now(),
  state_of     timestamptz NOT NULL,                -- the newest line of the audit that is left
  jobs_from    bigint NOT NULL,
  jobs_before  bigint NOT NULL CHECK (jobs_before > jobs_from),
  tasks_from   bigint NOT NULL,
  tasks_before bigint NOT NULL CHECK (tasks_before > tasks_from)
);

-- Lets the numbers of a table go on so much further on. Answers from which to before which one none is given. What PostgreSQL had fetched
-- from the sequence ahead is gone in a restored database, so the lost ones begin after the last row and not where the sequence is.
CREATE FUNCTION farm.skip_numbers(p_table regclass, p_skip bigint, OUT o_from bigint, OUT o_before bigint)
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_sequence text := pg_get_serial_sequence(p_table::text, 'id');
BEGIN
  EXECUTE format('SELECT coalesce(max(id), 0) + 1 FROM %s', p_table) INTO o_from;
  o_before := nextval(v_sequence) + p_skip;
  PERFORM setval(v_sequence, o_before, false);
END $$;

-- Makes a database that was set back fit to work. What was under way in the state that it has now is under way nowhere, or is not ours to
-- know of, so every lease ends; sessions and tokens that were given for tickets end too, as some may have been revoked in what is lost;
-- repositories are published anew, as they may be of the lost time. Nobody may be at work yet, who would give out numbers again.
CREATE FUNCTION farm.after_restore(p_actor farm.actor, p_skip bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_here text := (SELECT string_agg(DISTINCT usename::text, ', ') FROM pg_stat_activity WHERE datname = current_database()
                  AND usename IN ('farm_web', 'farm_hub', 'farm_validator', 'farm_janitor', 'farm_publisher'));
  v_state timestamptz := coalesce((SELECT at FROM farm.audit ORDER BY id DESC LIMIT 1), now());
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
  v_logins int;
  v_new farm.restoration;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_skip NOT BETWEEN 1 AND 1000000000000 THEN
    PERFORM farm.refuse('conflict', format('%s numbers cannot be left out', p_skip));
  END IF;
  IF v_here IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('daemons are at work on this database (%s): stop them, and start them when this is done', v_here));
  END IF;
  -- No hub was there to renew at, so what is lost now says nothing about tasks and builders: see farm.is_blameless.
  INSERT INTO farm.hub_pulse AS p (at, since, lease) VALUES (now() - interval '1 minute', now() - interval '1 minute', '1 minute')
    ON CONFLICT (only_row) DO UPDATE SET at = now() - p.lease;
  FOR v_lease IN
    WITH held AS MATERIALIZED (SELECT task_id FROM farm.lease ORDER BY task_id FOR UPDATE)
    DELETE FROM farm.lease l USING held WHERE l.task_id = held.task_id RETURNING l.*
  LOOP
    v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'internal', 'the database was set back to an earlier state');
  END LOOP;
  DELETE FROM farm.leaving;
  DELETE FROM farm.token WHERE kind IN ('login', 'session');
  GET DIAGNOSTICS v_logins = ROW_COUNT;
  INSERT INTO farm.unpublished (bucket, platform) SELECT p.bucket, p.platform FROM farm.publication p;
  -- Numbers in links to files, and in messages.
  PERFORM farm.skip_numbers('farm.artifact', p_skip * 100);
  PERFORM farm.skip_numbers('farm.notice', p_skip);
  INSERT INTO farm.restoration (state_of, jobs_from, jobs_before, tasks_from, tasks_before)
    SELECT v_state, j.o_from, j.o_before, t.o_from, t.o_before
    FROM farm.skip_numbers('farm.job', p_skip) AS j, farm.skip_numbers('farm.task', p_skip * 10) AS t
    RETURNING * INTO v_new;
  PERFORM farm.record(p_actor, 'restore', 'database', to_jsonb(v_new) - 'id' || jsonb_build_object(
    'leases', cardinality(v_jobs), 'logins', v_logins));
  PERFORM farm.jobs_changed(v_jobs);
  PERFORM farm.access_changed();
  RETURN to_jsonb(v_new) || jsonb_build_object('leases', cardinality(v_jobs), 'logins', v_logins);
END $$;

-- Why there is no job, or no task, of that number, if it is one that may have been lost; NULL: it never was given.
CREATE FUNCTION farm.lost_with(p_kind text, p_number bigint) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT format('there is no %s %s: if there ever was, it was lost when the database was set back to its state of %s; '
                        'what was handed in after that has to be handed in again', p_kind, p_number,
                        to_char(r.state_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
          FROM farm.restoration r
          WHERE CASE p_kind WHEN 'job' THEN p_number >= r.jobs_from AND p_number < r.jobs_before
                            WHEN 'task' THEN p_number >= r.tasks_from AND p_number < r.tasks_before END
          ORDER BY r.id DESC LIMIT 1);
END $$;
GRANT EXECUTE ON FUNCTION farm.lost_with TO farm_web;

-- Blobs of which the store did not have the bytes when it was compared with the database last. Not an owner of theirs.
CREATE TABLE farm.missing (
  digest   farm.sha256 PRIMARY KEY,
  size     bigint NOT NULL,
  found    bigint,                          -- how many bytes the store has instead; NULL: none at all
  found_at timestamptz NOT NULL DEFAULT now()
);

-- Notes what the store lacks of the blobs whose digest begins with that byte. What has been removed meanwhile is not missing.
CREATE FUNCTION farm.note_missing(p_actor farm.actor, p_first int, p_digests bytea[], p_found bigint[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_from bytea := decode(lpad(to_hex(p_first), 2, '0'), 'hex');
  v_to bytea := decode(lpad(to_hex(p_first), 2, '0') || repeat('ff', 32), 'hex');
  v_count int;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  DELETE FROM farm.missing WHERE digest >= v_from AND digest <= v_to;
  INSERT INTO farm.missing (digest, size, found)
    SELECT b.digest, b.size, x.found FROM unnest(p_digests, p_found) AS x(digest, found) JOIN farm.blob b ON b.digest = x.digest;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM farm.record(p_actor, 'miss', 'store', jsonb_build_object('first', p_first, 'blobs', v_count));
  END IF;
  RETURN v_count;
END $$;

-- What is missing of a job's files, and what can be done about it: `build`, a task is built again; `hand in`, whoever has the source
-- brings it again; `forget`, nothing brings it back.
CREATE FUNCTION farm.missing_files(p_job bigint) RETURNS TABLE (o_task bigint, o_attempt int, o_platform text, o_kind text, o_name text, o_cure text)
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
  v_sources boolean := NOT EXISTS (SELECT FROM farm.source s JOIN farm.missing m ON m.digest = s.blob WHERE s.job_id = p_job);
BEGIN
  RETURN QUERY SELECT NULL::bigint, NULL::int, NULL::text, 'source', s.file_name, 'hand in'
    FROM farm.source s JOIN farm.missing m ON m.digest = s.blob WHERE s.job_id = p_job ORDER BY s.position;
  RETURN QUERY SELECT t.id, f.attempt, t.platform, f.kind::text, f.name, CASE
      WHEN t.state <> 'succeeded' OR f.attempt <> t.attempts OR f.kind = 'log' THEN 'forget'
      WHEN v_sources THEN 'build' ELSE 'hand in' END
    FROM farm.task t JOIN farm.artifact f ON f.task_id = t.id JOIN farm.missing m ON m.digest = f.digest
    WHERE t.job_id = p_job ORDER BY t.platform, f.attempt, f.kind, f.name;
END $$;

-- The same of the next jobs after that one, as documents.
CREATE FUNCTION farm.jobs_that_miss(p_after bigint, p_limit int) RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN QUERY
  WITH affected AS (
    SELECT s.job_id AS id FROM farm.missing m JOIN farm.source s ON s.blob = m.digest WHERE s.job_id > p_after
    UNION
    SELECT t.job_id FROM farm.missing m JOIN farm.artifact f ON f.digest = m.digest JOIN farm.task t ON t.id = f.task_id
      WHERE t.job_id > p_after
    ORDER BY 1 LIMIT p_limit)
  SELECT jsonb_build_object('job', j.id, 'title', j.title, 'person', p.principal, 'files', (
      SELECT jsonb_agg(jsonb_build_object('task', f.o_task, 'attempt', f.o_attempt, 'platform', f.o_platform, 'kind', f.o_kind,
        'name', f.o_name, 'cure', f.o_cure)) FROM farm.missing_files(j.id) f))
    FROM affected a JOIN farm.job j ON j.id = a.id JOIN farm.person p ON p.id = j.person_id ORDER BY j.id;
END $$;

-- Builds a task again whose packages are missing. What is left of them goes too: those of two builds do not belong together. The log
-- stays. That they are missing is the store's fault, so it counts against no builder.
CREATE FUNCTION farm.build_again(p_actor farm.actor, p_task bigint, p_missing bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task farm.task;
  v_bytes bigint;
BEGIN
  SELECT * INTO v_task FROM farm.task WHERE id = p_task;
  WITH removed AS (
    DELETE FROM farm.artifact WHERE task_id = p_task AND attempt = v_task.attempts AND kind <> 'log' RETURNING size)
  SELECT coalesce(sum(size), 0) INTO v_bytes FROM removed;
  UPDATE farm.attempt SET outcome = 'farm_fault', cause = 'internal', stage = 'upload', blameless = true,
      message = 'its packages were lost with the store'
    WHERE task_id = p_task AND number = v_task.attempts AND outcome = 'succeeded';
  UPDATE farm.task SET state = 'pending', cause = NULL, message = NULL, finished_at = NULL, faults = 0, lost = 0
    WHERE id = p_task AND state = 'succeeded';
  PERFORM farm.make_ready(p_task, now(), '{}');
  UPDATE farm.job SET bytes = bytes - v_bytes WHERE id = v_task.job_id;
  INSERT INTO farm.unpublished (bucket, platform) SELECT bucket, v_task.platform FROM farm.job WHERE id = v_task.job_id;
  PERFORM farm.record(p_actor, 'build again', 'task ' || p_task, jsonb_build_object('attempt', v_task.attempts, 'missing', p_missing));
END $$;

-- Forgets the files of a job that nothing brings back. Answers how many.
CREATE FUNCTION farm.forget_lost_files(p_actor farm.actor, p_job bigint) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_files int;
  v_bytes bigint;
BEGIN
  WITH lost AS MATERIALIZED (
    SELECT f.o_task, f.o_attempt, f.o_name, f.o_kind FROM farm.missing_files(p_job) f WHERE f.o_cure = 'forget'),
  logs AS (
    UPDATE farm.attempt a SET log_digest = NULL, log_size = 0 FROM lost WHERE a.task_id = lost.o_task AND a.number = lost.o_attempt
      AND lost.o_kind = 'log'),
  removed AS (
    DELETE FROM farm.artifact f USING lost WHERE f.task_id = lost.o_task AND f.attempt = lost.o_attempt AND f.name = lost.o_name
    RETURNING f.size)
  SELECT count(*), coalesce(sum(size), 0) INTO v_files, v_bytes FROM removed;
  IF v_files > 0 THEN
    UPDATE farm.job SET bytes = bytes - v_bytes WHERE id = p_job;
    PERFORM farm.record(p_actor, 'forget lost files', 'job ' || p_job, jsonb_build_object('files', v_files, 'bytes', v_bytes));
  END IF;
  RETURN v_files;
END $$;

-- Mends of a job what can be mended: builds its tasks again whose packages are missing, and forgets what nothing brings back. Answers
-- how many of both. A source that is missing stays named until somebody brings it.
CREATE FUNCTION farm.make_good(p_actor farm.actor, p_job bigint, OUT o_built int, OUT o_forgotten int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_held bigint[] := '{}';
  v_task record;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  o_built := 0;
  -- In the order of all: ready, attempts, tasks, job. Jobs that come after this one would be built without what is missing.
  IF EXISTS (SELECT FROM farm.missing_files(p_job) f WHERE f.o_cure = 'build') THEN
    WITH held AS (
      DELETE FROM farm.ready r USING farm.task t JOIN farm.job n ON n.id = t.job_id
      WHERE n.after_job = p_job AND r.task_id = t.id RETURNING r.task_id)
    SELECT coalesce(array_agg(task_id), '{}') INTO v_held FROM held;
  END IF;
  PERFORM FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id WHERE t.job_id = p_job ORDER BY a.task_id, a.number FOR NO KEY UPDATE OF a;
  PERFORM FROM farm.task WHERE job_id = p_job OR id = ANY (v_held) ORDER BY id FOR NO KEY UPDATE;
  PERFORM FROM farm.job WHERE id = p_job FOR NO KEY UPDATE;
  FOR v_task IN
    SELECT f.o_task AS id, count(*) AS missing FROM farm.missing_files(p_job) f WHERE f.o_cure = 'build' GROUP BY f.o_task ORDER BY f.o_task
  LOOP
    PERFORM farm.build_again(p_actor, v_task.id, v_task.missing);
    o_built := o_built + 1;
  END LOOP;
  IF o_built > 0 THEN
    UPDATE farm.task SET state = 'waiting' WHERE id = ANY (v_held);
    PERFORM farm.record(p_actor, 'wait again', 'job ' || t.job_id, jsonb_build_object('after', p_job, 'tasks', count(*)))
      FROM farm.task t WHERE t.id = ANY (v_held) GROUP BY t.job_id;
  ELSE
    PERFORM farm.make_ready(id, now(), '{}') FROM unnest(v_held) AS id;
  END IF;
  o_forgotten := farm.forget_lost_files(p_actor, p_job);
  IF o_built + o_forgotten > 0 THEN
    PERFORM farm.jobs_changed(ARRAY[p_job]);
  END IF;
END $$;

RESET ROLE;
