SET LOCAL ROLE farm_owner;

-- What an attempt used up, as far as its builder could measure it, and where in its log each stage begins. (What it was built
-- in and with is an artifact of kind manifest.)
ALTER TABLE farm.attempt
  ADD COLUMN peak_memory_bytes bigint CHECK (peak_memory_bytes >= 0),
  ADD COLUMN cpu_milliseconds  bigint CHECK (cpu_milliseconds >= 0),
  ADD COLUMN written_bytes     bigint CHECK (written_bytes >= 0),
  ADD COLUMN marks             jsonb NOT NULL DEFAULT '[]';

CREATE OR REPLACE VIEW farm.attempt_view AS
  SELECT a.task_id, a.number, b.name::text AS builder, a.outcome::text AS outcome, a.cause::text AS cause,
         a.stage::text AS stage, a.message, a.excerpt, a.stages, a.started_at, a.finished_at, a.log_size, a.log_digest,
         a.peak_memory_bytes, a.cpu_milliseconds, a.written_bytes, a.marks
  FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id;

-- Ends an attempt with what came of it and what it used up. A hub of the version before says nothing of that, and calls the one below.
CREATE FUNCTION farm.finish_with_record(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
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
GRANT EXECUTE ON FUNCTION farm.finish_with_record TO farm_hub;

-- The attempt whose chroot a job is built in again.
ALTER TABLE farm.job
  ADD COLUMN like_task    bigint,
  ADD COLUMN like_attempt int,
  ADD CHECK ((like_task IS NULL) = (like_attempt IS NULL)),
  ADD FOREIGN KEY (like_task, like_attempt) REFERENCES farm.attempt;
CREATE INDEX job_like ON farm.job (like_task, like_attempt) WHERE like_task IS NOT NULL;

-- A job that was just handed in is to be built with the very packages that a task was built with, in its last attempt that has a
-- record, before all one that succeeded.
CREATE FUNCTION farm.build_like(p_actor farm.actor, p_job bigint, p_task bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := farm.acting(p_actor);
  v_task farm.task;
  v_attempt int;
BEGIN
  SELECT * INTO v_task FROM farm.task t WHERE t.id = p_task AND farm.sees(v_person, t.job_id);
  SELECT f.attempt INTO v_attempt FROM farm.artifact f JOIN farm.attempt a ON a.task_id = f.task_id AND a.number = f.attempt
    WHERE f.task_id = v_task.id AND f.kind = 'manifest' ORDER BY a.outcome = 'succeeded' DESC, f.attempt DESC LIMIT 1;
  IF v_attempt IS NULL THEN
    PERFORM farm.refuse('not_found', format('there is no record of a task %s to build like', p_task));
  END IF;
  -- Of several sources each may have been built with what the others made, which no repository has.
  IF EXISTS (SELECT FROM farm.source WHERE job_id IN (p_job, v_task.job_id) AND position > 1) THEN
    PERFORM farm.refuse('conflict', 'only jobs of one source can be built with the packages of another build');
  END IF;
  UPDATE farm.job SET like_task = v_task.id, like_attempt = v_attempt
    WHERE id = p_job AND person_id = v_person AND state = 'submitted' AND targets = v_task.platform;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s was built on %s: ask for that platform and no other', p_task, v_task.platform));
  END IF;
  PERFORM farm.record(p_actor, 'build like', 'job ' || p_job, jsonb_build_object('task', p_task, 'attempt', v_attempt));
END $$;
GRANT EXECUTE ON FUNCTION farm.build_like TO farm_web;

-- The record that a task is to be built like, of which digest and size are null once it has gone. NULL: like none.
CREATE FUNCTION farm.like_of(p_task bigint) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('task', p_task, 'digest', encode(f.digest, 'hex'), 'size', f.size)
          FROM farm.task t JOIN farm.job j ON j.id = t.job_id
          LEFT JOIN farm.artifact f ON f.task_id = j.like_task AND f.attempt = j.like_attempt AND f.kind = 'manifest'
          WHERE t.id = p_task AND j.like_task IS NOT NULL LIMIT 1);
END $$;

-- The same of all tasks that a builder was just given.
CREATE FUNCTION farm.likes(p_builder int, p_tasks bigint[]) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT farm.like_of(l.task_id) FROM farm.lease l WHERE l.task_id = ANY (p_tasks) AND l.builder_id = p_builder
    AND EXISTS (SELECT FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = l.task_id AND j.like_task IS NOT NULL);
END $$;

-- The same of a task that the builder holds.
CREATE FUNCTION farm.leased_like(p_builder int, p_task bigint, p_attempt int, p_token uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN farm.like_of(p_task);
END $$;
GRANT EXECUTE ON FUNCTION farm.likes, farm.leased_like TO farm_hub;

RESET ROLE;
