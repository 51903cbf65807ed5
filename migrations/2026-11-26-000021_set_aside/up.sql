SET LOCAL ROLE farm_owner;

-- What nobody shall go on with before somebody has looked: a task that takes one builder after the other with it, and a builder that
-- spoils one task after the other. And how somebody comes to look: notices, which the janitor sends by mail.

ALTER TABLE farm.task
  ADD COLUMN lost         int NOT NULL DEFAULT 0 CHECK (lost >= 0),   -- builders that went away while at it since the last retry
  ADD COLUMN set_aside_at timestamptz,
  ADD CHECK (set_aside_at IS NULL OR state = 'failed');
CREATE INDEX task_set_aside ON farm.task (id) WHERE set_aside_at IS NOT NULL;
ALTER TABLE farm.attempt
  ADD COLUMN instance  uuid,                             -- the life of its builder that lost it
  ADD COLUMN blameless boolean NOT NULL DEFAULT false;   -- lost, and that says nothing about task or builder
ALTER TABLE farm.builder
  ADD COLUMN out_at     timestamptz,    -- since when it is out of service because the farm took it out
  ADD COLUMN trusted_at timestamptz;    -- when somebody put it in service last: what was before is forgotten
ALTER TABLE farm.builder ADD CHECK (out_at IS NULL OR state = 'disabled');

-- Notices.

-- What the operators are told. Written in the transaction in which it happens, so that none is lost; sent with its number as the
-- message's own, so that one which is sent again after a crash is known as the same.
CREATE TABLE farm.notice (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now(),
  about       text NOT NULL,                  -- task 42, builder host1
  subject     text NOT NULL CHECK (length(subject) BETWEEN 1 AND 200 AND subject !~ '[[:cntrl:]]'),
  body        text NOT NULL,
  tries       int NOT NULL DEFAULT 0,
  next_try_at timestamptz NOT NULL DEFAULT now(),
  error       text,                           -- of the last try
  sent_at     timestamptz
);
CREATE INDEX notice_unsent ON farm.notice (next_try_at) WHERE sent_at IS NULL;
CREATE INDEX notice_at ON farm.notice (at);

CREATE FUNCTION farm.tell(p_about text, p_subject text, p_body text) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.notice (about, subject, body) VALUES (p_about, left(regexp_replace(p_subject, '[[:cntrl:]]+', ' ', 'g'), 200), p_body);
END $$;

-- Takes the next notice to send for so long; NULL: there is none. If its sender is not heard of again, somebody else sends it. What
-- could not be sent for a week is old news.
CREATE FUNCTION farm.take_notice(p_hold interval) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_notice farm.notice;
BEGIN
  UPDATE farm.notice SET tries = tries + 1, next_try_at = now() + p_hold WHERE id = (
    SELECT n.id FROM farm.notice n WHERE n.sent_at IS NULL AND n.next_try_at <= now() AND n.at > now() - interval '7 days'
    ORDER BY n.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING * INTO v_notice;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN jsonb_build_object('id', v_notice.id, 'at', v_notice.at, 'about', v_notice.about, 'subject', v_notice.subject,
    'body', v_notice.body, 'tries', v_notice.tries);
END $$;

-- A notice was sent, or could not be: then it is tried again, ever more rarely.
CREATE FUNCTION farm.end_notice(p_id bigint, p_error text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.notice SET error = left(p_error, 1000), sent_at = CASE WHEN p_error IS NULL THEN now() END,
      next_try_at = now() + least(interval '1 hour', interval '30 seconds' * 2 ^ least(tries, 10))
    WHERE id = p_id AND sent_at IS NULL;
END $$;

-- How many notices could not be sent, although they were tried, and why the last one.
CREATE FUNCTION farm.unsent_notices() RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('count', count(*), 'error', (array_agg(error ORDER BY id DESC))[1])
          FROM farm.notice WHERE sent_at IS NULL AND error IS NOT NULL AND at > now() - interval '7 days');
END $$;

-- Notices are no record: that is the audit.
CREATE FUNCTION farm.forget_notices() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  DELETE FROM farm.notice WHERE at < now() - interval '30 days';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- Who is to blame?

-- Whether an attempt that is lost with this lease says nothing about its task and its builder: no hub was there to renew at since it
-- was renewed last, or an operator had taken the builder out of service. (A builder that is started anew in an orderly way gives back
-- what it holds or hands it over, and loses nothing.)
CREATE FUNCTION farm.is_blameless(p_lease farm.lease) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.hub_pulse p WHERE p.at > now() - interval '1 day'
                 AND (p.at < now() - p.lease / 3 OR p.since > p_lease.expires_at - p.lease))
      OR EXISTS (SELECT FROM farm.builder b WHERE b.id = p_lease.builder_id AND b.state <> 'enabled' AND b.out_at IS NULL);
END $$;

-- As it was, but of an attempt that is lost it is kept in which life of its builder, and whether it counts.
CREATE OR REPLACE FUNCTION farm.end_attempt(p_lease farm.lease, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF p_outcome IN ('lost', 'released') THEN
    PERFORM farm.record(CASE WHEN p_outcome = 'released' THEN farm.builder_actor(p_lease.builder_id) END,
      CASE p_outcome WHEN 'lost' THEN 'reap' ELSE 'release' END, 'task ' || p_lease.task_id,
      jsonb_build_object('attempt', p_lease.attempt, 'builder', p_lease.builder_id, 'message', p_message));
  END IF;
  IF p_outcome = 'lost' THEN
    UPDATE farm.attempt SET instance = p_lease.instance, blameless = farm.is_blameless(p_lease)
      WHERE task_id = p_lease.task_id AND number = p_lease.attempt;
  END IF;
  DELETE FROM farm.delivered WHERE task_id = p_lease.task_id AND attempt = p_lease.attempt;
  RETURN farm.close_attempt(p_lease, p_outcome, p_cause, p_message);
END $$;

-- Tasks that are set aside.

-- How the builders were lost that a task took with it, for a person.
CREATE FUNCTION farm.evidence(p_task bigint) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT string_agg(e.text, '; ' ORDER BY e.number) FROM (
    SELECT a.number, format('attempt %s on %s, lost %s after %s: %s, %s', a.number, b.name,
        coalesce('in ' || a.stage, 'before its first stage'), farm.counted(extract(epoch FROM a.finished_at - a.started_at)::int, 'second'),
        a.message, CASE WHEN a.log_size > 0 THEN format('log at /tasks/%s?attempt=%s', p_task, a.number) ELSE 'without a log' END) AS text
    FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id
    WHERE a.task_id = p_task AND a.outcome = 'lost' AND NOT a.blameless ORDER BY a.number DESC LIMIT 3) e);
END $$;

-- Fails a task that took three builders with it, and keeps it from being built again before somebody has looked. Answers its job, of
-- which the caller tells in the end.
CREATE FUNCTION farm.set_aside(p_task bigint, p_cause farm.cause) RETURNS bigint LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_evidence text := farm.evidence(p_task);
  v_job bigint;
BEGIN
  v_job := farm.end_task(p_task, 'failed', p_cause, format('set aside: three builders were lost while they were at it (%s); it is not '
    'built again before an administrator has looked, who puts it back with `farm-admin set-aside put-back %s`', v_evidence, p_task));
  UPDATE farm.task SET set_aside_at = now() WHERE id = p_task;
  PERFORM farm.record(NULL, 'set aside', 'task ' || p_task, jsonb_build_object('evidence', v_evidence));
  PERFORM farm.tell('task ' || p_task,
    format('task %s (%s on %s) was set aside: it lost three builders', t.id, j.title, t.platform),
    format(E'Task %s of job %s, “%s” of %s on %s, was set aside: three builders were lost while they were at it.\n\n%s\n\n'
      'To have it built again: farm-admin set-aside put-back %s\n',
      t.id, t.job_id, j.title, p.principal, t.platform, replace(v_evidence, '; attempt', E'\nattempt'), t.id))
    FROM farm.task t JOIN farm.job j ON j.id = t.job_id JOIN farm.person p ON p.id = j.person_id WHERE t.id = p_task;
  RETURN v_job;
END $$;

-- As it was, but what took three builders with it was spoilt by the farm as well, as far as its person's share is concerned.
CREATE OR REPLACE FUNCTION farm.settle() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_time bigint := 0;
BEGIN
  IF NOT farm.is_final(NEW.state) THEN
    v_time := NEW.cost;
  ELSE
    IF OLD.state = 'leased' AND NEW.faults < 3 AND NEW.lost < 3 THEN
      v_time := extract(epoch FROM NEW.finished_at - NEW.started_at) * 1000 * NEW.weight;
    END IF;
    v_time := v_time - NEW.cost;
  END IF;
  INSERT INTO farm.settlement (person_id, platform, class, time)
    SELECT person_id, NEW.platform, class, v_time FROM farm.job WHERE id = NEW.job_id;
  RETURN NULL;
END $$;

-- Has a task built again that was set aside.
CREATE FUNCTION farm.put_back(p_actor farm.actor, p_task bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_job bigint;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  SELECT job_id INTO v_job FROM farm.task WHERE id = p_task AND set_aside_at IS NOT NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('task %s is not set aside', p_task));
  END IF;
  PERFORM farm.may_go_again(v_job);
  UPDATE farm.task SET state = 'pending', cause = NULL, message = NULL, finished_at = NULL, faults = 0, lost = 0, set_aside_at = NULL
    WHERE id = p_task AND set_aside_at IS NOT NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s was put back by somebody else in this moment', p_task));
  END IF;
  PERFORM farm.make_ready(p_task, now(), '{}');
  PERFORM farm.jobs_changed(ARRAY[v_job]);
  PERFORM farm.record(p_actor, 'put back', 'task ' || p_task, NULL);
END $$;

-- Builders that are taken out of service.

-- After how many tasks in a row that a builder spoilt it is taken out of service; 0: never. One row.
CREATE TABLE farm.trust (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  in_a_row int NOT NULL DEFAULT 3 CHECK (in_a_row BETWEEN 0 AND 100)
);
INSERT INTO farm.trust DEFAULT VALUES;

CREATE FUNCTION farm.set_trust(p_actor farm.actor, p_in_a_row int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  UPDATE farm.trust SET in_a_row = p_in_a_row;
  PERFORM farm.record(p_actor, 'set trust', 'builders', jsonb_build_object('in_a_row', p_in_a_row));
END $$;

-- Builders that spoil tasks and are in service still: there is too little else, or it was no time to take them out.
CREATE TABLE farm.doubtful (
  builder_id int PRIMARY KEY REFERENCES farm.builder,
  since      timestamptz NOT NULL DEFAULT now(),
  told_at    timestamptz                      -- when the operators were told of it last
);

-- Whether an attempt went wrong by its builder's own fault, as far as one can see: not where the hub or the store had to give or take.
CREATE FUNCTION farm.is_builders_fault(p_attempt farm.attempt) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
  SELECT coalesce((p_attempt).outcome = 'lost' AND NOT (p_attempt).blameless
    OR (p_attempt).outcome = 'farm_fault' AND (p_attempt).stage NOT IN ('fetch', 'upload'), false)
$$;

-- What a builder has spoilt since it last did its work, or was put in service: how many tasks in a row, and which, for a person. A task
-- that others spoil as well says nothing about this one, and all that was lost in one crash is one loss.
CREATE FUNCTION farm.spoilt_by(p_builder int, OUT o_count int, OUT o_text text) LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  WITH latest AS MATERIALIZED (
    SELECT a FROM farm.attempt a WHERE a.builder_id = p_builder ORDER BY a.started_at DESC LIMIT 200),
  since AS (
    SELECT greatest((SELECT b.trusted_at FROM farm.builder b WHERE b.id = p_builder),
                    (SELECT max((l.a).finished_at) FROM latest l WHERE (l.a).outcome IN ('succeeded', 'failed'))) AS at),
  spoilt AS (
    SELECT (l.a).* FROM latest l, since s WHERE farm.is_builders_fault(l.a) AND (s.at IS NULL OR (l.a).finished_at > s.at)
      AND NOT EXISTS (SELECT FROM farm.attempt o WHERE o.task_id = (l.a).task_id AND o.builder_id <> p_builder AND farm.is_builders_fault(o)))
  SELECT least(count(DISTINCT s.task_id),
               count(DISTINCT CASE WHEN s.outcome = 'lost' THEN s.instance::text ELSE s.task_id::text END)),
         string_agg(format('task %s %s: %s', s.task_id, coalesce('in ' || s.stage, 'before its first stage'), left(s.message, 200)), '; '
           ORDER BY s.finished_at DESC, s.task_id)
    INTO o_count, o_text FROM spoilt s;
END $$;

-- Why a builder is not taken out of service though it spoils tasks; NULL: it can be. When one builder after the other fails it is the
-- farm that is at fault, so never more than half of those that serve a platform are taken out, and never the last.
CREATE FUNCTION farm.why_kept(p_builder int) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT format('%s would be left for %s, and %s taken out already', CASE WHEN c.others = 0 THEN 'none' ELSE 'only ' || c.others END,
                  c.platform, c.out_ones)
    FROM (
      SELECT p.name AS platform,
        (SELECT count(*) FROM farm.builder b WHERE b.id <> p_builder AND b.last_seen_at > now() - interval '2 minutes'
          AND p.name = ANY (farm.platforms_of(b.id))) AS others,
        (SELECT count(*) FROM farm.builder b JOIN farm.platform q ON q.name = p.name WHERE b.out_at IS NOT NULL AND b.id <> p_builder
          AND q.arch = ANY (b.arches) AND (b.platforms IS NULL OR q.name = ANY (b.platforms))) AS out_ones
      FROM unnest(farm.platforms_of(p_builder)) AS p(name)) c
    WHERE c.out_ones + 1 > c.others ORDER BY c.others, c.platform LIMIT 1);
END $$;

-- Takes a builder out of service that has spoilt too many tasks in a row. Answers what is doubtful about one that stays. Called where a
-- builder's row may be locked by others that wait for us, so it does not wait for them: then it is judged by the janitor.
CREATE FUNCTION farm.judge_builder(p_builder int) RETURNS text LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_most int := (SELECT in_a_row FROM farm.trust);
  v_spoilt record;
  v_name text;
  v_kept text;
  v_reason text;
BEGIN
  SELECT * INTO v_spoilt FROM farm.spoilt_by(p_builder);
  IF v_most = 0 OR v_spoilt.o_count < v_most THEN
    RETURN NULL;
  END IF;
  SELECT name INTO v_name FROM farm.builder WHERE id = p_builder AND state = 'enabled' FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    INSERT INTO farm.doubtful (builder_id) SELECT id FROM farm.builder WHERE id = p_builder AND state = 'enabled' ON CONFLICT DO NOTHING;
    RETURN NULL;
  END IF;
  v_kept := farm.why_kept(p_builder);
  v_reason := format('it spoilt %s in a row by its own fault: %s', farm.counted(v_spoilt.o_count, 'task'), v_spoilt.o_text);
  IF v_kept IS NOT NULL THEN
    v_reason := format('builder %s stays in service although %s; %s, so it may be the farm''s own fault', v_name, v_reason, v_kept);
    INSERT INTO farm.doubtful AS d (builder_id, told_at) VALUES (p_builder, now())
      ON CONFLICT (builder_id) DO UPDATE SET told_at = now() WHERE d.told_at IS NULL OR d.told_at < now() - interval '1 day';
    IF FOUND THEN
      PERFORM farm.record(NULL, 'doubt', 'builder ' || v_name, jsonb_build_object('reason', v_reason));
      PERFORM farm.tell('builder ' || v_name, format('builder %s spoils its tasks and cannot be spared', v_name), v_reason || E'\n');
    END IF;
    RETURN v_reason;
  END IF;
  UPDATE farm.builder SET state = 'disabled', out_at = now(),
      reason = format('the farm took it out of service: %s; `farm-admin builder enable %s` puts it back', v_reason, v_name)
    WHERE id = p_builder;
  DELETE FROM farm.doubtful WHERE builder_id = p_builder;
  PERFORM farm.record(NULL, 'take out of service', 'builder ' || v_name, jsonb_build_object('reason', v_reason));
  PERFORM farm.tell('builder ' || v_name, format('builder %s was taken out of service', v_name),
    format(E'Builder %s was taken out of service: %s.\n\nTo put it back: farm-admin builder enable %s\n',
      v_name, replace(v_reason, '; task', E'\ntask'), v_name));
  -- A claim of its that waits in a hub is answered now.
  PERFORM pg_notify('farm_orders', p_builder || ' recall');
  RETURN NULL;
END $$;

-- Judges those again that are doubtful. Answers what is doubtful about whom, a sentence each; and who is out of service, and how many
-- tasks are set aside.
CREATE FUNCTION farm.judge_doubtful(OUT o_doubts text[], OUT o_out text[], OUT o_set_aside int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder int;
  v_doubt text;
BEGIN
  o_doubts := '{}';
  FOR v_builder IN SELECT builder_id FROM farm.doubtful ORDER BY builder_id LOOP
    v_doubt := farm.judge_builder(v_builder);
    IF v_doubt IS NOT NULL THEN
      o_doubts := o_doubts || v_doubt;
    ELSIF (SELECT in_a_row FROM farm.trust) NOT BETWEEN 1 AND (SELECT s.o_count FROM farm.spoilt_by(v_builder) s) THEN
      DELETE FROM farm.doubtful WHERE builder_id = v_builder;
    END IF;
  END LOOP;
  SELECT coalesce(array_agg(format('builder %s is out of service since %s UTC: %s', name, to_char(out_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), reason)
           ORDER BY name), '{}') INTO o_out FROM farm.builder WHERE out_at IS NOT NULL;
  SELECT count(*) INTO o_set_aside FROM farm.task WHERE set_aside_at IS NOT NULL;
END $$;

-- Since when a builder is out of service because the farm took it out; NULL: it did not.
CREATE FUNCTION farm.out_since(p_builder int) RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT out_at FROM farm.builder WHERE id = p_builder);
END $$;

-- As it was, but whoever puts a builder in service forgives it what it did, and what the farm has done with it is undone.
CREATE OR REPLACE FUNCTION farm.set_builder_state(p_actor farm.actor, p_name text, p_state farm.builder_state, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  UPDATE farm.builder SET state = p_state, reason = p_reason, out_at = NULL,
      trusted_at = CASE WHEN p_state = 'enabled' THEN clock_timestamp() ELSE trusted_at END
    WHERE name = p_name;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no builder %s', p_name));
  END IF;
  DELETE FROM farm.doubtful WHERE builder_id = (SELECT id FROM farm.builder WHERE name = p_name);
  PERFORM farm.record(p_actor, CASE p_state WHEN 'enabled' THEN 'enable' WHEN 'disabled' THEN 'disable' ELSE 'drain' END,
    'builder ' || p_name, jsonb_build_object('reason', p_reason));
  IF p_state = 'enabled' THEN
    -- It may be waiting, and tasks for it too.
    PERFORM pg_notify('farm_ready', platform) FROM farm.builder b, unnest(farm.platforms_of(b.id)) AS platform WHERE b.name = p_name;
  END IF;
END $$;

-- As it was, but faults of the farm and builders that went away are counted apart, what is nobody's fault is not counted, and whoever
-- spoilt the task is judged.
CREATE OR REPLACE FUNCTION farm.requeue(p_task bigint, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task farm.task;
  v_avoid int[];
BEGIN
  UPDATE farm.task t SET faults = t.faults + (p_outcome = 'farm_fault')::int,
      lost = t.lost + (p_outcome = 'lost' AND NOT a.blameless)::int
    FROM farm.attempt a WHERE t.id = p_task AND t.state = 'leased' AND a.task_id = t.id AND a.number = t.attempts
    RETURNING t.* INTO v_task;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('task %s is not leased', p_task));
  END IF;
  IF p_outcome <> 'released' THEN
    PERFORM farm.judge_builder(builder_id) FROM farm.attempt WHERE task_id = p_task AND number = v_task.attempts;
  END IF;
  IF v_task.lost >= 3 THEN
    RETURN farm.set_aside(p_task, p_cause);
  END IF;
  IF v_task.faults >= 3 THEN
    RETURN farm.end_task(p_task, 'failed', p_cause, format('given up after three attempts that the farm spoilt; the last: %s', p_message));
  END IF;
  SELECT array_agg(DISTINCT builder_id) INTO v_avoid FROM farm.attempt
    WHERE task_id = p_task AND outcome IN ('farm_fault', 'lost') AND NOT blameless;
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

GRANT EXECUTE ON FUNCTION farm.take_notice, farm.end_notice, farm.unsent_notices, farm.forget_notices, farm.judge_doubtful TO farm_janitor;
GRANT EXECUTE ON FUNCTION farm.out_since TO farm_web;

RESET ROLE;
