SET LOCAL ROLE farm_owner;

-- Shares: how much of a busy platform's build time each person gets, against others who wait for it.

-- A person's own share; NULL: the greatest of the person's groups, or 1.
ALTER TABLE farm.person RENAME COLUMN weight TO share;
ALTER TABLE farm.person ALTER COLUMN share DROP NOT NULL, ALTER COLUMN share DROP DEFAULT, ALTER COLUMN share TYPE double precision;
ALTER TABLE farm.person DROP CONSTRAINT person_weight_check;
UPDATE farm.person SET share = NULL WHERE share = 1;
UPDATE farm.person SET share = least(1000, greatest(0.01, share)) WHERE share IS NOT NULL;
ALTER TABLE farm.person ADD CHECK (share BETWEEN 0.01 AND 1000);
ALTER TABLE farm.group ADD COLUMN share double precision CHECK (share BETWEEN 0.01 AND 1000);

CREATE FUNCTION farm.share_of(p_person int) RETURNS double precision LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT coalesce(p.share, (SELECT max(g.share) FROM farm.membership m JOIN farm.group g ON g.id = m.group_id
                            WHERE m.person_id = p.id AND g.share IS NOT NULL), 1)
  FROM farm.person p WHERE p.id = p_person
$$;

-- Sets the share of a person, or of each who is in a group, as in `@packagers`; NULL takes it back. What waits already stays where it is.
CREATE FUNCTION farm.set_share(p_actor farm.actor, p_whose text, p_share double precision) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_share NOT BETWEEN 0.01 AND 1000 THEN
    PERFORM farm.refuse('conflict', 'a share is a number from 0.01 to 1000');
  END IF;
  IF p_whose LIKE '@%' THEN
    UPDATE farm.group SET share = p_share WHERE id = farm.known_group(substr(p_whose, 2));
  ELSE
    UPDATE farm.person SET share = p_share WHERE id = farm.known_person(p_whose);
  END IF;
  PERFORM farm.record(p_actor, 'set share', CASE WHEN p_whose LIKE '@%' THEN 'group ' || substr(p_whose, 2) ELSE 'person ' || p_whose END,
    jsonb_build_object('share', p_share));
END $$;

CREATE OR REPLACE FUNCTION farm.whoami(p_principal text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT farm.whoami_plain(p_principal)
                 || jsonb_build_object('build_limits', farm.build_limits_of(p.id), 'share', farm.share_of(p.id))
          FROM farm.person p WHERE p.principal = p_principal);
END $$;

-- Lines: background tasks stand in one line with the normal ones, where their time counts tenfold. So on a platform that is always busy they
-- still move, a tenth as fast as a person's normal tasks, and on one that has nothing else to do they have all of it. The claim knows
-- nothing of that: a task's class is the line that it stands in, and what was asked for is its job's.

CREATE FUNCTION farm.line_of(p_class farm.class) RETURNS farm.class LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT CASE p_class WHEN 'urgent' THEN 'urgent' ELSE 'normal' END::farm.class $$;

-- How long a person's build time of a class counts on the virtual clock.
CREATE FUNCTION farm.counts(p_person int, p_class farm.class, p_time bigint) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS
  $$ SELECT (p_time * CASE p_class WHEN 'background' THEN 10 ELSE 1 END / farm.share_of(p_person))::bigint $$;

-- The clock as it was when the person's last task was placed: it never goes back, whatever old rank is at the head of the line.
ALTER TABLE farm.share ADD COLUMN clock bigint NOT NULL DEFAULT 0;
CREATE INDEX share_clock ON farm.share (platform, class, clock);
CREATE INDEX share_finish ON farm.share (platform, class, finish);

-- What a task's place was reckoned with: the build time that it was expected to take, in milliseconds of one slot. 0: it was placed before
-- there was this column, and is not settled.
ALTER TABLE farm.task ADD COLUMN cost bigint NOT NULL DEFAULT 0 CHECK (cost >= 0);

-- What tasks took beyond what they were expected to, until their person's next one is placed. Only ever added to when a task ends, so that
-- ending one waits for nobody; no foreign keys, which would lock a row of others each time.
CREATE TABLE farm.settlement (
  person_id int NOT NULL,
  platform  text NOT NULL,
  class     farm.class NOT NULL,
  time      bigint NOT NULL
);
CREATE INDEX settlement_person ON farm.settlement (person_id, platform, class);

-- A task that ends costs its person what it took, not what it was expected to; one that is not built, or was spoilt by the farm, nothing.
-- One that is built again costs what it was expected to once more.
CREATE FUNCTION farm.settle() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
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
CREATE TRIGGER settle AFTER UPDATE OF state ON farm.task FOR EACH ROW
  WHEN (NEW.cost > 0 AND farm.is_final(OLD.state) <> farm.is_final(NEW.state)) EXECUTE FUNCTION farm.settle();

-- The rank of who is next on a platform; NULL: nobody waits. Of a few that are first and have to wait for their time, who is due.
CREATE FUNCTION farm.next_rank(p_platform text, p_line farm.class) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT h.rank FROM (
      SELECT r.rank, r.not_before FROM farm.ready r WHERE r.platform = p_platform AND r.class = p_line
      ORDER BY r.rank, r.task_id LIMIT 16) h
    ORDER BY h.not_before > now(), h.rank LIMIT 1);
END $$;

-- The virtual clock of a line. Builders serve the platforms of their architecture and compare the ranks of all of them, so where nobody
-- waits the clock is that of the platforms beside it, and where nobody waits on any of them, nobody owes anything to anybody.
CREATE FUNCTION farm.clock_of(p_platform text, p_line farm.class) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
  v_classes farm.class[] := CASE p_line WHEN 'urgent' THEN '{urgent}' ELSE '{normal,background}' END;
  v_beside text[];
  v_clock bigint;
BEGIN
  -- One before the next: a newcomer goes ahead of those who have been served already.
  v_clock := farm.next_rank(p_platform, p_line) - 1;
  IF v_clock IS NULL THEN
    SELECT array_agg(b.name) INTO v_beside FROM farm.platform p JOIN farm.platform b ON b.arch = p.arch WHERE p.name = p_platform;
    SELECT max(farm.next_rank(name, p_line)) - 1 INTO v_clock FROM unnest(v_beside) AS name;
  END IF;
  IF v_clock IS NULL THEN
    RETURN coalesce((SELECT max(s.finish) FROM unnest(v_beside) AS p(name) CROSS JOIN unnest(v_classes) AS c(class) CROSS JOIN LATERAL (
      SELECT finish FROM farm.share WHERE platform = p.name AND class = c.class ORDER BY finish DESC LIMIT 1) s), 0);
  END IF;
  RETURN greatest(v_clock, (SELECT max(s.clock) FROM unnest(v_classes) AS c(class) CROSS JOIN LATERAL (
    SELECT clock FROM farm.share WHERE platform = p_platform AND class = c.class ORDER BY clock DESC LIMIT 1) s));
END $$;

-- Where a new task stands in its line: start-time fair queueing. A person's task begins on the virtual clock where that person's last one
-- ended, as far as is known by now, but never in the past. Only tasks of one person on one platform wait for each other here, from
-- this until the transaction ends.
-- A background task stands where it would end, not begin, so it gives way to who hands in little. Of those of a person the long ones go
-- ahead, up to nine tenths of the way: a rebuild of everything ends with short ones, so that no builder is still at work for hours when all
-- others are done. None comes faster by that than it would have as a normal one.
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

-- How long a job's sources are expected to take on a platform, in milliseconds of one slot: what they took there before, or elsewhere, or a
-- minute each.
CREATE OR REPLACE FUNCTION farm.expected_cost(p_job bigint, p_platform text) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT greatest(1, sum(coalesce(
      (SELECT t.seconds FROM farm.build_time t WHERE t.platform = p_platform AND t.name = s.name),
      (SELECT avg(t.seconds) FROM farm.platform p JOIN farm.build_time t ON t.platform = p.name WHERE t.name = s.name),
      60) * 1000) * farm.weight_of(p_job, p_platform))::bigint
  FROM farm.source s WHERE s.job_id = p_job
$$;

-- As it was, but a task keeps what it was expected to take, and stands in the line of its class.
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
    INSERT INTO farm.task (job_id, platform, state, class, rank, cost, timeout_seconds)
      SELECT p_job, p.name, CASE WHEN v_goes THEN 'pending' ELSE 'waiting' END::farm.task_state, farm.line_of(v_job.class),
             farm.place(p.name, v_job.class, v_job.person_id, c.cost), c.cost,
             coalesce(v_job.timeout_seconds, (p.recipe->>'timeout_seconds')::int, 7200)
      FROM farm.platform p CROSS JOIN LATERAL (SELECT farm.expected_cost(p_job, p.name) AS cost OFFSET 0) c
      WHERE p.name = v_platform AND p.enabled
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

-- Background tasks that there are already go to the end of the normal line, in their order.
DELETE FROM farm.share WHERE class = 'background';
WITH moved AS MATERIALIZED (
  SELECT t.id, l.last + row_number() OVER (PARTITION BY t.platform ORDER BY t.rank, t.id) AS rank
  FROM farm.task t CROSS JOIN LATERAL (
    SELECT coalesce(max(r.rank), 0) AS last FROM farm.ready r WHERE r.platform = t.platform AND r.class = 'normal') l
  WHERE t.class = 'background'),
waiting AS (
  UPDATE farm.ready r SET class = 'normal', rank = m.rank FROM moved m WHERE r.task_id = m.id)
UPDATE farm.task t SET class = 'normal', rank = m.rank FROM moved m WHERE t.id = m.id;

RESET ROLE;
