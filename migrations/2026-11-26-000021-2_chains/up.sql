SET LOCAL ROLE farm_owner;

-- Chains: a job that comes after others is built with what they made.

-- The job for whose sake a task was given up: the one that did not succeed, and not one between.
ALTER TABLE farm.task ADD COLUMN given_up_for bigint REFERENCES farm.job, ADD CHECK (given_up_for IS NULL OR state = 'cancelled');

-- All jobs that a job comes after, the nearest first.
CREATE FUNCTION farm.predecessors(p_job bigint) RETURNS TABLE (o_job bigint, o_distance int)
LANGUAGE plpgsql STABLE ROWS 5 SET search_path = '' AS $$
BEGIN
  RETURN QUERY
  WITH RECURSIVE before AS (
    SELECT j.after_job AS id, 1 AS distance FROM farm.job j WHERE j.id = p_job AND j.after_job IS NOT NULL
    UNION ALL
    SELECT j.after_job, b.distance + 1 FROM before b JOIN farm.job j ON j.id = b.id WHERE j.after_job IS NOT NULL)
  SELECT b.id, b.distance FROM before b ORDER BY b.distance;
END $$;

-- Whether that person sees what came of a job, whoever asks: farm.sees shows an operator everything.
CREATE FUNCTION farm.may_use_job(p_person int, p_job bigint) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.job j WHERE j.id = p_job
                 AND (farm.may_use_bucket(p_person, j.bucket)
                      OR (j.person_id = p_person AND (SELECT enabled FROM farm.person WHERE id = p_person))));
END $$;

-- What keeps a job from being built with what came of the jobs before it; NULL: nothing.
CREATE FUNCTION farm.lacks_before(p_person int, p_after bigint) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT CASE WHEN j.gone_at IS NOT NULL THEN format('what came of job %s is gone (%s); hand it in again', j.id, j.gone_why)
                ELSE format('what came of job %s, which job %s comes after, is not for everybody to see', j.id, p_after) END
    FROM (SELECT p_after AS id UNION ALL SELECT p.o_job FROM farm.predecessors(p_after) p) b JOIN farm.job j ON j.id = b.id
    WHERE j.gone_at IS NOT NULL OR NOT farm.may_use_job(p_person, j.id) ORDER BY j.id LIMIT 1);
END $$;

-- Whoever hands in a job after another gets what came of that one and of all before it, so it has to be there, and be seen. The jobs
-- are locked, so that their files do not go in this moment.
CREATE FUNCTION farm.build_on() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_lacks text;
BEGIN
  PERFORM FROM farm.job j WHERE j.id = NEW.after_job OR j.id IN (SELECT p.o_job FROM farm.predecessors(NEW.after_job) p)
    ORDER BY j.id FOR SHARE OF j;
  v_lacks := farm.lacks_before(NEW.person_id, NEW.after_job);
  IF v_lacks IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('no job can come after job %s any more: %s', NEW.after_job, v_lacks));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER build_on BEFORE INSERT ON farm.job FOR EACH ROW WHEN (NEW.after_job IS NOT NULL) EXECUTE FUNCTION farm.build_on();

-- Whether a job that has not ended comes after this one, directly or not.
CREATE FUNCTION farm.is_built_on(p_job bigint) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (
    WITH RECURSIVE later AS (
      SELECT j.id, j.open FROM farm.job j WHERE j.after_job = p_job
      UNION ALL
      SELECT j.id, j.open FROM later l JOIN farm.job j ON j.after_job = l.id)
    SELECT FROM later WHERE open);
END $$;

-- As it was, but a job keeps its files for all that come after it, also those that do so by way of others.
ALTER FUNCTION farm.files_due RENAME TO files_overdue;
CREATE FUNCTION farm.files_due(p_bucket text) RETURNS TABLE (o_job bigint, o_bytes bigint, o_why text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT d.* FROM farm.files_overdue(p_bucket) d WHERE NOT farm.is_built_on(d.o_job);
END $$;

-- Somebody may have handed in a job after it since it was looked for.
CREATE FUNCTION farm.nobody_builds_on() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF farm.is_built_on(NEW.id) THEN
    PERFORM farm.refuse('conflict', format('the files of job %s stay: a job was handed in after it in this moment', NEW.id));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER nobody_builds_on BEFORE UPDATE OF gone_at ON farm.job FOR EACH ROW
  WHEN (OLD.gone_at IS NULL AND NEW.gone_at IS NOT NULL) EXECUTE FUNCTION farm.nobody_builds_on();

-- What is given up, and goes on.

-- Why a job did not succeed, as the end of a sentence about it.
CREATE FUNCTION farm.why_not(p_job bigint) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
  v_job farm.job;
  v_failed farm.task;
  v_more int;
BEGIN
  SELECT * INTO v_job FROM farm.job WHERE id = p_job;
  IF v_job.state = 'rejected' THEN
    RETURN format('was rejected: %s', left(v_job.reasons->0->>'message', 300));
  END IF;
  SELECT * INTO v_failed FROM farm.task WHERE job_id = p_job AND state = 'failed' ORDER BY finished_at, id LIMIT 1;
  IF v_failed.id IS NULL THEN
    RETURN 'was cancelled';
  END IF;
  SELECT count(*) - 1 INTO v_more FROM farm.task WHERE job_id = p_job AND state = 'failed';
  RETURN format('failed on %s%s (%s%s)', v_failed.platform, CASE WHEN v_more > 0 THEN format(' and %s more', v_more) ELSE '' END,
    v_failed.cause, coalesce(': ' || left(v_failed.message, 300), ''));
END $$;

-- Cancels the waiting tasks of a job whose predecessor did not succeed, and says which job of those before is at fault, how it failed
-- and what to do. Answers whether there were any. That is done by the process that ended the predecessor, whose end is a line of its own.
CREATE OR REPLACE FUNCTION farm.give_up_waiting(p_job bigint, p_predecessor bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_root bigint;
  v_root_job farm.job;
  v_what text;
  v_count int;
BEGIN
  -- The predecessor may have been given up itself.
  SELECT t.given_up_for INTO v_root FROM farm.task t WHERE t.job_id = p_predecessor AND t.given_up_for IS NOT NULL
    AND NOT EXISTS (SELECT FROM farm.task f WHERE f.job_id = p_predecessor AND f.state = 'failed') LIMIT 1;
  v_root := coalesce(v_root, p_predecessor);
  SELECT * INTO v_root_job FROM farm.job WHERE id = v_root;
  -- Who sees this job need not see that one.
  v_what := CASE WHEN EXISTS (SELECT FROM farm.bucket b WHERE b.name = v_root_job.bucket AND b.public)
                   OR v_root_job.bucket = (SELECT bucket FROM farm.job WHERE id = p_job)
                 THEN farm.why_not(v_root) ELSE 'did not succeed' END;
  UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', finished_at = now(), given_up_for = v_root,
      message = format('job %s, which this one comes after%s, %s; %s', v_root,
        CASE WHEN v_root <> p_predecessor THEN format(' by way of job %s', p_predecessor) ELSE '' END, v_what,
        CASE WHEN v_root_job.state = 'accepted' THEN format('`farm retry %s` builds it again and then goes on with this one', v_root)
             ELSE 'hand in both again' END)
    WHERE job_id = p_job AND state = 'waiting';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM farm.record(NULL, 'give up', 'job ' || p_job, jsonb_build_object('after', p_predecessor, 'for', v_root, 'tasks', v_count));
  END IF;
  RETURN v_count > 0;
END $$;

-- A job that had ended is built again: what was given up for its sake waits again. What somebody cancelled stays so.
CREATE FUNCTION farm.wait_again() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_next bigint;
  v_count int;
  v_jobs bigint[] := '{}';
BEGIN
  FOR v_next IN SELECT id FROM farm.job WHERE after_job = NEW.id AND state = 'accepted' AND gone_at IS NULL ORDER BY id LOOP
    UPDATE farm.task SET state = 'waiting', cause = NULL, message = NULL, finished_at = NULL, given_up_for = NULL
      WHERE job_id = v_next AND given_up_for IS NOT NULL;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count > 0 THEN
      PERFORM farm.record(NULL, 'wait again', 'job ' || v_next, jsonb_build_object('after', NEW.id, 'tasks', v_count));
      v_jobs := v_jobs || v_next;
    END IF;
  END LOOP;
  -- Their rows are locked after that of this one, as everywhere.
  PERFORM farm.jobs_changed(v_jobs);
  RETURN NULL;
END $$;
CREATE TRIGGER wait_again AFTER UPDATE OF open ON farm.job FOR EACH ROW WHEN (NOT OLD.open AND NEW.open) EXECUTE FUNCTION farm.wait_again();

-- Builds again what did not succeed: same job, next attempt. Answers how many tasks. One that comes after a job which is being built
-- waits for that; what was set aside stays so.
CREATE OR REPLACE FUNCTION farm.reopen_job(p_job bigint, p_failed_only boolean) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_job farm.job;
  v_goes boolean := true;
  v_task bigint;
  v_count int := 0;
BEGIN
  SELECT * INTO v_job FROM farm.job WHERE id = p_job;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no job %s', p_job));
  END IF;
  IF v_job.after_job IS NOT NULL THEN
    -- Before our own tasks, and locked so that it does not end without seeing them wait.
    PERFORM FROM farm.job WHERE id = v_job.after_job FOR NO KEY UPDATE;
    v_goes := farm.job_succeeded(v_job.after_job);
    IF NOT v_goes THEN
      PERFORM farm.refuse('conflict', format('job %s is not built again before job %s, which it comes after, and which %s: `farm retry %s` '
        'goes on with both', p_job, v_job.after_job, farm.why_not(v_job.after_job), v_job.after_job));
    END IF;
  END IF;
  FOR v_task IN
    UPDATE farm.task SET state = CASE WHEN v_goes THEN 'pending' ELSE 'waiting' END::farm.task_state, cause = NULL, message = NULL,
        finished_at = NULL, faults = 0, lost = 0, given_up_for = NULL
    WHERE job_id = p_job AND set_aside_at IS NULL AND (state = 'failed' OR (state = 'cancelled' AND NOT p_failed_only)) RETURNING id
  LOOP
    IF v_goes THEN
      PERFORM farm.make_ready(v_task, now(), '{}');
    END IF;
    v_count := v_count + 1;
  END LOOP;
  SELECT id INTO v_task FROM farm.task WHERE job_id = p_job AND set_aside_at IS NOT NULL ORDER BY id LIMIT 1;
  IF v_count = 0 AND FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s is set aside, because builders were lost while they were at it; an administrator who '
      'has looked at it puts it back with `farm-admin set-aside put-back %s`', v_task, v_task));
  END IF;
  IF v_count > 0 THEN
    PERFORM farm.jobs_changed(ARRAY[p_job]);
  END IF;
  RETURN v_count;
END $$;

-- What builders get.

-- The packages that the jobs before made on the platform of a task. Of those of one name that of the nearest job.
CREATE FUNCTION farm.packages_before(p_task bigint) RETURNS TABLE (o_name text, o_digest bytea, o_size bigint, o_job bigint)
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN QUERY
  SELECT DISTINCT ON (f.name) f.name, f.digest::bytea, f.size, t.job_id
    FROM farm.task w CROSS JOIN LATERAL farm.predecessors(w.job_id) p
    JOIN farm.task t ON t.job_id = p.o_job AND t.platform = w.platform AND t.state = 'succeeded'
    JOIN farm.artifact f ON f.task_id = t.id AND f.attempt = t.attempts AND f.kind = 'rpm'
    WHERE w.id = p_task ORDER BY f.name, p.o_distance;
END $$;

-- What the builds of tasks that a builder was just given begin with beside their sources: the record to build like, and the packages of
-- the jobs before. `lacks`: why it cannot have these any more. Of most tasks there is nothing to say.
CREATE FUNCTION farm.builds_with(p_builder int, p_tasks bigint[]) RETURNS SETOF jsonb
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

-- Whether a package is one that a builder may have for a task that it holds.
CREATE FUNCTION farm.leased_package(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_digest farm.sha256) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN EXISTS (SELECT FROM farm.packages_before(p_task) x WHERE x.o_digest = p_digest)
    AND (SELECT farm.lacks_before(j.person_id, j.after_job) IS NULL FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = p_task);
END $$;

GRANT EXECUTE ON FUNCTION farm.builds_with, farm.leased_package TO farm_hub;

RESET ROLE;
