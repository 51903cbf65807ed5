CREATE OR REPLACE FUNCTION farm.requeue(p_task bigint, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
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
                 AND (SELECT coalesce(sum(l.weight), 0) FROM farm.lease l WHERE l.builder_id = b.id)
                   + least(v_task.weight, b.slots) <= b.slots
                 AND NOT EXISTS (SELECT FROM farm.builder_status s WHERE s.builder_id = b.id AND s.instance = b.instance
                                 AND s.reason IS NOT NULL)
                 AND b.slots > 0 AND v_task.platform = ANY (farm.platforms_of(b.id))) THEN
    v_avoid := '{}';
  END IF;
  UPDATE farm.task SET state = 'pending' WHERE id = p_task;
  PERFORM farm.make_ready(p_task,
    CASE WHEN p_outcome = 'farm_fault' THEN now() + interval '5 seconds' * 4 ^ (v_task.faults - 1) ELSE now() END,
    coalesce(v_avoid, '{}'));
  RETURN v_task.job_id;
END $$;
CREATE OR REPLACE FUNCTION farm.set_builder_state(p_actor farm.actor, p_name text, p_state farm.builder_state, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  UPDATE farm.builder SET state = p_state, reason = p_reason WHERE name = p_name;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no builder %s', p_name));
  END IF;
  PERFORM farm.record(p_actor, CASE p_state WHEN 'enabled' THEN 'enable' WHEN 'disabled' THEN 'disable' ELSE 'drain' END,
    'builder ' || p_name, jsonb_build_object('reason', p_reason));
  IF p_state = 'enabled' THEN
    -- It may be waiting, and tasks for it too.
    PERFORM pg_notify('farm_ready', platform) FROM farm.builder b, unnest(farm.platforms_of(b.id)) AS platform WHERE b.name = p_name;
  END IF;
END $$;
CREATE OR REPLACE FUNCTION farm.end_attempt(p_lease farm.lease, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF p_outcome IN ('lost', 'released') THEN
    PERFORM farm.record(CASE WHEN p_outcome = 'released' THEN farm.builder_actor(p_lease.builder_id) END,
      CASE p_outcome WHEN 'lost' THEN 'reap' ELSE 'release' END, 'task ' || p_lease.task_id,
      jsonb_build_object('attempt', p_lease.attempt, 'builder', p_lease.builder_id, 'message', p_message));
  END IF;
  DELETE FROM farm.delivered WHERE task_id = p_lease.task_id AND attempt = p_lease.attempt;
  RETURN farm.close_attempt(p_lease, p_outcome, p_cause, p_message);
END $$;
DROP FUNCTION farm.out_since, farm.judge_doubtful, farm.judge_builder, farm.why_kept, farm.spoilt_by, farm.is_builders_fault, farm.set_trust, farm.put_back,
  farm.set_aside, farm.evidence, farm.is_blameless, farm.forget_notices, farm.unsent_notices, farm.end_notice, farm.take_notice, farm.tell;
DROP TABLE farm.doubtful, farm.trust, farm.notice;
ALTER TABLE farm.builder DROP COLUMN out_at, DROP COLUMN trusted_at;
ALTER TABLE farm.attempt DROP COLUMN instance, DROP COLUMN blameless;
ALTER TABLE farm.task DROP COLUMN lost, DROP COLUMN set_aside_at;
CREATE OR REPLACE FUNCTION farm.settle() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_time bigint := 0;
BEGIN
  IF NOT farm.is_final(NEW.state) THEN
    v_time := NEW.cost;
  ELSE
    IF OLD.state = 'leased' AND NEW.faults < 3 THEN
      v_time := extract(epoch FROM NEW.finished_at - NEW.started_at) * 1000 * NEW.weight;
    END IF;
    v_time := v_time - NEW.cost;
  END IF;
  INSERT INTO farm.settlement (person_id, platform, class, time)
    SELECT person_id, NEW.platform, class, v_time FROM farm.job WHERE id = NEW.job_id;
  RETURN NULL;
END $$;
