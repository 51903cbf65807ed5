DROP FUNCTION farm.leased_package, farm.builds_with, farm.packages_before;
DROP TRIGGER wait_again ON farm.job;
DROP TRIGGER nobody_builds_on ON farm.job;
DROP TRIGGER build_on ON farm.job;
CREATE OR REPLACE FUNCTION farm.reopen_job(p_job bigint, p_failed_only boolean) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
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
CREATE OR REPLACE FUNCTION farm.give_up_waiting(p_job bigint, p_predecessor bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', finished_at = now(),
      message = format('job %s, which this one comes after, did not succeed', p_predecessor)
    WHERE job_id = p_job AND state = 'waiting';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM farm.record(NULL, 'give up', 'job ' || p_job, jsonb_build_object('after', p_predecessor, 'tasks', v_count));
  END IF;
  RETURN v_count > 0;
END $$;
DROP FUNCTION farm.files_due;
ALTER FUNCTION farm.files_overdue RENAME TO files_due;
DROP FUNCTION farm.wait_again, farm.why_not, farm.nobody_builds_on, farm.is_built_on, farm.build_on, farm.lacks_before, farm.may_use_job,
  farm.predecessors;
ALTER TABLE farm.task DROP COLUMN given_up_for;
