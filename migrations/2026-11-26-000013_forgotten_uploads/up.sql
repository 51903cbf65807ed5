SET LOCAL ROLE farm_owner;

-- Changes that left no line in the audit until now: persons who become known, uploads that are forgotten, tasks that begin or are
-- given up because of another job, logs that are put together. What a caller gets of each function stays as it was.

-- The number of a person, who is known from then on: because the actor came, or because the actor named that person. A NULL
-- actor: the process was told the name.
CREATE FUNCTION farm.make_known(p_actor farm.actor, p_principal text) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  SELECT id INTO v_id FROM farm.person WHERE principal = p_principal;
  IF FOUND THEN
    RETURN v_id;
  END IF;
  INSERT INTO farm.person (principal) VALUES (p_principal) ON CONFLICT (principal) DO NOTHING RETURNING id INTO v_id;
  IF FOUND THEN
    PERFORM farm.record(p_actor, 'become known', 'person ' || p_principal, NULL);
    RETURN v_id;
  END IF;
  -- Somebody else did it in this moment.
  RETURN (SELECT id FROM farm.person WHERE principal = p_principal);
END $$;

CREATE OR REPLACE FUNCTION farm.person_of(p_principal text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN farm.make_known(NULL, p_principal);
END $$;

-- The person of an actor, who has to be let in.
CREATE OR REPLACE FUNCTION farm.acting(p_actor farm.actor) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_person int;
BEGIN
  IF (p_actor).principal IS NULL THEN
    PERFORM farm.refuse('forbidden', 'somebody has to be who acts');
  END IF;
  v_person := farm.make_known(p_actor, (p_actor).principal);
  IF NOT (SELECT enabled FROM farm.person WHERE id = v_person) THEN
    PERFORM farm.refuse('forbidden', format('%s was shut out by an administrator', (p_actor).principal));
  END IF;
  RETURN v_person;
END $$;

-- Refuses an actor without a right. An operator is who came to the database itself as somebody who owns the farm.
CREATE OR REPLACE FUNCTION farm.require(p_actor farm.actor, p_what farm.right, p_object text) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_right text := p_what || coalesce(':' || p_object, '');
BEGIN
  IF (p_actor).way = 'operator' THEN
    IF NOT pg_has_role(session_user, 'farm_owner', 'MEMBER') THEN
      PERFORM farm.refuse('forbidden', format('the role %s is no operator of the farm', session_user));
    END IF;
  ELSIF NOT farm.may(farm.make_known(p_actor, (p_actor).principal), p_what, p_object) THEN
    PERFORM farm.refuse('forbidden', format('%s may not do that: it takes the right “%s”, which an administrator gives with '
      '`farm-admin grant add %s %s`', (p_actor).principal, v_right, v_right, (p_actor).principal));
  END IF;
END $$;

-- Makes a person known before that person comes, lets in or shuts out. What the person has running goes on.
CREATE OR REPLACE FUNCTION farm.put_person(p_actor farm.actor, p_principal text, p_enabled boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  v_id := farm.make_known(p_actor, p_principal);
  UPDATE farm.person SET enabled = p_enabled WHERE id = v_id;
  PERFORM farm.record(p_actor, CASE WHEN p_enabled THEN 'enable' ELSE 'disable' END, 'person ' || p_principal, NULL);
  PERFORM farm.access_changed();
END $$;

-- Puts a person into a group or takes the person out; with a star in it, everybody whose principal looks so.
CREATE OR REPLACE FUNCTION farm.set_member(p_actor farm.actor, p_group text, p_member text, p_in boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_group int := farm.known_group(p_group);
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_member LIKE '%*%' AND p_in THEN
    INSERT INTO farm.member_rule (group_id, pattern) VALUES (v_group, p_member) ON CONFLICT DO NOTHING;
  ELSIF p_in THEN
    INSERT INTO farm.member (group_id, person_id) VALUES (v_group, farm.make_known(p_actor, p_member)) ON CONFLICT DO NOTHING;
  ELSIF p_member LIKE '%*%' THEN
    DELETE FROM farm.member_rule WHERE group_id = v_group AND pattern = p_member;
    IF NOT FOUND THEN
      PERFORM farm.refuse('not_found', format('group “%s” has no rule “%s”', p_group, p_member));
    END IF;
  ELSE
    DELETE FROM farm.member WHERE group_id = v_group AND person_id = farm.known_person(p_member);
    IF NOT FOUND THEN
      PERFORM farm.refuse('not_found', format('%s was not put into group “%s”', p_member, p_group));
    END IF;
  END IF;
  PERFORM farm.record(p_actor, CASE WHEN p_in THEN 'add member' ELSE 'remove member' END, 'group ' || p_group,
    jsonb_build_object('member', p_member));
  PERFORM farm.access_changed();
END $$;

-- Gives a right or takes it back. To `everyone`, to a group as in `@packagers`, or to a person.
CREATE OR REPLACE FUNCTION farm.set_grant(p_actor farm.actor, p_what farm.right, p_object text, p_to text, p_given boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int;
  v_group int;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_to LIKE '@%' THEN
    v_group := farm.known_group(substr(p_to, 2));
  ELSIF p_to <> 'everyone' THEN
    v_person := CASE WHEN p_given THEN farm.make_known(p_actor, p_to) ELSE farm.known_person(p_to) END;
  END IF;
  IF p_given THEN
    PERFORM farm.known_object(p_what, p_object);
    INSERT INTO farm.grant (what, object, person_id, group_id) VALUES (p_what, p_object, v_person, v_group) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM farm.grant WHERE what = p_what AND object IS NOT DISTINCT FROM p_object
      AND person_id IS NOT DISTINCT FROM v_person AND group_id IS NOT DISTINCT FROM v_group;
    IF NOT FOUND THEN
      PERFORM farm.refuse('not_found', format('the right “%s” was not given to %s', farm.right_text(p_what, p_object), p_to));
    END IF;
  END IF;
  PERFORM farm.record(p_actor, CASE WHEN p_given THEN 'grant' ELSE 'take back' END, 'right ' || farm.right_text(p_what, p_object),
    jsonb_build_object('to', p_to));
  PERFORM farm.access_changed();
END $$;

-- Forgets an upload of the actor whose bytes proved wrong. Sent again it changes nothing.
CREATE FUNCTION farm.forget_upload(p_actor farm.actor, p_upload uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_upload farm.upload;
BEGIN
  DELETE FROM farm.upload WHERE id = p_upload AND person_id = farm.acting(p_actor) RETURNING * INTO v_upload;
  IF FOUND THEN
    PERFORM farm.record(p_actor, 'forget upload', 'blob ' || encode(v_upload.digest, 'hex'),
      jsonb_build_object('size', v_upload.size, 'reason', 'its bytes proved wrong'));
  END IF;
END $$;

-- Forgets uploads that nobody touched for so long, and for a minute at least: what a janitor takes away nobody can have touched
-- just now. Answers their numbers.
CREATE FUNCTION farm.forget_stale_uploads(p_idle interval) RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_upload farm.upload;
BEGIN
  FOR v_upload IN
    DELETE FROM farm.upload WHERE touched_at < now() - greatest(p_idle, interval '1 minute') RETURNING *
  LOOP
    PERFORM farm.record(NULL, 'forget upload', 'blob ' || encode(v_upload.digest, 'hex'),
      jsonb_build_object('size', v_upload.size, 'reason', 'nobody went on with it', 'touched', v_upload.touched_at,
        'person', (SELECT principal FROM farm.person WHERE id = v_upload.person_id)));
    RETURN NEXT v_upload.id;
  END LOOP;
END $$;

DROP POLICY stale ON farm.upload;
DROP POLICY look ON farm.upload;
REVOKE SELECT, DELETE ON farm.upload FROM farm_janitor;
REVOKE DELETE ON farm.upload FROM farm_web;
GRANT EXECUTE ON FUNCTION farm.forget_upload TO farm_web;
GRANT EXECUTE ON FUNCTION farm.forget_stale_uploads TO farm_janitor;

-- Cancels the waiting tasks of a job whose predecessor did not succeed. Answers whether there were any. That is done by the process
-- that ended the predecessor, whose end is a line of its own.
CREATE OR REPLACE FUNCTION farm.give_up_waiting(p_job bigint, p_predecessor bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', finished_at = now(),
      message = format('job %s, which this one comes after, did not succeed', p_predecessor)
    WHERE job_id = p_job AND state = 'waiting';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM farm.record(NULL, 'give up', 'job ' || p_job, jsonb_build_object('after', p_predecessor, 'tasks', v_count));
  END IF;
  RETURN v_count > 0;
END $$;

-- Lets the waiting tasks of a job go, as its predecessor succeeded. Answers whether there were any.
CREATE OR REPLACE FUNCTION farm.stop_waiting(p_job bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task bigint;
  v_count int := 0;
BEGIN
  FOR v_task IN UPDATE farm.task SET state = 'pending' WHERE job_id = p_job AND state = 'waiting' RETURNING id LOOP
    PERFORM farm.make_ready(v_task, now(), '{}');
    v_count := v_count + 1;
  END LOOP;
  IF v_count > 0 THEN
    PERFORM farm.record(NULL, 'let go', 'job ' || p_job,
      jsonb_build_object('after', (SELECT after_job FROM farm.job WHERE id = p_job), 'tasks', v_count));
  END IF;
  RETURN v_count > 0;
END $$;

-- The pieces of a log are put together in a blob, which counts from then on.
CREATE OR REPLACE FUNCTION farm.seal_log(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.put_log_together(p_task, p_attempt, p_digest, p_size);
  UPDATE farm.job SET bytes = bytes + p_size WHERE id = (SELECT job_id FROM farm.task WHERE id = p_task);
  PERFORM farm.record(NULL, 'seal log', 'task ' || p_task, jsonb_build_object('attempt', p_attempt, 'size', p_size));
END $$;

-- Gives a person a token or a session after a proof of who that is. Answers until when it is good. What is begun with a token
-- ends with it. Of one person the newest are good: 64 sessions, and as many tokens for tickets as a script can want that
-- calls a tool some times a second, as each call takes one for ten minutes.
CREATE OR REPLACE FUNCTION farm.log_in(p_actor farm.actor, p_digest farm.sha256, p_kind farm.token_kind, p_scopes farm.scope[], p_lifetime interval,
    p_parent farm.sha256)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := (farm.caller_by_principal((p_actor).principal)->>'person')::int;
  v_most int := CASE p_kind WHEN 'session' THEN 64 ELSE 4096 END;
  v_expires timestamptz;
  v_ended int;
BEGIN
  INSERT INTO farm.token (digest, kind, person_id, scopes, expires_at, parent)
    VALUES (p_digest, p_kind, v_person, p_scopes, now() + p_lifetime,
            (SELECT t.id FROM farm.token t WHERE t.digest = p_parent))
    RETURNING expires_at INTO v_expires;
  -- Looked for first and locked then: a lock in the inner query would be on those that stay, too. Whoever logs in beside us may have
  -- the same in hand.
  DELETE FROM farm.token WHERE id IN (
    SELECT o.id FROM farm.token o WHERE o.id IN (
      SELECT t.id FROM farm.token t WHERE t.person_id = v_person AND t.kind = p_kind ORDER BY t.id DESC OFFSET v_most)
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_ended = ROW_COUNT;
  IF v_ended > 0 THEN
    PERFORM farm.access_changed();
  END IF;
  PERFORM farm.record(p_actor, 'log in', 'person ' || (p_actor).principal,
    jsonb_build_object('kind', p_kind, 'scopes', to_jsonb(p_scopes), 'expires', v_expires, 'ended', nullif(v_ended, 0)));
  RETURN v_expires;
END $$;

RESET ROLE;
