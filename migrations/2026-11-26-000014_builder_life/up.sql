SET LOCAL ROLE farm_owner;

-- Weights: how many of a builder's slots a task takes.

ALTER TABLE farm.task ADD COLUMN weight smallint NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 64);
ALTER TABLE farm.ready ADD COLUMN weight smallint NOT NULL DEFAULT 1;
CREATE INDEX ready_heavy ON farm.ready (platform) WHERE weight > 1;
ALTER TABLE farm.lease
  ADD COLUMN weight smallint NOT NULL DEFAULT 1,
  ADD COLUMN instance uuid;            -- the life of the builder that claimed it
ALTER TABLE farm.builder ADD COLUMN saves_for bigint;   -- the task that it keeps its slots free for, see farm.make_room

CREATE FUNCTION farm.weight_of(p_job bigint, p_platform text) RETURNS smallint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT least(64, greatest(1, coalesce((recipe->>'weight')::int, 1)))::smallint FROM farm.platform WHERE name = p_platform
$$;

-- Whoever makes tasks need not know what they weigh.
CREATE FUNCTION farm.weigh() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  NEW.weight := farm.weight_of(NEW.job_id, NEW.platform);
  RETURN NEW;
END $$;
CREATE TRIGGER weigh BEFORE INSERT ON farm.task FOR EACH ROW EXECUTE FUNCTION farm.weigh();

CREATE OR REPLACE FUNCTION farm.make_ready(p_task bigint, p_not_before timestamptz, p_avoid int[]) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_platform text;
BEGIN
  INSERT INTO farm.ready (platform, class, rank, task_id, not_before, avoid, weight)
    SELECT platform, class, rank, id, p_not_before, p_avoid, weight FROM farm.task WHERE id = p_task AND state = 'pending'
    RETURNING platform INTO STRICT v_platform;
  PERFORM pg_notify('farm_ready', v_platform);
END $$;

-- How a builder stands, as it says itself; written seldom.
CREATE TABLE farm.builder_status (
  builder_id       int PRIMARY KEY REFERENCES farm.builder,
  instance         uuid NOT NULL,
  reason           text CHECK (length(reason) <= 1000),   -- why it takes nothing; NULL: it takes tasks
  load             real NOT NULL,                         -- average of a minute
  processors       int NOT NULL,
  memory_available bigint NOT NULL,
  disk_available   bigint NOT NULL,
  files_available  bigint NOT NULL,
  told_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Lives of builders that hand over to a next one: they claim no more, and keep what they hold until it has ended.
CREATE TABLE farm.leaving (
  instance   uuid PRIMARY KEY,
  builder_id int NOT NULL REFERENCES farm.builder,
  since      timestamptz NOT NULL DEFAULT now()
);

-- Whether a task is kept room for by a builder other than this one, which can be expected to take it.
CREATE FUNCTION farm.is_saved_for(p_task bigint, p_builder int) RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT EXISTS (
    SELECT FROM farm.builder b WHERE b.saves_for = p_task AND b.id <> p_builder AND b.state = 'enabled'
      AND b.last_seen_at > now() - interval '1 minute'
      AND NOT EXISTS (SELECT FROM farm.builder_status s WHERE s.builder_id = b.id AND s.instance = b.instance AND s.reason IS NOT NULL))
$$;

-- What a builder may be given when heavy tasks are about: of its head, what comes before (o_class, o_rank, o_task) and is not to be
-- passed over, and besides the task that it saves for. The rule: when the next task in the order does not fit into the free slots of a
-- builder, that builder keeps its slots for it and is given nothing else but what is of a better class. So the task waits for the
-- builds that run there and for no others. Builders that come later pass it over; whoever has room first takes it.
CREATE FUNCTION farm.make_room(p_builder int, p_platforms text[], p_slots int, p_free int,
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

-- As it was, but `p_want` is the number of free slots, and what is given weighs no more than that together. A task that weighs more than
-- all slots of a builder takes all of them. Heavy tasks are looked for only when the head of the queue has one.
-- It says how few rows it answers: who joins them with all jobs, as farm.claim does, would else read all jobs for each claim.
CREATE OR REPLACE FUNCTION farm.take_tasks(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision)
LANGUAGE plpgsql ROWS 2 SECURITY DEFINER SET search_path = '' AS $$
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
BEGIN
  PERFORM farm.be_alive(p_builder, p_instance);
  -- A builder without work shows itself by claiming; rarely, as this is a write.
  UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder AND last_seen_at < now() - interval '10 seconds';
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
    RETURN QUERY
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
      SELECT r.platform, r.class, r.rank, r.task_id, r.weight FROM head JOIN farm.ready r USING (platform, class, rank, task_id)
      WHERE v_careful OR NOT (SELECT bool_or(weight > 1) FROM head)
      ORDER BY r.class, r.rank, r.task_id LIMIT p_want FOR UPDATE OF r SKIP LOCKED),
    fitting AS (
      SELECT l.*, sum(least(l.weight, v_slots)) OVER (ORDER BY l.class, l.rank, l.task_id) AS total FROM locked l),
    taken AS (
      DELETE FROM farm.ready r USING fitting l
      WHERE l.total <= p_want AND r.platform = l.platform AND r.class = l.class AND r.rank = l.rank AND r.task_id = l.task_id
      RETURNING r.task_id, r.not_before, r.weight),
    leased AS (
      UPDATE farm.task t SET state = 'leased', attempts = t.attempts + 1, started_at = now()
      FROM taken WHERE t.id = taken.task_id AND t.state = 'pending'
      RETURNING t.id, t.attempts, t.job_id, t.platform, t.timeout_seconds, gen_random_uuid() AS token, taken.not_before, taken.weight),
    begun AS (
      INSERT INTO farm.attempt (task_id, number, builder_id, token) SELECT l.id, l.attempts, p_builder, l.token FROM leased l),
    held AS (
      INSERT INTO farm.lease (task_id, attempt, builder_id, token, expires_at, weight, instance)
      SELECT l.id, l.attempts, p_builder, l.token, now() + p_lease, least(l.weight, v_slots), p_instance FROM leased l),
    told AS (
      SELECT l.*, pg_notify('farm_job', l.job_id::text) FROM leased l)
    SELECT t.id, t.attempts, t.token, t.job_id, t.platform, t.timeout_seconds, p.recipe,
           (SELECT jsonb_agg(jsonb_build_object('position', s.position, 'digest', encode(s.digest, 'hex'), 'size', b.size,
              'label', coalesce(s.name || '-' || s.version || '-' || s.release, s.file_name)) ORDER BY s.position)
            FROM farm.source s JOIN farm.blob b ON b.digest = s.digest WHERE s.job_id = t.job_id),
           extract(epoch FROM clock_timestamp() - t.not_before)::double precision
    FROM told t JOIN farm.platform p ON p.name = t.platform;
    IF FOUND THEN
      -- The new attempts hold a lock on the builder (their foreign key), so a hello is either over or waits for us. Not
      -- before, and not where there is nothing to claim: a lock is a write.
      PERFORM farm.be_alive(p_builder, p_instance);
      RETURN;
    END IF;
    EXIT WHEN v_careful OR NOT EXISTS (SELECT FROM farm.ready r WHERE r.weight > 1 AND r.platform = ANY (v_platforms));
    v_careful := true;
  END LOOP;
END $$;

-- How many slots of its builder a leased task takes. Volatile: asked in the statement that claims, it sees what that one did.
CREATE FUNCTION farm.leased_weight(p_task bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT weight FROM farm.lease WHERE task_id = p_task);
END $$;

-- How many slots have to be free for the task that a builder keeps them for; NULL: it keeps none.
CREATE FUNCTION farm.saves_slots(p_builder int) RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT least(t.weight, b.slots) FROM farm.builder b JOIN farm.task t ON t.id = b.saves_for
          WHERE b.id = p_builder AND t.state = 'pending' AND t.platform = ANY (farm.platforms_of(p_builder)));
END $$;

-- As it was, but an elsewhere has to have room for what the task weighs, and must not have said that it takes nothing.
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

-- Lives of builders.

-- As it was, but what a life holds that hands over to this one stays with it. A life that could not hand over says hello again.
CREATE OR REPLACE FUNCTION farm.begin_life(p_builder int, p_instance uuid, p_version text, p_arches text[], p_slots int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
BEGIN
  -- A claim of the earlier life either has its leases already, which are seen once this lock is there, or looks at the
  -- instance again after it waited for this lock, and is refused.
  PERFORM FROM farm.builder WHERE id = p_builder FOR UPDATE;
  DELETE FROM farm.leaving WHERE instance = p_instance;
  IF NOT EXISTS (SELECT FROM farm.builder WHERE id = p_builder AND instance = p_instance) THEN
    FOR v_lease IN
      WITH held AS MATERIALIZED (
        SELECT l.task_id FROM farm.lease l WHERE l.builder_id = p_builder AND l.instance IS DISTINCT FROM p_instance
          AND NOT EXISTS (SELECT FROM farm.leaving g WHERE g.instance = l.instance AND g.builder_id = p_builder)
        ORDER BY l.task_id FOR UPDATE OF l)
      DELETE FROM farm.lease l USING held WHERE l.task_id = held.task_id RETURNING l.*
    LOOP
      v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'builder_lost', 'the builder was started anew');
    END LOOP;
  END IF;
  DELETE FROM farm.leaving g WHERE g.builder_id = p_builder AND NOT EXISTS (SELECT FROM farm.lease l WHERE l.instance = g.instance);
  UPDATE farm.builder SET instance = p_instance, version = p_version, arches = p_arches, slots = p_slots, last_seen_at = now(),
      saves_for = NULL
    WHERE id = p_builder;
  PERFORM farm.jobs_changed(v_jobs);
  RETURN cardinality(v_jobs);
END $$;

-- A builder comes up, and says whether it takes over from a life that handed over to it. If not, no such life goes on: the machine or the
-- service was started anew in the middle of that. (A hub of the version before calls farm.hello, which takes everybody for a successor.)
CREATE FUNCTION farm.come_up(p_builder int, p_address text, p_instance uuid, p_version text, p_arches text[], p_slots int,
    p_successor boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF NOT p_successor THEN
    PERFORM FROM farm.builder WHERE id = p_builder FOR UPDATE;
    DELETE FROM farm.leaving WHERE builder_id = p_builder;
  END IF;
  RETURN farm.hello(p_builder, p_address, p_instance, p_version, p_arches, p_slots);
END $$;

-- A life of a builder hands over to the next one, which will say hello: what it holds stays with it, and it claims no more.
CREATE FUNCTION farm.leave(p_builder int, p_instance uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM FROM farm.builder WHERE id = p_builder FOR NO KEY UPDATE;
  PERFORM farm.be_alive(p_builder, p_instance);
  INSERT INTO farm.leaving (instance, builder_id) VALUES (p_instance, p_builder) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    PERFORM farm.record(farm.builder_actor(p_builder), 'leave', 'builder ' || (SELECT name FROM farm.builder WHERE id = p_builder),
      jsonb_build_object('leases', (SELECT count(*) FROM farm.lease WHERE instance = p_instance)));
  END IF;
  -- A claim of its that waits in a hub is answered now.
  PERFORM pg_notify('farm_orders', p_builder || ' recall');
END $$;

-- As it was, for a life that hands over too.
CREATE OR REPLACE FUNCTION farm.renew(p_builder int, p_instance uuid, p_tasks bigint[], p_attempts int[], p_tokens uuid[], p_lease interval)
RETURNS SETOF bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder
    AND (instance = p_instance OR EXISTS (SELECT FROM farm.leaving g WHERE g.instance = p_instance AND g.builder_id = p_builder));
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Locked in the order in which all others lock leases.
  RETURN QUERY
  WITH held AS MATERIALIZED (
    SELECT l.task_id FROM unnest(p_tasks, p_attempts, p_tokens) AS x(task_id, attempt, token)
    JOIN farm.lease l ON l.task_id = x.task_id AND l.attempt = x.attempt AND l.token = x.token AND l.builder_id = p_builder
    ORDER BY l.task_id FOR NO KEY UPDATE OF l)
  UPDATE farm.lease l SET expires_at = now() + p_lease FROM held WHERE l.task_id = held.task_id RETURNING l.task_id;
END $$;

-- A builder says how it stands. Answers what an operator wants of it. Of a life that is over, or hands over, nothing is kept.
CREATE FUNCTION farm.tell_status(p_builder int, p_instance uuid, p_reason text, p_load real, p_processors int, p_memory bigint,
    p_disk bigint, p_files bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF EXISTS (SELECT FROM farm.builder WHERE id = p_builder AND instance = p_instance) THEN
    INSERT INTO farm.builder_status AS s
        (builder_id, instance, reason, load, processors, memory_available, disk_available, files_available)
      VALUES (p_builder, p_instance, left(p_reason, 1000), p_load, p_processors, p_memory, p_disk, p_files)
      ON CONFLICT (builder_id) DO UPDATE SET instance = excluded.instance, reason = excluded.reason, load = excluded.load,
        processors = excluded.processors, memory_available = excluded.memory_available, disk_available = excluded.disk_available,
        files_available = excluded.files_available, told_at = now();
    UPDATE farm.builder SET last_seen_at = now() WHERE id = p_builder AND last_seen_at < now() - interval '10 seconds';
    IF p_reason IS NOT NULL THEN
      -- A claim of its that waits in a hub is answered now.
      PERFORM pg_notify('farm_orders', p_builder || ' recall');
    END IF;
  END IF;
  RETURN (SELECT jsonb_build_object('state', state, 'reason', reason) FROM farm.builder WHERE id = p_builder);
END $$;

-- Hubs that are away.

-- When a hub was heard of last, and since when one always was. `lease` is how long theirs last.
CREATE TABLE farm.hub_pulse (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  at       timestamptz NOT NULL,
  since    timestamptz NOT NULL,
  lease    interval NOT NULL
) WITH (fillfactor = 50);

-- A hub is there and takes renewals. Told several times in a third of a lease, which is the longest silence that costs no lease.
CREATE FUNCTION farm.pulse(p_lease interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.hub_pulse AS p (at, since, lease) VALUES (now(), now(), p_lease)
    ON CONFLICT (only_row) DO UPDATE SET at = now(), lease = p_lease,
      since = CASE WHEN p.at < now() - p.lease / 3 THEN now() ELSE p.since END;
END $$;

-- Whether leases may have run out because no hub took renewals: none is there, or one came back within the first lease's time. (After a
-- day without any pulse it is taken that hubs of an older version are at work, which have none.)
CREATE FUNCTION farm.hubs_were_away() RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT EXISTS (SELECT FROM farm.hub_pulse WHERE at > now() - interval '1 day' AND (at < now() - lease / 3 OR since > now() - lease))
$$;

-- As it was, but a lease runs out only while it could have been renewed.
CREATE OR REPLACE FUNCTION farm.reap(p_grace interval) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
BEGIN
  IF farm.hubs_were_away() THEN
    RETURN 0;
  END IF;
  FOR v_lease IN
    WITH silent AS MATERIALIZED (
      SELECT task_id FROM farm.lease WHERE expires_at < now() - p_grace ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED)
    DELETE FROM farm.lease l USING silent WHERE l.task_id = silent.task_id RETURNING l.*
  LOOP
    v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'builder_lost', 'the builder went silent and its lease ran out');
    PERFORM pg_notify('farm_orders', v_lease.builder_id::text);
  END LOOP;
  PERFORM farm.jobs_changed(v_jobs);
  RETURN cardinality(v_jobs);
END $$;

-- What people see.

CREATE OR REPLACE VIEW farm.builder_view AS
  SELECT b.id, b.name::text AS name, b.state::text AS state, b.reason, b.platforms, b.version, b.arches, b.slots, b.last_seen_at,
         coalesce(b.last_seen_at > now() - interval '2 minutes', false) AS alive,
         (SELECT count(*) FROM farm.lease l WHERE l.builder_id = b.id) AS running,
         farm.platforms_of(b.id) AS serves,
         (SELECT coalesce(sum(l.weight), 0) FROM farm.lease l WHERE l.builder_id = b.id)::int AS used,
         s.reason AS takes_nothing, s.load, s.processors, s.memory_available, s.disk_available, s.files_available, s.told_at,
         (SELECT t.id FROM farm.task t WHERE t.id = b.saves_for AND t.state = 'pending') AS saves_for
  FROM farm.builder b LEFT JOIN farm.builder_status s ON s.builder_id = b.id AND s.instance = b.instance;

CREATE OR REPLACE VIEW farm.running_view AS
  SELECT l.task_id, l.attempt, t.job_id, t.platform, j.title, b.name::text AS builder, a.stage::text AS stage, a.started_at,
         l.expires_at, l.weight
  FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.job j ON j.id = t.job_id
  JOIN farm.builder b ON b.id = l.builder_id JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt;

GRANT EXECUTE ON FUNCTION farm.come_up, farm.leave, farm.tell_status, farm.pulse, farm.leased_weight, farm.saves_slots TO farm_hub;

RESET ROLE;
