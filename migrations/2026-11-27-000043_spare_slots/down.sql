SET LOCAL ROLE farm_owner;
DROP FUNCTION farm.claim_keys(text[], text[], bigint[], bigint[], int[], uuid[], int[], interval);
CREATE OR REPLACE FUNCTION farm.claim_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (builder_id int, task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean, weight int, options jsonb, limits jsonb, built_with jsonb)
LANGUAGE plpgsql ROWS 2 SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_platforms text[] := farm.platforms_of(p_builder);
  v_slots int;
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
  SELECT greatest(b.slots, 1), b.saves_for IS NOT NULL INTO v_slots, v_careful FROM farm.builder b WHERE b.id = p_builder;
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
        SELECT h.* FROM unnest(v_platforms) AS p(name) CROSS JOIN LATERAL (
          SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = p.name AND r.not_before <= now()
            -- Better the same builder again than never.
            AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
            AND (r.class, r.rank, r.task_id) < (v_class, v_rank, v_task) AND r.task_id <> ALL (v_pass)
          ORDER BY r.class, r.rank, r.task_id LIMIT p_want + 8) h
        UNION ALL
        SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM farm.ready r
          WHERE r.platform = v_saved.platform AND r.class = v_saved.class AND r.rank = v_saved.rank AND r.task_id = v_saved.task_id) h
      ORDER BY h.class, h.rank, h.task_id LIMIT p_want + 8),
    locked AS (
      SELECT r.class, r.rank, r.task_id, r.weight, r.ctid AS row_at FROM head JOIN farm.ready r USING (platform, class, rank, task_id)
      WHERE v_careful OR NOT (SELECT bool_or(weight > 1) FROM head)
      ORDER BY r.class, r.rank, r.task_id LIMIT p_want FOR UPDATE OF r SKIP LOCKED),
    fitting AS (
      SELECT l.*, sum(least(l.weight, v_slots)) OVER (ORDER BY l.class, l.rank, l.task_id) AS total FROM locked l)
    SELECT array_agg(ROW(f.task_id, p_builder, p_instance, least(f.weight, v_slots), f.row_at)::farm.pick ORDER BY f.class, f.rank, f.task_id)
      INTO v_picks FROM fitting f WHERE f.total <= p_want;
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
CREATE OR REPLACE FUNCTION farm.make_room(p_builder int, p_platforms text[], p_slots int, p_free int,
  OUT o_class farm.class, OUT o_rank bigint, OUT o_task bigint, OUT o_pass bigint[], OUT o_saved farm.ready)
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_row record;
  v_weight int;
  v_total int := 0;
  v_next bigint;
BEGIN
  o_class := 'background';
  o_rank := 9223372036854775807;
  o_task := 9223372036854775807;
  o_pass := '{}';
  SELECT r.* INTO o_saved FROM farm.builder b JOIN farm.task t ON t.id = b.saves_for
    JOIN farm.ready r ON r.platform = t.platform AND r.class = t.class AND r.rank = t.rank AND r.task_id = t.id
    WHERE b.id = p_builder AND r.platform = ANY (p_platforms)
      AND r.not_before <= now() AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes');
  IF FOUND THEN
    o_class := o_saved.class;
    o_rank := -9223372036854775808;
    RETURN;
  END IF;
  FOR v_row IN
    SELECT h.* FROM unnest(p_platforms) AS p(name) CROSS JOIN LATERAL (
      SELECT r.class, r.rank, r.task_id, r.weight FROM farm.ready r
      WHERE r.platform = p.name AND r.not_before <= now() AND (p_builder <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
      ORDER BY r.class, r.rank, r.task_id LIMIT p_free + 64) h
    ORDER BY h.class, h.rank, h.task_id LIMIT p_free + 64
  LOOP
    v_weight := least(v_row.weight, p_slots);
    EXIT WHEN v_total = p_free;
    IF v_total + v_weight <= p_free THEN
      v_total := v_total + v_weight;
    ELSIF farm.is_saved_for(v_row.task_id, p_builder) THEN
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
CREATE OR REPLACE FUNCTION farm.presence(p_builders int[], p_instances uuid[])
RETURNS TABLE (place int, alive boolean, platforms text[], saves_slots boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM farm.saw(ARRAY(
    SELECT b.id FROM unnest(p_builders, p_instances) AS x(builder_id, instance)
      JOIN farm.builder b ON b.id = x.builder_id AND b.instance = x.instance));
  RETURN QUERY
  SELECT x.place::int, coalesce(b.instance = x.instance, false),
         ARRAY(SELECT p.name FROM farm.platform p WHERE farm.serves(b, p)), b.saves_for IS NOT NULL
  FROM unnest(p_builders, p_instances) WITH ORDINALITY AS x(builder_id, instance, place) LEFT JOIN farm.builder b ON b.id = x.builder_id;
END $$;
CREATE OR REPLACE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_ready farm.ready;
BEGIN
  INSERT INTO farm.ready AS r (platform, class, rank, task_id, not_before, avoid, weight)
    SELECT platform, class, rank, id, p_not_before, p_avoid, weight FROM farm.task WHERE id = p_task AND state = 'pending'
    RETURNING r.* INTO STRICT v_ready;
  PERFORM pg_notify('farm_ready', json_build_object('platform', v_ready.platform, 'class', v_ready.class, 'rank', v_ready.rank,
    'task', v_ready.task_id, 'weight', v_ready.weight, 'due_in', farm.due_in(v_ready.not_before), 'avoid', v_ready.avoid)::text);
END $$;
DROP FUNCTION farm.spare_slots_of, farm.lanes, farm.attendance, farm.lane_keys, farm.set_spare_slots;
ALTER TABLE farm.ready DROP COLUMN background;
ALTER TABLE farm.builder DROP COLUMN spare_slots;
RESET ROLE;
