SET LOCAL ROLE farm_owner;

-- From here on every change has an actor, who must have the right to it, and leaves a line in the audit. What made the change
-- until now is wrapped, not repeated: the inner functions keep their bodies under new names, and no process may call them.
-- Not in the audit: signs of life, stages and pieces of logs, which change nothing that anybody decides on.

ALTER TABLE farm.job
  -- Whether it is yet to end; kept by farm.jobs_changed, so that what a person has waiting can be counted.
  ADD COLUMN open    boolean NOT NULL DEFAULT true,
  ADD COLUMN bytes   bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),   -- of its sources and artifacts
  ADD COLUMN network boolean NOT NULL DEFAULT false;                 -- whether its builds may use the network
CREATE INDEX job_open ON farm.job (person_id) WHERE open;
UPDATE farm.job j SET open = farm.job_succeeded(j.id) IS NULL,
  bytes = (SELECT coalesce(sum(b.size), 0) FROM farm.source s JOIN farm.blob b ON b.digest = s.digest WHERE s.job_id = j.id)
        + (SELECT coalesce(sum(f.size), 0) FROM farm.task t JOIN farm.artifact f ON f.task_id = t.id WHERE t.job_id = j.id);

CREATE FUNCTION farm.jobs_waiting(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
  $$ SELECT count(*) FROM farm.job WHERE person_id = p_person AND open $$;
CREATE FUNCTION farm.uploads_of(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
  $$ SELECT count(*) FROM farm.upload WHERE person_id = p_person $$;
-- What is kept for a person: sources and results of jobs, what was brought and is in no job yet, and what is on its way.
CREATE FUNCTION farm.bytes_of(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT ((SELECT coalesce(sum(bytes), 0) FROM farm.job WHERE person_id = p_person)
        + (SELECT coalesce(sum(b.size), 0) FROM farm.brought r JOIN farm.blob b ON b.digest = r.digest WHERE r.person_id = p_person
             AND NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                             WHERE s.digest = r.digest AND j.person_id = p_person))
        + (SELECT coalesce(sum(size), 0) FROM farm.upload WHERE person_id = p_person))::bigint
$$;

-- The person of an actor who is about to use something up. Whoever does that twice at the same time waits here for the first to
-- be done, so that the second is counted after it. Nothing that holds another lock comes here.
CREATE FUNCTION farm.one_at_a_time(p_actor farm.actor) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_person int := farm.acting(p_actor);
BEGIN
  PERFORM FROM farm.person WHERE id = v_person FOR NO KEY UPDATE;
  RETURN v_person;
END $$;

-- Refuses with every limit that would be exceeded.
CREATE FUNCTION farm.stay_within(p_person int, p_jobs int, p_uploads int, p_bytes bigint, p_sources int) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_limits farm.limits := farm.limits_of(p_person);
  v_over text;
BEGIN
  SELECT string_agg(format('%s: %s of at most %s', what, asked, allowed), '; ') INTO v_over FROM (VALUES
    ('jobs_waiting', CASE WHEN p_jobs > 0 THEN farm.jobs_waiting(p_person) + p_jobs END, v_limits.jobs_waiting::bigint),
    ('uploads', CASE WHEN p_uploads > 0 THEN farm.uploads_of(p_person) + p_uploads END, v_limits.uploads),
    ('bytes', CASE WHEN p_bytes IS NOT NULL THEN farm.bytes_of(p_person) + p_bytes END, v_limits.bytes),
    ('sources', p_sources::bigint, v_limits.sources)) AS l(what, asked, allowed) WHERE asked > allowed;
  IF v_over IS NOT NULL THEN
    PERFORM farm.refuse('limit', format('this is more than you may use at once (%s); wait for jobs to end, remove what is not '
      'needed, or ask an administrator for more', v_over));
  END IF;
END $$;

-- Begins an upload, or finds the one that the same person began before.
CREATE FUNCTION farm.begin_upload(p_actor farm.actor, p_digest farm.sha256, p_size bigint) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := farm.one_at_a_time(p_actor);
  v_id uuid;
BEGIN
  UPDATE farm.upload SET touched_at = now() WHERE person_id = v_person AND digest = p_digest AND size = p_size RETURNING id INTO v_id;
  IF FOUND THEN
    RETURN v_id;
  END IF;
  PERFORM farm.stay_within(v_person, 0, 1, p_size, 0);
  INSERT INTO farm.upload (person_id, digest, size) VALUES (v_person, p_digest, p_size)
    ON CONFLICT (person_id, digest, size) DO UPDATE SET touched_at = now() RETURNING id INTO v_id;
  PERFORM farm.record(p_actor, 'begin upload', 'blob ' || encode(p_digest, 'hex'), jsonb_build_object('size', p_size));
  RETURN v_id;
END $$;

-- Ends an upload: the blob is there, and who brought it may build it.
CREATE FUNCTION farm.end_upload(p_actor farm.actor, p_upload uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_upload farm.upload;
BEGIN
  DELETE FROM farm.upload WHERE id = p_upload AND person_id = farm.acting(p_actor) RETURNING * INTO v_upload;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', 'there is no such upload of yours; ask for a new one');
  END IF;
  INSERT INTO farm.blob (digest, size) VALUES (v_upload.digest, v_upload.size) ON CONFLICT (digest) DO NOTHING;
  INSERT INTO farm.brought (digest, person_id) VALUES (v_upload.digest, v_upload.person_id) ON CONFLICT DO NOTHING;
  PERFORM farm.record(p_actor, 'upload', 'blob ' || encode(v_upload.digest, 'hex'), jsonb_build_object('size', v_upload.size));
END $$;

-- Whether a person may build a file without bringing it: it was brought by that person, or is a source that the person sees.
CREATE FUNCTION farm.may_build(p_person int, p_digest farm.sha256) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.brought WHERE digest = p_digest AND person_id = p_person)
      OR EXISTS (SELECT FROM farm.source s WHERE s.digest = p_digest AND farm.sees(p_person, s.job_id));
END $$;

-- The size of a blob that the person need not bring; NULL: bring it.
CREATE FUNCTION farm.known_blob(p_actor farm.actor, p_digest farm.sha256) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT size FROM farm.blob WHERE digest = p_digest AND farm.may_build(farm.acting(p_actor), p_digest));
END $$;

-- Hands in a job. The same key with the same request answers the same job, with another request it is refused.
ALTER FUNCTION farm.submit RENAME TO hand_in;
REVOKE EXECUTE ON FUNCTION farm.hand_in FROM farm_web;
CREATE FUNCTION farm.submit(p_actor farm.actor, p_key text, p_request farm.sha256, p_title text, p_bucket text,
    p_class farm.class, p_targets text, p_timeout int, p_after bigint, p_network boolean, p_names text[], p_digests bytea[],
    OUT o_job bigint, OUT o_created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := farm.one_at_a_time(p_actor);
  v_missing text;
BEGIN
  -- What came before was allowed then; a request whose answer was lost must not be refused now.
  SELECT id INTO o_job FROM farm.job WHERE person_id = v_person AND key = p_key AND request = p_request;
  IF FOUND THEN
    o_created := false;
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM farm.bucket WHERE name = p_bucket) THEN
    PERFORM farm.refuse('not_found', format('there is no bucket “%s”', p_bucket));
  END IF;
  PERFORM farm.require(p_actor, 'submit', p_bucket);
  PERFORM farm.require(p_actor, 'class', p_class::text);
  IF p_network THEN
    PERFORM farm.require(p_actor, 'network', NULL);
  END IF;
  IF p_after IS NOT NULL AND NOT farm.sees(v_person, p_after) THEN
    PERFORM farm.refuse('not_found', format('there is no job %s to come after', p_after));
  END IF;
  SELECT string_agg(encode(d, 'hex'), ', ') INTO v_missing FROM unnest(p_digests) AS d WHERE NOT farm.may_build(v_person, d);
  IF v_missing IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('these files were not uploaded: %s', v_missing));
  END IF;
  -- What was brought counts already.
  PERFORM farm.stay_within(v_person, 1, 0, (SELECT coalesce(sum(b.size), 0)::bigint FROM farm.blob b WHERE b.digest = ANY (p_digests)
    AND NOT EXISTS (SELECT FROM farm.brought r WHERE r.digest = b.digest AND r.person_id = v_person)), cardinality(p_digests));
  SELECT h.o_job, h.o_created INTO o_job, o_created
    FROM farm.hand_in((p_actor).principal, p_key, p_request, p_title, p_bucket, p_class, p_targets, p_timeout, p_after, p_names, p_digests) h;
  IF o_created THEN
    UPDATE farm.job SET network = p_network,
        bytes = (SELECT sum(b.size) FROM farm.blob b JOIN unnest(p_digests) AS d ON b.digest = d) WHERE id = o_job;
    PERFORM farm.record(p_actor, 'submit', 'job ' || o_job,
      jsonb_build_object('bucket', p_bucket, 'class', p_class, 'targets', p_targets, 'network', nullif(p_network, false)));
  END IF;
END $$;

-- Who may cancel and retry a job: who handed it in, who owns its bucket, and who may change any; and sees it.
CREATE FUNCTION farm.may_change(p_person int, p_job bigint) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.job j WHERE j.id = p_job AND farm.sees(p_person, j.id)
    AND (j.person_id = p_person OR farm.may(p_person, 'own', j.bucket) OR farm.may(p_person, 'change', NULL)));
END $$;

-- Refuses an actor who has no business with a job.
CREATE FUNCTION farm.require_job(p_actor farm.actor, p_job bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_person int;
  v_job farm.job;
BEGIN
  SELECT * INTO v_job FROM farm.job WHERE id = p_job;
  IF FOUND AND (p_actor).way = 'operator' THEN
    PERFORM farm.require(p_actor, 'change', NULL);
    RETURN;
  END IF;
  v_person := farm.acting(p_actor);
  IF v_job.id IS NULL OR NOT farm.sees(v_person, p_job) THEN
    PERFORM farm.refuse('not_found', format('there is no job %s', p_job));
  END IF;
  IF NOT farm.may_change(v_person, p_job) THEN
    PERFORM farm.refuse('forbidden', format('job %s is not yours: whoever handed it in, an owner of the bucket “%s”, or who has the '
      'right “change” may do that', p_job, v_job.bucket));
  END IF;
END $$;

ALTER FUNCTION farm.cancel_job RENAME TO withdraw_job;
REVOKE EXECUTE ON FUNCTION farm.withdraw_job FROM farm_web;
CREATE FUNCTION farm.cancel_job(p_actor farm.actor, p_job bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  PERFORM farm.require_job(p_actor, p_job);
  v_count := farm.withdraw_job(p_job, (p_actor).principal);
  IF v_count > 0 THEN
    PERFORM farm.record(p_actor, 'cancel', 'job ' || p_job, jsonb_build_object('tasks', v_count));
  END IF;
  RETURN v_count;
END $$;

-- A job is built again in the name of who handed it in, who has to have the rights to it and the room for it still.
CREATE FUNCTION farm.may_go_again(p_job bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job farm.job;
  v_lacks text;
BEGIN
  PERFORM FROM farm.person p JOIN farm.job j ON j.person_id = p.id WHERE j.id = p_job FOR NO KEY UPDATE OF p;
  SELECT * INTO v_job FROM farm.job WHERE id = p_job;
  SELECT string_agg(DISTINCT farm.right_text(what, object), ', ') INTO v_lacks FROM (
    VALUES ('submit'::farm.right, v_job.bucket::text), ('class', v_job.class::text), ('network', CASE WHEN v_job.network THEN '' END)
    UNION ALL SELECT 'build', t.platform FROM farm.task t WHERE t.job_id = p_job AND t.state IN ('failed', 'cancelled')) AS r(what, object)
    WHERE object IS NOT NULL AND NOT farm.may(v_job.person_id, what, nullif(object, ''));
  IF v_lacks IS NOT NULL THEN
    PERFORM farm.refuse('forbidden', format('job %s is not built again: it takes the right “%s”, which whoever handed it in has not, '
      'or no more', p_job, v_lacks));
  END IF;
  IF NOT v_job.open THEN
    PERFORM farm.stay_within(v_job.person_id, 1, 0, NULL, 0);
  END IF;
END $$;

ALTER FUNCTION farm.retry_job RENAME TO reopen_job;
REVOKE EXECUTE ON FUNCTION farm.reopen_job FROM farm_web;
CREATE FUNCTION farm.retry_job(p_actor farm.actor, p_job bigint, p_failed_only boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  PERFORM farm.require_job(p_actor, p_job);
  PERFORM farm.may_go_again(p_job);
  v_count := farm.reopen_job(p_job, p_failed_only);
  IF v_count > 0 THEN
    PERFORM farm.record(p_actor, 'retry', 'job ' || p_job, jsonb_build_object('tasks', v_count));
  END IF;
  RETURN v_count;
END $$;

-- Called last by whatever changed the tasks of jobs: tells those who watch, and lets those who wait for the jobs go on.
-- Here alone jobs with tasks are locked, after everything else and in the order of their numbers (a job comes after one
-- with a smaller number), so transactions that change tasks of the same jobs never wait for each other in a circle.
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

-- Accepts a job, on the platforms that its submitter may use.
ALTER FUNCTION farm.accept RENAME TO make_tasks;
REVOKE EXECUTE ON FUNCTION farm.make_tasks FROM farm_validator;
CREATE FUNCTION farm.accept(p_job bigint, p_sources jsonb, p_platforms text[], p_warnings jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_forbidden text;
BEGIN
  SELECT string_agg(name, ', ') INTO v_forbidden FROM farm.job j, unnest(p_platforms) AS name
    WHERE j.id = p_job AND NOT farm.may(j.person_id, 'build', name);
  IF v_forbidden IS NOT NULL THEN
    PERFORM farm.refuse('forbidden', format('who handed in job %s may not build on %s', p_job, v_forbidden));
  END IF;
  PERFORM farm.make_tasks(p_job, p_sources, p_platforms, p_warnings);
  PERFORM farm.record(NULL, 'accept', 'job ' || p_job, jsonb_build_object('platforms', to_jsonb(p_platforms)));
END $$;

ALTER FUNCTION farm.reject RENAME TO turn_down;
REVOKE EXECUTE ON FUNCTION farm.turn_down FROM farm_validator;
CREATE FUNCTION farm.reject(p_job bigint, p_reasons jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.turn_down(p_job, p_reasons);
  PERFORM farm.record(NULL, 'reject', 'job ' || p_job, jsonb_build_object('reasons', jsonb_path_query_array(p_reasons, '$[*].code')));
END $$;

RESET ROLE;
