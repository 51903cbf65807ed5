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

RESET ROLE;
