SET LOCAL ROLE farm_owner;

-- The queue in batches: a hub claims, renews and ends for many builders in one statement each. A batch pays once for what each call paid
-- for: planning, commit, the lock that notifications are queued under, who the process is. The verbs of one builder are batches of one,
-- so that there is one way to end an attempt.
--
-- What is joined with a batch is few rows, found by their keys. A plan that was made while a table was short must not become the reading of
-- a million rows, hence `enable_seqscan = off` and its kind; and where a table is short at one time and long at another (`ready`, `lease`), each
-- key is looked up by itself.

-- An answer that was an SQL function, which is planned at each call unless it becomes a part of the query that calls it.

CREATE OR REPLACE FUNCTION farm.build_limits_of(p_person int) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN coalesce((SELECT limits FROM farm.build_limits WHERE person_id IS NULL), '{}')
      || coalesce((SELECT limits FROM farm.build_limits WHERE person_id = p_person), '{}');
END $$;

-- Whether a builder is given tasks of a platform. An expression without settings of its own, so that it becomes a part of the query.
CREATE FUNCTION farm.serves(b farm.builder, p farm.platform) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT b.state = 'enabled' AND p.enabled AND p.arch = ANY (b.arches) AND (b.platforms IS NULL OR p.name = ANY (b.platforms))
$$;

CREATE OR REPLACE FUNCTION farm.platforms_of(p_builder int) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(p.name), '{}') FROM farm.builder b JOIN farm.platform p ON farm.serves(b, p) WHERE b.id = p_builder);
END $$;

-- Looking.

-- As it was, but who listens is told all that a look would show: the key, and when and by whom it can be claimed.
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

-- In how many milliseconds something is due; 0: it is. Rounded up, so that whoever waits for it does not come too early.
CREATE FUNCTION farm.due_in(p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT greatest(0, ceil(extract(epoch FROM p_at - now()) * 1000))::bigint
$$;

-- The next so many keys of each platform, in the order of service, after the one that is given with it. Whoever goes on where the last
-- look ended steps over no row that was claimed meanwhile, however long a snapshot keeps those rows in the index.
CREATE FUNCTION farm.ready_keys(p_platforms text[], p_classes text[], p_ranks bigint[], p_tasks bigint[], p_limit int)
RETURNS TABLE (platform text, class text, rank bigint, task_id bigint, weight int, due_in bigint, avoid int[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT r.platform, r.class::text, r.rank, r.task_id, r.weight::int, farm.due_in(r.not_before), r.avoid
  FROM unnest(p_platforms, p_classes, p_ranks, p_tasks) AS a(platform, class, rank, task_id) CROSS JOIN LATERAL (
    SELECT r.* FROM farm.ready r
    WHERE r.platform = a.platform AND (r.class, r.rank, r.task_id) > (a.class::farm.class, a.rank, a.task_id)
    ORDER BY r.class, r.rank, r.task_id LIMIT p_limit) r;
END $$;

-- Claiming.

-- A task in the queue, who is to have it, and where its row is, which is locked: from there to the delete it is not looked for again.
CREATE TYPE farm.pick AS (task_id bigint, builder_id int, instance uuid, weight int, row_at tid);

-- What builders did under their leases: a line each.
CREATE FUNCTION farm.record_leases(p_action text, p_builders int[], p_tasks bigint[], p_details jsonb[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' SET enable_seqscan = off AS $$
DECLARE
  v_process text := farm.process();
BEGIN
  INSERT INTO farm.audit (actor, way, address, action, object, details, process)
    SELECT coalesce(b.principal, 'builder/' || b.name), 'lease', b.address, p_action, 'task ' || x.task, jsonb_strip_nulls(x.details), v_process
    FROM unnest(p_builders, p_tasks, p_details) WITH ORDINALITY AS x(builder, task, details, place)
    JOIN farm.builder b ON b.id = x.builder ORDER BY x.place;
END $$;

-- What the builds of a task begin with beside their sources: the record to build like, and the packages of the jobs before. `lacks`: why it
-- cannot have these any more. Of most tasks there is nothing to say, and this is not asked.
CREATE FUNCTION farm.built_with(p_task bigint) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('task', t.id, 'like', farm.like_of(t.id),
      'lacks', CASE WHEN j.after_job IS NOT NULL THEN farm.lacks_before(j.person_id, j.after_job) END,
      'predecessors', CASE WHEN j.after_job IS NOT NULL THEN jsonb_build_object(
        'jobs', (SELECT jsonb_agg(p.o_job ORDER BY p.o_job) FROM farm.predecessors(j.id) p),
        'packages', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', x.o_name, 'digest', encode(x.o_digest, 'hex'), 'size', x.o_size,
            'job', x.o_job) ORDER BY x.o_name), '[]') FROM farm.packages_before(t.id) x)) END)
    FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = p_task);
END $$;

-- As it was, for a hub of an older version.
CREATE OR REPLACE FUNCTION farm.builds_with(p_builder int, p_tasks bigint[]) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY
  SELECT farm.built_with(l.task_id) FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.job j ON j.id = t.job_id
    WHERE l.task_id = ANY (p_tasks) AND l.builder_id = p_builder AND num_nonnulls(j.like_task, j.after_job) > 0;
END $$;

-- Takes tasks out of the queue and gives them to builders. The caller has locked both. `waited`: seconds since it could be had.
CREATE FUNCTION farm.hand_out(p_picks farm.pick[], p_lease interval)
RETURNS TABLE (builder_id int, task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean, weight int, options jsonb, limits jsonb, built_with jsonb)
LANGUAGE plpgsql ROWS 10 SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_builders int[] := '{}';
  v_tasks bigint[] := '{}';
  v_details jsonb[] := '{}';
BEGIN
  FOR builder_id, task_id, attempt, token, job_id, platform, timeout_seconds, recipe, sources, waited, network, weight, options, limits,
      built_with IN
    WITH taken AS (
      DELETE FROM farm.ready r WHERE r.ctid = ANY (ARRAY(SELECT k.row_at FROM unnest(p_picks) k)) RETURNING r.task_id, r.not_before),
    leased AS (
      UPDATE farm.task t SET state = 'leased', attempts = t.attempts + 1, started_at = now()
      FROM taken r JOIN unnest(p_picks) k ON k.task_id = r.task_id WHERE t.id = r.task_id AND t.state = 'pending'
      RETURNING t.id, t.attempts, t.job_id, t.platform, t.timeout_seconds, gen_random_uuid() AS token, r.not_before, k.builder_id,
        k.instance, k.weight),
    begun AS (
      INSERT INTO farm.attempt (task_id, number, builder_id, token) SELECT l.id, l.attempts, l.builder_id, l.token FROM leased l),
    held AS (
      INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at, weight, instance)
      SELECT l.id, l.attempts, l.builder_id, l.token, now() + p_lease, l.weight, l.instance FROM leased l),
    told AS (
      SELECT l.*, pg_notify('farm_job', l.job_id::text) FROM leased l)
    SELECT t.builder_id, t.id, t.attempts, t.token, t.job_id, t.platform, t.timeout_seconds, p.recipe,
           (SELECT jsonb_agg(jsonb_build_object('position', s.position, 'digest', encode(s.digest, 'hex'), 'size', b.size,
              'label', coalesce(s.name || '-' || s.version || '-' || s.release, s.file_name)) ORDER BY s.position)
            FROM farm.source s JOIN farm.blob b ON b.digest = s.digest WHERE s.job_id = t.job_id),
           extract(epoch FROM clock_timestamp() - t.not_before)::double precision, j.network, t.weight, j.options,
           farm.build_limits_of(j.person_id), CASE WHEN num_nonnulls(j.like_task, j.after_job) > 0 THEN farm.built_with(t.id) END
    FROM told t JOIN farm.platform p ON p.name = t.platform JOIN farm.job j ON j.id = t.job_id
  LOOP
    v_builders := v_builders || builder_id;
    v_tasks := v_tasks || task_id;
    v_details := v_details || jsonb_build_object('attempt', attempt);
    RETURN NEXT;
  END LOOP;
  PERFORM farm.record_leases('claim', v_builders, v_tasks, v_details);
END $$;

-- As farm.take_tasks was: gives a builder with `p_want` free slots tasks of the platforms that it serves, best first, that weigh no more
-- together. A task that weighs more than all slots of a builder takes all of them. Each platform is looked at from its head and no row is
-- locked in the look, then the best are locked, whoever is locked already being left to whoever locked it. Heavy tasks are looked for only
-- when the head of the queue has one.
CREATE FUNCTION farm.claim_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
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

-- For a hub of an older version, which asks for the rest by itself.
CREATE OR REPLACE FUNCTION farm.claim(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT c.task_id, c.attempt, c.token, c.job_id, c.platform, c.timeout_seconds, c.recipe, c.sources, c.waited, c.network
    FROM farm.claim_tasks(p_builder, p_instance, p_want, p_lease) c;
END $$;
DROP FUNCTION farm.take_tasks;

-- Gives those builders those tasks, as far as they can have them: what somebody else was given, locks or withdrew is not among what
-- comes back, nor what is not due, avoids its builder or is heavier than one slot (which takes room that farm.claim_tasks makes), nor anything
-- for a builder whose life is over, that does not serve the platform or keeps its slots for another task.
CREATE FUNCTION farm.claim_keys(p_platforms text[], p_classes text[], p_ranks bigint[], p_tasks bigint[], p_builders int[],
  p_instances uuid[], p_lease interval)
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
    SELECT k.* FROM unnest(p_platforms, p_classes, p_ranks, p_tasks, p_builders, p_instances)
        AS k(platform, class, rank, task_id, builder_id, instance)
      JOIN farm.builder b ON b.id = k.builder_id AND b.instance = k.instance AND b.saves_for IS NULL
      JOIN farm.platform p ON p.name = k.platform AND farm.serves(b, p)
    FOR KEY SHARE OF b),
  locked AS (
    SELECT ROW(k.task_id, k.builder_id, k.instance, 1, r.row_at)::farm.pick AS pick FROM alive k CROSS JOIN LATERAL (
      SELECT r.ctid AS row_at FROM farm.ready r
      WHERE r.platform = k.platform AND r.class = k.class::farm.class AND r.rank = k.rank AND r.task_id = k.task_id
        -- Better the same builder again than never.
        AND r.weight = 1 AND r.not_before <= now() AND (k.builder_id <> ALL (r.avoid) OR r.not_before < now() - interval '2 minutes')
      LIMIT 1 FOR UPDATE SKIP LOCKED) r)
  SELECT array_agg(pick) INTO v_picks FROM locked;
  IF v_picks IS NOT NULL THEN
    RETURN QUERY SELECT * FROM farm.hand_out(v_picks, p_lease);
  END IF;
END $$;

-- Signs of life.

-- Renews leases of many builders, each of the life that claimed it or hands over. Answers the places of those that live on; a lease that is
-- not among them is gone. A builder without leases has a place without a task.
CREATE FUNCTION farm.renew_all(p_builders int[], p_instances uuid[], p_tasks bigint[], p_attempts int[], p_tokens uuid[], p_lease interval)
RETURNS SETOF int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_places int[];
  v_rows tid[];
BEGIN
  PERFORM farm.saw(ARRAY(
    SELECT b.id FROM unnest(p_builders, p_instances) AS x(builder_id, instance) JOIN farm.builder b ON b.id = x.builder_id
    WHERE b.instance = x.instance OR farm.hands_over(b.id, x.instance)));
  -- Locked in the order in which all others lock leases.
  WITH held AS MATERIALIZED (
    SELECT l.row_at, x.place::int FROM (
      SELECT x.* FROM unnest(p_builders, p_instances, p_tasks, p_attempts, p_tokens) WITH ORDINALITY
          AS x(builder_id, instance, task_id, attempt, token, place)
        JOIN farm.builder b ON b.id = x.builder_id
      WHERE b.instance = x.instance OR farm.hands_over(b.id, x.instance) ORDER BY x.task_id OFFSET 0) x
    CROSS JOIN LATERAL (
      SELECT l.ctid AS row_at FROM farm.lease l
      WHERE l.task_id = x.task_id AND l.attempt = x.attempt AND l.token = x.token AND l.builder_id = x.builder_id
      LIMIT 1 FOR NO KEY UPDATE) l)
  SELECT array_agg(row_at), array_agg(place) INTO v_rows, v_places FROM held;
  -- A statement of its own, which sees the rows as they were when they were locked.
  UPDATE farm.lease SET expires_at = now() + p_lease WHERE ctid = ANY (v_rows);
  RETURN QUERY SELECT unnest(v_places);
END $$;

-- Whether this life of a builder hands over to the next one, and finishes what it holds.
CREATE FUNCTION farm.hands_over(p_builder int, p_instance uuid) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.leaving g WHERE g.instance = p_instance AND g.builder_id = p_builder);
END $$;

-- Builders are there. Written down rarely, as this is a write; whoever holds the row of one just now does so as well, and nobody waits.
CREATE FUNCTION farm.saw(p_builders int[]) RETURNS void LANGUAGE plpgsql SET search_path = '' SET enable_seqscan = off AS $$
BEGIN
  UPDATE farm.builder SET last_seen_at = now() WHERE id = ANY (ARRAY(
    SELECT id FROM farm.builder WHERE id = ANY (p_builders) AND last_seen_at < now() - interval '10 seconds' FOR NO KEY UPDATE SKIP LOCKED));
END $$;

-- Builders wait for tasks. Answers for each place whether that is the life that the builder leads, which platforms it is given tasks of, and
-- whether it keeps its slots for a task.
CREATE FUNCTION farm.presence(p_builders int[], p_instances uuid[])
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

-- Ending.

-- What was announced under a lease goes with it: of all leases of a statement at once.
DROP TRIGGER expect_no_more ON farm.lease;
CREATE OR REPLACE FUNCTION farm.expect_no_more() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  DELETE FROM farm.expected e USING gone g WHERE e.task_id = g.task_id AND e.attempt = g.attempt;
  RETURN NULL;
END $$;
CREATE TRIGGER expect_no_more AFTER DELETE ON farm.lease REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION farm.expect_no_more();

-- Ends tasks. Those that succeed have packages to publish. Answers their jobs, of which the caller tells in the end.
CREATE FUNCTION farm.end_tasks(p_tasks bigint[], p_states farm.task_state[], p_causes farm.cause[], p_messages text[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_jobs bigint[];
BEGIN
  WITH ended AS (
    UPDATE farm.task t SET state = x.state, cause = x.cause, message = nullif(x.message, ''), finished_at = now()
      FROM unnest(p_tasks, p_states, p_causes, p_messages) AS x(task_id, state, cause, message)
      WHERE t.id = x.task_id AND NOT farm.is_final(t.state) RETURNING t.job_id, t.platform, t.state),
  to_publish AS (
    INSERT INTO farm.unpublished (bucket, platform)
      SELECT j.bucket, e.platform FROM ended e JOIN farm.job j ON j.id = e.job_id WHERE e.state = 'succeeded')
  SELECT coalesce(array_agg(job_id), '{}') INTO v_jobs FROM ended;
  IF cardinality(v_jobs) <> cardinality(p_tasks) THEN
    PERFORM farm.refuse('conflict', format('task %s has ended', array_to_string(p_tasks, ' or ')));
  END IF;
  RETURN v_jobs;
END $$;

CREATE OR REPLACE FUNCTION farm.end_task(p_task bigint, p_state farm.task_state, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  RETURN (farm.end_tasks(ARRAY[p_task], ARRAY[p_state], ARRAY[p_cause], ARRAY[p_message]))[1];
END $$;
DROP FUNCTION farm.close_task;

-- Called last by whatever changed the tasks of jobs: tells those who watch, and lets those who wait for the jobs go on.
-- Here alone jobs with tasks are locked, after everything else and in the order of their numbers (a job comes after one with a smaller
-- number), so transactions that change tasks of the same jobs never wait for each other in a circle. All at once where no job waits for
-- any of them; else one by one, as who waits is locked in its turn.
CREATE OR REPLACE FUNCTION farm.jobs_changed(p_jobs bigint[]) RETURNS void LANGUAGE plpgsql SET search_path = '' SET enable_seqscan = off AS $$
DECLARE
  v_left bigint[] := ARRAY(SELECT DISTINCT j FROM unnest(p_jobs) AS j WHERE j IS NOT NULL ORDER BY j);
  v_now bigint[];
  v_well bigint[];
  v_badly bigint[];
  v_next record;
BEGIN
  WHILE cardinality(v_left) > 0 LOOP
    v_now := v_left;
    IF EXISTS (SELECT FROM farm.job WHERE after_job = ANY (v_left) AND state = 'accepted') THEN
      v_now := v_left[1:1];
    END IF;
    v_left := v_left[cardinality(v_now) + 1:];
    PERFORM pg_notify('farm_job', j::text) FROM unnest(v_now) AS j;
    -- Two tasks that end in the same moment: the second one to get here sees both.
    PERFORM FROM farm.job WHERE id = ANY (v_now) ORDER BY id FOR NO KEY UPDATE;
    WITH fate AS MATERIALIZED (
      SELECT j AS id, farm.job_succeeded(j) AS succeeded FROM unnest(v_now) AS j),
    changed AS (
      UPDATE farm.job j SET open = (f.succeeded IS NULL) FROM fate f WHERE j.id = f.id AND j.open <> (f.succeeded IS NULL))
    SELECT array_agg(id) FILTER (WHERE succeeded), array_agg(id) FILTER (WHERE NOT succeeded) INTO v_well, v_badly FROM fate;
    FOR v_next IN SELECT id, after_job FROM farm.job WHERE after_job = ANY (v_well || v_badly) AND state = 'accepted' ORDER BY id LOOP
      IF (CASE WHEN v_next.after_job = ANY (v_well) THEN farm.stop_waiting(v_next.id)
               ELSE farm.give_up_waiting(v_next.id, v_next.after_job) END) THEN
        v_left := ARRAY(SELECT DISTINCT j FROM unnest(v_left || v_next.id) AS j ORDER BY j);
      END IF;
    END LOOP;
  END LOOP;
END $$;

-- What a job of one source took is what that package takes on that platform; newer builds count more. Written in one order, so that two
-- batches never wait for each other in a circle.
CREATE FUNCTION farm.remember_times(p_tasks bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  INSERT INTO farm.build_time AS b (platform, name, seconds, builds)
    SELECT o.platform, o.name, avg(o.seconds), count(*) FROM (
      SELECT t.platform, min(s.name) AS name, extract(epoch FROM now() - t.started_at) AS seconds
      FROM unnest(p_tasks) AS x(id) JOIN farm.task t ON t.id = x.id JOIN farm.source s ON s.job_id = t.job_id
      GROUP BY t.id HAVING count(*) = 1 AND min(s.name) IS NOT NULL) o
    GROUP BY o.platform, o.name ORDER BY o.platform, o.name
    ON CONFLICT (platform, name) DO UPDATE SET builds = b.builds + excluded.builds,
      seconds = b.seconds * 0.7 ^ excluded.builds + excluded.seconds * (1 - 0.7 ^ excluded.builds);
END $$;
DROP FUNCTION farm.remember_time;

-- Ends attempts with what came of them: documents of farm_api::hub::Finish, each with its place, builder, task, attempt and token. Answers the
-- places of those that ended. The others are as they were, because the lease is gone, a file was not delivered, or a builder cannot end an
-- attempt so: farm.finish_with_record says which.
CREATE FUNCTION farm.finish_all(p_ends jsonb) RETURNS SETOF int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_places int[];
  v_builders int[];
  v_tasks bigint[];
  v_attempts int[];
  v_outcomes farm.outcome[];
  v_causes farm.cause[];
  v_messages text[];
  v_files int[];
  v_rows tid[];
  v_ended int;
  v_logged boolean;
  v_jobs bigint[] := '{}';
BEGIN
  WITH held AS MATERIALIZED (
    -- Told twice is ended once.
    SELECT DISTINCT ON (e.task) e.place, e.builder, e.task, e.attempt, e.outcome, e.cause, e.message, e.files, l.row_at FROM (
      SELECT e.*, jsonb_array_length(e.artifacts) AS files
      FROM jsonb_to_recordset(p_ends) AS e(place int, builder int, task bigint, attempt int, token uuid, outcome farm.outcome,
          cause farm.cause, message text, artifacts jsonb)
      WHERE e.outcome IN ('succeeded', 'failed', 'farm_fault') AND farm.undelivered(e.task, e.attempt, e.artifacts) IS NULL
      ORDER BY e.task OFFSET 0) e
    CROSS JOIN LATERAL (
      SELECT l.ctid AS row_at FROM farm.lease l
      WHERE l.task_id = e.task AND l.attempt = e.attempt AND l.token = e.token AND l.builder_id = e.builder
      LIMIT 1 FOR UPDATE) l
    ORDER BY e.task)
  SELECT array_agg(place), array_agg(builder), array_agg(task), array_agg(attempt), array_agg(outcome), array_agg(cause), array_agg(message),
         array_agg(files), array_agg(row_at)
    INTO v_places, v_builders, v_tasks, v_attempts, v_outcomes, v_causes, v_messages, v_files, v_rows FROM held;
  IF v_places IS NULL THEN
    RETURN;
  END IF;
  -- A statement of its own, which sees the rows as they were when they were locked.
  DELETE FROM farm.lease WHERE ctid = ANY (v_rows);
  WITH e AS MATERIALIZED (
    SELECT e.* FROM jsonb_to_recordset(p_ends) AS e(place int, task bigint, attempt int, outcome farm.outcome, cause farm.cause,
        stage farm.stage, message text, excerpt jsonb, stages jsonb, artifacts jsonb, usage jsonb, marks jsonb)
    WHERE e.place = ANY (v_places)),
  made AS (
    INSERT INTO farm.artifact (task_id, attempt, kind, name, digest, size)
      SELECT e.task, e.attempt, f.kind, f.name, decode(f.digest, 'hex'), f.size
      FROM e CROSS JOIN jsonb_to_recordset(e.artifacts) AS f(kind farm.artifact_kind, name text, digest text, size bigint)),
  ended AS (
    UPDATE farm.attempt a SET outcome = e.outcome, cause = e.cause, stage = coalesce(e.stage, a.stage), message = nullif(e.message, ''),
        excerpt = e.excerpt, stages = e.stages, finished_at = now(), marks = coalesce(e.marks, a.marks),
        peak_memory_bytes = (e.usage->>'peak_memory_bytes')::bigint, cpu_milliseconds = (e.usage->>'cpu_milliseconds')::bigint,
        written_bytes = (e.usage->>'written_bytes')::bigint,
        log_digest = (SELECT decode(f.digest, 'hex') FROM jsonb_to_recordset(e.artifacts) AS f(kind text, digest text)
                      WHERE f.kind = 'log' LIMIT 1)
      FROM e WHERE a.task_id = e.task AND a.number = e.attempt AND a.outcome IS NULL RETURNING a.log_digest)
  SELECT count(*), bool_or(log_digest IS NOT NULL) INTO v_ended, v_logged FROM ended;
  IF v_ended <> cardinality(v_tasks) THEN
    PERFORM farm.refuse('conflict', format('an attempt of task %s has ended', array_to_string(v_tasks, ' or ')));
  END IF;
  IF v_logged THEN
    DELETE FROM farm.log_chunk c USING unnest(v_tasks, v_attempts) AS x(task_id, attempt), farm.attempt a
      WHERE a.task_id = x.task_id AND a.number = x.attempt AND a.log_digest IS NOT NULL AND c.task_id = x.task_id AND c.attempt = x.attempt;
  END IF;
  DELETE FROM farm.delivered d USING unnest(v_tasks, v_attempts) AS x(task_id, attempt)
    WHERE d.task_id = x.task_id AND d.attempt = x.attempt;
  PERFORM farm.remember_times(ARRAY(SELECT x.task_id FROM unnest(v_tasks, v_outcomes) AS x(task_id, outcome) WHERE x.outcome = 'succeeded'));
  FOR i IN 1..cardinality(v_tasks) LOOP
    IF v_outcomes[i] = 'farm_fault' THEN
      v_jobs := v_jobs || farm.requeue(v_tasks[i], v_outcomes[i], v_causes[i], v_messages[i]);
    END IF;
  END LOOP;
  v_jobs := v_jobs || (
    SELECT farm.end_tasks(array_agg(x.task_id), array_agg(x.outcome::text::farm.task_state), array_agg(x.cause),
                          array_agg(CASE x.outcome WHEN 'failed' THEN x.message END))
    FROM unnest(v_tasks, v_outcomes, v_causes, v_messages) AS x(task_id, outcome, cause, message) WHERE x.outcome <> 'farm_fault'
    HAVING count(*) > 0);
  PERFORM farm.jobs_changed(v_jobs);
  IF 0 < ANY (v_files) THEN
    -- The rows of the jobs are ours already.
    UPDATE farm.job j SET bytes = j.bytes + f.bytes FROM (
      SELECT t.job_id, sum(f.size) AS bytes FROM unnest(v_tasks, v_attempts) AS x(task_id, attempt) JOIN farm.task t ON t.id = x.task_id
        JOIN farm.artifact f ON f.task_id = x.task_id AND f.attempt = x.attempt GROUP BY t.job_id) AS f
      WHERE j.id = f.job_id;
  END IF;
  PERFORM farm.record_leases('finish', v_builders, v_tasks, ARRAY(
    SELECT jsonb_build_object('attempt', x.attempt, 'outcome', x.outcome, 'cause', x.cause, 'artifacts', nullif(x.files, 0))
    FROM unnest(v_attempts, v_outcomes, v_causes, v_files) WITH ORDINALITY AS x(attempt, outcome, cause, files, n) ORDER BY x.n));
  RETURN QUERY SELECT unnest(v_places);
END $$;

-- Those of the files of an attempt that were not brought under its lease, or with another size; NULL: all were.
CREATE FUNCTION farm.undelivered(p_task bigint, p_attempt int, p_artifacts jsonb) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  IF p_artifacts = '[]' THEN
    RETURN NULL;
  END IF;
  RETURN (
    SELECT string_agg(f.name, ', ') FROM jsonb_to_recordset(p_artifacts) AS f(name text, digest text, size bigint)
    WHERE NOT EXISTS (SELECT FROM farm.delivered d JOIN farm.blob b ON b.digest = d.digest
                      WHERE d.task_id = p_task AND d.attempt = p_attempt AND d.digest = decode(f.digest, 'hex') AND b.size = f.size));
END $$;

-- As it was: a batch of one, and what is wrong with it. Sent again after a lost answer it changes nothing and is no error.
CREATE OR REPLACE FUNCTION farm.finish_with_record(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome,
    p_cause farm.cause, p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb, p_usage jsonb, p_marks jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_missing text;
BEGIN
  PERFORM farm.finish_all(jsonb_build_array(jsonb_build_object('place', 1, 'builder', p_builder, 'task', p_task, 'attempt', p_attempt,
    'token', p_token, 'outcome', p_outcome, 'cause', p_cause, 'stage', p_stage, 'message', p_message, 'excerpt', p_excerpt,
    'stages', p_stages, 'artifacts', p_artifacts, 'usage', p_usage, 'marks', p_marks)));
  IF FOUND THEN
    RETURN;
  ELSIF EXISTS (SELECT FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder) THEN
    v_missing := farm.undelivered(p_task, p_attempt, p_artifacts);
    IF v_missing IS NOT NULL THEN
      PERFORM farm.refuse('not_found', format('these artifacts were not delivered, or are of another size: %s', v_missing));
    END IF;
    PERFORM farm.refuse('conflict', format('a builder cannot end an attempt as %s', p_outcome));
  ELSIF NOT EXISTS (SELECT FROM farm.attempt WHERE task_id = p_task AND number = p_attempt AND token = p_token
                    AND builder_id = p_builder AND outcome = p_outcome) THEN
    PERFORM farm.refuse('lease_lost', format('attempt %s of task %s is not yours any more', p_attempt, p_task));
  END IF;
END $$;

-- For a hub of an older version, which knows of no usage and no marks.
CREATE OR REPLACE FUNCTION farm.finish(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
    p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.finish_with_record(p_builder, p_task, p_attempt, p_token, p_outcome, p_cause, p_stage, p_message, p_excerpt, p_stages,
    p_artifacts, NULL, NULL);
END $$;
DROP FUNCTION farm.take_result;

GRANT EXECUTE ON FUNCTION farm.ready_keys, farm.claim_tasks, farm.claim_keys, farm.renew_all, farm.presence, farm.finish_all TO farm_hub;

RESET ROLE;
