DROP FUNCTION farm.reject;
ALTER FUNCTION farm.turn_down RENAME TO reject;
DROP FUNCTION farm.accept;
ALTER FUNCTION farm.make_tasks RENAME TO accept;
GRANT EXECUTE ON FUNCTION farm.accept, farm.reject TO farm_validator;
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
DROP FUNCTION farm.retry_job, farm.may_go_again, farm.cancel_job, farm.require_job, farm.may_change, farm.submit;
ALTER FUNCTION farm.reopen_job RENAME TO retry_job;
ALTER FUNCTION farm.withdraw_job RENAME TO cancel_job;
ALTER FUNCTION farm.hand_in RENAME TO submit;
GRANT EXECUTE ON FUNCTION farm.submit, farm.cancel_job, farm.retry_job TO farm_web;
DROP FUNCTION farm.known_blob, farm.may_build, farm.end_upload, farm.begin_upload, farm.stay_within, farm.bytes_of, farm.uploads_of,
  farm.jobs_waiting, farm.one_at_a_time;
DROP INDEX farm.job_open;
ALTER TABLE farm.job DROP COLUMN open, DROP COLUMN bytes, DROP COLUMN network;
