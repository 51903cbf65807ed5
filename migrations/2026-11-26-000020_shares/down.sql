SET LOCAL ROLE farm_owner;
CREATE OR REPLACE FUNCTION farm.make_tasks(p_job bigint, p_sources jsonb, p_platforms text[], p_warnings jsonb) RETURNS void
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
CREATE OR REPLACE FUNCTION farm.expected_cost(p_job bigint, p_platform text) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT greatest(1, sum(coalesce(t.seconds, 60) * 1000))::bigint
  FROM farm.source s LEFT JOIN farm.build_time t ON t.platform = p_platform AND t.name = s.name
  WHERE s.job_id = p_job
$$;
CREATE OR REPLACE FUNCTION farm.place(p_platform text, p_class farm.class, p_person int, p_cost bigint) RETURNS bigint
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
CREATE OR REPLACE FUNCTION farm.whoami(p_principal text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT farm.whoami_plain(p_principal) || jsonb_build_object('build_limits', farm.build_limits_of(p.id))
          FROM farm.person p WHERE p.principal = p_principal);
END $$;
WITH waiting AS (
  UPDATE farm.ready r SET class = j.class FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = r.task_id AND j.class = 'background')
UPDATE farm.task t SET class = j.class FROM farm.job j WHERE j.id = t.job_id AND j.class = 'background';
DROP TRIGGER settle ON farm.task;
DROP FUNCTION farm.settle, farm.clock_of, farm.next_rank, farm.counts, farm.line_of, farm.set_share, farm.share_of;
DROP TABLE farm.settlement;
ALTER TABLE farm.task DROP COLUMN cost;
ALTER TABLE farm.share DROP COLUMN clock;
DROP INDEX farm.share_finish;
ALTER TABLE farm.group DROP COLUMN share;
UPDATE farm.person SET share = 1 WHERE share IS NULL;
ALTER TABLE farm.person RENAME COLUMN share TO weight;
ALTER TABLE farm.person DROP CONSTRAINT person_share_check, ALTER COLUMN weight TYPE real, ALTER COLUMN weight SET DEFAULT 1, ALTER COLUMN weight SET NOT NULL,
  ADD CHECK (weight > 0);
RESET ROLE;
