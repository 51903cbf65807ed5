ALTER FUNCTION farm.finish_with_record RESET plan_cache_mode;
ALTER FUNCTION farm.claim RESET plan_cache_mode;
DROP FUNCTION farm.settle_up;

CREATE OR REPLACE FUNCTION farm.next_rank(p_platform text, p_line farm.class) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT h.rank FROM (
      SELECT r.rank, r.not_before FROM farm.ready r WHERE r.platform = p_platform AND r.class = p_line
      ORDER BY r.rank, r.task_id LIMIT 16) h
    ORDER BY h.not_before > now(), h.rank LIMIT 1);
END $$;

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
    RETURN v_clock + ((v_start + v_cost - v_clock) * greatest(0.1, 1 / (1 + p_cost / 1800000.0::double precision)))::bigint;
  END IF;
  RETURN v_start;
END $$;

DROP FUNCTION farm.part_of_way;
CREATE OR REPLACE FUNCTION farm.bytes_of(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT ((SELECT coalesce(sum(bytes), 0) FROM farm.job WHERE person_id = p_person)
        + (SELECT coalesce(sum(b.size), 0) FROM farm.brought r JOIN farm.blob b ON b.digest = r.digest WHERE r.person_id = p_person
             AND NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                             WHERE s.blob = r.digest AND j.person_id = p_person))
        + (SELECT coalesce(sum(size), 0) FROM farm.upload WHERE person_id = p_person))::bigint
$$;
CREATE OR REPLACE FUNCTION farm.jobs_waiting(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
  $$ SELECT count(*) FROM farm.job WHERE person_id = p_person AND open $$;
CREATE OR REPLACE FUNCTION farm.job_succeeded(p_job bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT CASE j.state
    WHEN 'submitted' THEN NULL
    WHEN 'accepted' THEN (SELECT CASE WHEN bool_and(farm.is_final(t.state)) THEN bool_and(t.state = 'succeeded') END
                          FROM farm.task t WHERE t.job_id = j.id)
    ELSE false END
  FROM farm.job j WHERE j.id = p_job
$$;
CREATE OR REPLACE FUNCTION farm.expected_cost(p_job bigint, p_platform text) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT greatest(1, sum(coalesce(
      (SELECT t.seconds FROM farm.build_time t WHERE t.platform = p_platform AND t.name = s.name),
      (SELECT avg(t.seconds) FROM farm.platform p JOIN farm.build_time t ON t.platform = p.name WHERE t.name = s.name),
      60) * 1000) * farm.weight_of(p_job, p_platform))::bigint
  FROM farm.source s WHERE s.job_id = p_job
$$;
CREATE OR REPLACE FUNCTION farm.weight_of(p_job bigint, p_platform text) RETURNS smallint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT least(64, greatest(1, (p.recipe->>'weight')::int, (j.options->>'weight')::int))::smallint
    FROM farm.platform p LEFT JOIN farm.job j ON j.id = p_job WHERE p.name = p_platform
$$;
CREATE OR REPLACE FUNCTION farm.counts(p_person int, p_class farm.class, p_time bigint) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS
  $$ SELECT (p_time * CASE p_class WHEN 'background' THEN 10 ELSE 1 END / farm.share_of(p_person))::bigint $$;
CREATE OR REPLACE FUNCTION farm.share_of(p_person int) RETURNS double precision LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT coalesce(p.share, (SELECT max(g.share) FROM farm.membership m JOIN farm.group g ON g.id = m.group_id
                            WHERE m.person_id = p.id AND g.share IS NOT NULL), 1)
  FROM farm.person p WHERE p.id = p_person
$$;
