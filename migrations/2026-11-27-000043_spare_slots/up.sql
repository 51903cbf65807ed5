SET LOCAL ROLE farm_owner;

-- Spare slots: those that background tasks leave free on a builder, so that whoever comes with a build of their own finds one.
--
-- The tasks of a platform stand in two lanes, background and the rest, each in the order of the queue. Whoever may take no background task
-- now looks into the other lane alone, however many of those there are.

ALTER TABLE farm.builder ADD COLUMN spare_slots smallint NOT NULL DEFAULT 0 CHECK (spare_slots >= 0);
ALTER TABLE farm.ready ADD COLUMN background boolean NOT NULL DEFAULT false;
UPDATE farm.ready r SET background = true
  FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = r.task_id AND j.class = 'background';
CREATE INDEX ready_lanes ON farm.ready (platform, background, class, rank, task_id);

-- Says how many slots of a builder background tasks leave free.
CREATE FUNCTION farm.set_spare_slots(p_actor farm.actor, p_builder text, p_slots int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  -- What it keeps its slots for may be nothing for it any more.
  UPDATE farm.builder SET spare_slots = p_slots, saves_for = NULL WHERE name = p_builder;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no builder %s', p_builder));
  END IF;
  PERFORM farm.record(p_actor, 'set spare slots', 'builder ' || p_builder, jsonb_build_object('slots', p_slots));
  -- It may be waiting, and tasks for it too.
  PERFORM pg_notify('farm_ready', platform) FROM farm.builder b, unnest(farm.platforms_of(b.id)) AS platform WHERE b.name = p_builder;
END $$;

-- Looking.

-- As it was, but in its lane.
CREATE OR REPLACE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_ready farm.ready;
BEGIN
  INSERT INTO farm.ready AS r (platform, class, rank, task_id, not_before, avoid, weight, background)
    SELECT t.platform, t.class, t.rank, t.id, p_not_before, p_avoid, t.weight, j.class = 'background'
    FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = p_task AND t.state = 'pending'
    RETURNING r.* INTO STRICT v_ready;
  PERFORM pg_notify('farm_ready', json_build_object('platform', v_ready.platform, 'class', v_ready.class, 'rank', v_ready.rank,
    'task', v_ready.task_id, 'weight', v_ready.weight, 'background', v_ready.background, 'due_in', farm.due_in(v_ready.not_before),
    'avoid', v_ready.avoid)::text);
END $$;

-- As farm.ready_keys, which hubs of an older version call, but of each lane.
CREATE FUNCTION farm.lane_keys(p_platforms text[], p_backgrounds boolean[], p_classes text[], p_ranks bigint[], p_tasks bigint[], p_limit int)
RETURNS TABLE (platform text, class text, rank bigint, task_id bigint, weight int, background boolean, due_in bigint, avoid int[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT r.platform, r.class::text, r.rank, r.task_id, r.weight::int, r.background, farm.due_in(r.not_before), r.avoid
  FROM unnest(p_platforms, p_backgrounds, p_classes, p_ranks, p_tasks) AS a(platform, background, class, rank, task_id) CROSS JOIN LATERAL (
    SELECT r.* FROM farm.ready r
    WHERE r.platform = a.platform AND r.background = a.background AND (r.class, r.rank, r.task_id) > (a.class::farm.class, a.rank, a.task_id)
    ORDER BY r.class, r.rank, r.task_id LIMIT p_limit) r;
END $$;

-- As farm.presence, but it also answers how many slots of each builder background tasks leave free.
CREATE FUNCTION farm.attendance(p_builders int[], p_instances uuid[])
RETURNS TABLE (place int, alive boolean, platforms text[], saves_slots boolean, spare_slots int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM farm.saw(ARRAY(
    SELECT b.id FROM unnest(p_builders, p_instances) AS x(builder_id, instance)
      JOIN farm.builder b ON b.id = x.builder_id AND b.instance = x.instance));
  RETURN QUERY
  SELECT x.place::int, coalesce(b.instance = x.instance, false),
         ARRAY(SELECT p.name FROM farm.platform p WHERE farm.serves(b, p)), b.saves_for IS NOT NULL,
         coalesce(b.spare_slots, 0)::int
  FROM unnest(p_builders, p_instances) WITH ORDINALITY AS x(builder_id, instance, place) LEFT JOIN farm.builder b ON b.id = x.builder_id;
END $$;

-- For a hub of an older version.
CREATE OR REPLACE FUNCTION farm.presence(p_builders int[], p_instances uuid[])
RETURNS TABLE (place int, alive boolean, platforms text[], saves_slots boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT a.place, a.alive, a.platforms, a.saves_slots FROM farm.attendance(p_builders, p_instances) a;
END $$;

-- Claiming.

-- The lanes that a builder with so many free slots looks into: background tasks leave some free.
CREATE FUNCTION farm.lanes(p_free int, p_spare int) RETURNS boolean[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_free > p_spare THEN ARRAY[false, true] ELSE ARRAY[false] END
$$;

-- As it was, but background tasks leave the spare slots free. One of a single slot is passed over when only those are left, and one for which
-- there is never room beside them. While slots are kept for a heavy one, the spare ones are given to whoever comes with other tasks.
CREATE OR REPLACE FUNCTION farm.make_room(p_builder int, p_platforms text[], p_slots int, p_free int,
  OUT o_class farm.class, OUT o_rank bigint, OUT o_task bigint, OUT o_pass bigint[], OUT o_saved farm.ready)
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_row record;
  v_weight int;
  v_total int := 0;
  v_next bigint;
  v_spare int := (SELECT spare_slots FROM farm.builder WHERE id = p_builder);
  v_needs int;
BEGIN
  o_class := 'background';
  o_rank := 9223372036854775807;
  o_task := 9223372036854775807;
  o_pass := '{}';
  SELECT r.* INTO o_saved FROM farm.builder b JOIN farm.task t ON t.id = b.saves_for
    JOIN farm.ready r ON r.platform = t.platform AND r.class = t.class AND r.rank = t.rank AND r.task_id = t.id
    WHERE b.id = p_builder AND r.platform = ANY (p_platforms)
      AND r.not_before <= now() AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes');
  IF FOUND AND o_saved.background AND p_free <= v_spare THEN
    -- What is free is not for it in any case.
    o_saved := NULL;
    RETURN;
  ELSIF FOUND THEN
    o_class := o_saved.class;
    o_rank := -9223372036854775808;
    RETURN;
  END IF;
  FOR v_row IN
    SELECT h.* FROM unnest(p_platforms) AS p(name), unnest(farm.lanes(p_free, v_spare)) AS l(background), LATERAL (
      SELECT r.class, r.rank, r.task_id, r.weight, r.background FROM farm.ready r
      WHERE r.platform = p.name AND r.background = l.background AND r.not_before <= now()
        AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
      ORDER BY r.class, r.rank, r.task_id LIMIT p_free + 64) h
    ORDER BY h.class, h.rank, h.task_id LIMIT p_free + 64
  LOOP
    v_weight := least(v_row.weight, p_slots);
    v_needs := v_weight + CASE WHEN v_row.background THEN v_spare ELSE 0 END;
    EXIT WHEN v_total = p_free;
    IF v_total + v_needs <= p_free THEN
      v_total := v_total + v_weight;
    ELSIF v_row.background AND (v_weight = 1 OR v_needs > p_slots) OR farm.is_saved_for(v_row.task_id, p_builder) THEN
      o_pass := o_pass || v_row.task_id;
    ELSE
      o_class := v_row.class;
      o_rank := v_row.rank;
      o_task := v_row.task_id;
      v_next := v_row.task_id;
      EXIT;
    END IF;
  END LOOP;
  UPDATE farm.builder SET saves_for = v_next WHERE id = p_builder AND saves_for IS DISTINCT FROM v_next;
END $$;

-- As it was, but each lane is looked at by itself, and background tasks leave the spare slots free.
CREATE OR REPLACE FUNCTION farm.claim_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (builder_id int, task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean, weight int, options jsonb, limits jsonb, built_with jsonb)
LANGUAGE plpgsql ROWS 2 SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_platforms text[] := farm.platforms_of(p_builder);
  v_slots int;
  v_spare int;
  v_careful boolean;
  v_room record;
  v_class farm.class := 'background';
  v_rank bigint := 9223372036854775807;
  v_task bigint := 9223372036854775807;
  v_pass bigint[] := '{}';
  v_saved farm.ready;
  v_picks farm.pick[];
BEGIN
  PERFORM farm.be_alive(p_builder, p_instance);
  -- A builder without work shows itself by claiming.
  PERFORM farm.saw(ARRAY[p_builder]);
  SELECT greatest(b.slots, 1), b.spare_slots, b.saves_for IS NOT NULL INTO v_slots, v_spare, v_careful
    FROM farm.builder b WHERE b.id = p_builder;
  LOOP
    IF v_careful THEN
      SELECT * INTO v_room FROM farm.make_room(p_builder, v_platforms, v_slots, p_want);
      v_class := v_room.o_class;
      v_rank := v_room.o_rank;
      v_task := v_room.o_task;
      v_pass := v_room.o_pass;
      v_saved := v_room.o_saved;
    END IF;
    WITH head AS MATERIALIZED (
      SELECT h.platform, h.class, h.rank, h.task_id, h.weight FROM (
        SELECT h.* FROM unnest(v_platforms) AS p(name), unnest(farm.lanes(p_want, v_spare)) AS l(background), LATERAL (
          SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = p.name AND r.background = l.background AND r.not_before <= now()
            -- Better the same builder again than never.
            AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
            AND (r.class, r.rank, r.task_id) < (v_class, v_rank, v_task) AND r.task_id <> ALL (v_pass)
          ORDER BY r.class, r.rank, r.task_id LIMIT p_want + 8) h
        UNION ALL
        SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = v_saved.platform AND r.class = v_saved.class AND r.rank = v_saved.rank AND r.task_id = v_saved.task_id) h
      ORDER BY h.class, h.rank, h.task_id LIMIT p_want + 8),
    locked AS (
      SELECT r.class, r.rank, r.task_id, r.weight, r.background, r.ctid AS row_at
      FROM head JOIN farm.ready r USING (platform, class, rank, task_id)
      WHERE v_careful OR NOT (SELECT bool_or(weight > 1) FROM head)
      ORDER BY r.class, r.rank, r.task_id LIMIT p_want FOR UPDATE OF r SKIP LOCKED),
    fitting AS (
      SELECT l.*, sum(least(l.weight, v_slots)) OVER (ORDER BY l.class, l.rank, l.task_id) AS total FROM locked l)
    SELECT array_agg(ROW(f.task_id, p_builder, p_instance, least(f.weight, v_slots), f.row_at)::farm.pick ORDER BY f.class, f.rank, f.task_id)
      INTO v_picks FROM fitting f WHERE f.total <= p_want - CASE WHEN f.background THEN v_spare ELSE 0 END;
    IF v_picks IS NOT NULL THEN
      RETURN QUERY SELECT * FROM farm.hand_out(v_picks, p_lease);
      -- The new attempts hold a lock on the builder (their foreign key), so a hello is either over or waits for us. Not
      -- before, and not where there is nothing to claim: a lock is a write.
      PERFORM farm.be_alive(p_builder, p_instance);
      RETURN;
    END IF;
    EXIT WHEN v_careful OR NOT EXISTS (SELECT FROM farm.ready r WHERE r.weight > 1 AND r.platform = ANY (v_platforms));
    v_careful := true;
  END LOOP;
END $$;

-- As it was, but it is told how many slots each builder has free when it is given that task, and background tasks leave the spare ones free.
-- (Hubs of an older version call the one without, which knows of no spare slots.)
CREATE FUNCTION farm.claim_keys(p_platforms text[], p_classes text[], p_ranks bigint[], p_tasks bigint[], p_builders int[],
  p_instances uuid[], p_free int[], p_lease interval)
RETURNS TABLE (builder_id int, task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean, weight int, options jsonb, limits jsonb, built_with jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_picks farm.pick[];
BEGIN
  WITH alive AS MATERIALIZED (
    -- Locked as the new attempts lock it in any case (their foreign key), but first, so that a hello is either over and seen, or waits.
    SELECT k.*, b.spare_slots FROM unnest(p_platforms, p_classes, p_ranks, p_tasks, p_builders, p_instances, p_free)
        AS k(platform, class, rank, task_id, builder_id, instance, free)
      JOIN farm.builder b ON b.id = k.builder_id AND b.instance = k.instance AND b.saves_for IS NULL
      JOIN farm.platform p ON p.name = k.platform AND farm.serves(b, p)
    FOR KEY SHARE OF b),
  locked AS (
    SELECT ROW(k.task_id, k.builder_id, k.instance, 1, r.row_at)::farm.pick AS pick FROM alive k CROSS JOIN LATERAL (
      SELECT r.ctid AS row_at FROM farm.ready r
      WHERE r.platform = k.platform AND r.class = k.class::farm.class AND r.rank = k.rank AND r.task_id = k.task_id
        -- Better the same builder again than never.
        AND r.weight = 1 AND r.not_before <= now() AND (k.builder_id <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
        AND (NOT r.background OR k.free > k.spare_slots)
      LIMIT 1 FOR UPDATE SKIP LOCKED) r)
  SELECT array_agg(pick) INTO v_picks FROM locked;
  IF v_picks IS NOT NULL THEN
    RETURN QUERY SELECT * FROM farm.hand_out(v_picks, p_lease);
  END IF;
END $$;

-- What people see.

-- How many slots of a builder background tasks leave free.
CREATE FUNCTION farm.spare_slots_of(p_builder int) RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT spare_slots FROM farm.builder WHERE id = p_builder);
END $$;

GRANT EXECUTE ON FUNCTION farm.lane_keys, farm.attendance, farm.claim_keys(text[], text[], bigint[], bigint[], int[], uuid[], int[], interval)
  TO farm_hub;
GRANT EXECUTE ON FUNCTION farm.spare_slots_of TO farm_web;

RESET ROLE;
