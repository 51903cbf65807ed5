SET LOCAL ROLE farm_owner;

-- As they were, but in plpgsql, which keeps the plans of a session: a function in SQL that is not part of its caller's plan is planned at
-- each call, and that cost more than all else that a submission does.
CREATE OR REPLACE FUNCTION farm.share_of(p_person int) RETURNS double precision LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT coalesce(p.share, (SELECT max(g.share) FROM farm.membership m JOIN farm.group g ON g.id = m.group_id
                                    WHERE m.person_id = p.id AND g.share IS NOT NULL), 1)
          FROM farm.person p WHERE p.id = p_person);
END $$;
CREATE OR REPLACE FUNCTION farm.counts(p_person int, p_class farm.class, p_time bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (p_time * CASE p_class WHEN 'background' THEN 10 ELSE 1 END / farm.share_of(p_person))::bigint;
END $$;
CREATE OR REPLACE FUNCTION farm.weight_of(p_job bigint, p_platform text) RETURNS smallint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT least(64, greatest(1, (p.recipe->>'weight')::int, (j.options->>'weight')::int))::smallint
          FROM farm.platform p LEFT JOIN farm.job j ON j.id = p_job WHERE p.name = p_platform);
END $$;
CREATE OR REPLACE FUNCTION farm.expected_cost(p_job bigint, p_platform text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT greatest(1, sum(coalesce(
        (SELECT t.seconds FROM farm.build_time t WHERE t.platform = p_platform AND t.name = s.name),
        (SELECT avg(t.seconds) FROM farm.platform p JOIN farm.build_time t ON t.platform = p.name WHERE t.name = s.name),
        60) * 1000) * farm.weight_of(p_job, p_platform))::bigint
    FROM farm.source s WHERE s.job_id = p_job);
END $$;
CREATE OR REPLACE FUNCTION farm.job_succeeded(p_job bigint) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT CASE j.state
      WHEN 'submitted' THEN NULL
      WHEN 'accepted' THEN (SELECT CASE WHEN bool_and(farm.is_final(t.state)) THEN bool_and(t.state = 'succeeded') END
                            FROM farm.task t WHERE t.job_id = j.id)
      ELSE false END
    FROM farm.job j WHERE j.id = p_job);
END $$;
CREATE OR REPLACE FUNCTION farm.jobs_waiting(p_person int) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT count(*) FROM farm.job WHERE person_id = p_person AND open);
END $$;
CREATE OR REPLACE FUNCTION farm.bytes_of(p_person int) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN ((SELECT coalesce(sum(bytes), 0) FROM farm.job WHERE person_id = p_person)
        + (SELECT coalesce(sum(b.size), 0) FROM farm.brought r JOIN farm.blob b ON b.digest = r.digest WHERE r.person_id = p_person
             AND NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                             WHERE s.blob = r.digest AND j.person_id = p_person))
        + (SELECT coalesce(sum(size), 0) FROM farm.upload WHERE person_id = p_person))::bigint;
END $$;

-- How much of the way to where it would end a background task stands: long ones go ahead, see farm.place.
CREATE FUNCTION farm.part_of_way(p_cost bigint) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT greatest(0.1, 1 / (1 + p_cost / 1800000.0::double precision)) $$;

CREATE OR REPLACE FUNCTION farm.place(p_platform text, p_class farm.class, p_person int, p_cost bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_clock bigint;
  v_owed bigint;
  v_cost bigint := greatest(1, farm.counts(p_person, p_class, p_cost));
  v_start bigint;
BEGIN
  -- Locked before anything is looked at, so that the next of this person sees what we leave.
  PERFORM FROM farm.share WHERE platform = p_platform AND class = p_class AND person_id = p_person FOR NO KEY UPDATE;
  WITH settled AS (
    DELETE FROM farm.settlement WHERE person_id = p_person AND platform = p_platform AND class = p_class RETURNING time)
  SELECT farm.counts(p_person, p_class, coalesce(sum(time), 0)::bigint) INTO v_owed FROM settled;
  v_clock := farm.clock_of(p_platform, farm.line_of(p_class));
  INSERT INTO farm.share AS s (platform, class, person_id, finish, clock) VALUES (p_platform, p_class, p_person, v_clock + v_cost, v_clock)
    ON CONFLICT (platform, class, person_id) DO UPDATE
      SET finish = greatest(s.finish + v_owed, v_clock) + v_cost, clock = greatest(s.clock, v_clock)
    RETURNING finish - v_cost INTO v_start;
  IF p_class = 'background' THEN
    RETURN v_clock + ((v_start + v_cost - v_clock) * farm.part_of_way(p_cost))::bigint;
  END IF;
  RETURN v_start;
END $$;

-- As it was, but of a background task, which stands where it would end, what counts is where it begins. Else whoever hands in several would
-- have one of them placed before it and all the others behind it, and each such lot would let one go ahead: more than a tenth.
CREATE OR REPLACE FUNCTION farm.next_rank(p_platform text, p_line farm.class) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT h.rank - CASE j.class WHEN 'background' THEN farm.counts(j.person_id, j.class, t.cost) * farm.part_of_way(t.cost) ELSE 0 END
    FROM (
      SELECT f.rank, f.task_id FROM (
        SELECT r.rank, r.task_id, r.not_before FROM farm.ready r WHERE r.platform = p_platform AND r.class = p_line
        ORDER BY r.rank, r.task_id LIMIT 16) f
      ORDER BY f.not_before > now(), f.rank, f.task_id LIMIT 1) h
    JOIN farm.task t ON t.id = h.task_id JOIN farm.job j ON j.id = t.job_id);
END $$;

-- What was settled of persons who hand in nothing now is counted as if they did, so that it does not lie there for ever. Waits for nobody:
-- whose share is being used is counted there. Answers for how many shares.
CREATE FUNCTION farm.settle_up(p_limit int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_share farm.share;
  v_owed bigint;
  v_done int := 0;
BEGIN
  FOR v_share IN
    SELECT s.* FROM farm.share s WHERE EXISTS (
      SELECT FROM farm.settlement t WHERE t.person_id = s.person_id AND t.platform = s.platform AND t.class = s.class)
    LIMIT p_limit FOR NO KEY UPDATE OF s SKIP LOCKED
  LOOP
    WITH settled AS (
      DELETE FROM farm.settlement t WHERE t.person_id = v_share.person_id AND t.platform = v_share.platform AND t.class = v_share.class
      RETURNING time)
    SELECT farm.counts(v_share.person_id, v_share.class, coalesce(sum(time), 0)::bigint) INTO v_owed FROM settled;
    UPDATE farm.share SET finish = finish + v_owed
      WHERE platform = v_share.platform AND class = v_share.class AND person_id = v_share.person_id;
    v_done := v_done + 1;
  END LOOP;
  RETURN v_done;
END $$;
GRANT EXECUTE ON FUNCTION farm.settle_up TO farm_janitor;

-- What is claimed and finished is looked for by keys, whatever they are: to plan it anew for each costs more than the plan saves.
ALTER FUNCTION farm.claim SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION farm.finish_with_record SET plan_cache_mode = force_generic_plan;

RESET ROLE;
