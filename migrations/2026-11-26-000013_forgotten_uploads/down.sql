CREATE OR REPLACE FUNCTION farm.log_in(p_actor farm.actor, p_digest farm.sha256, p_kind farm.token_kind, p_scopes farm.scope[], p_lifetime interval,
    p_parent farm.sha256)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_expires timestamptz;
BEGIN
  INSERT INTO farm.token (digest, kind, person_id, scopes, expires_at, parent)
    VALUES (p_digest, p_kind, (farm.caller_by_principal((p_actor).principal)->>'person')::int, p_scopes, now() + p_lifetime,
            (SELECT t.id FROM farm.token t WHERE t.digest = p_parent))
    RETURNING expires_at INTO v_expires;
  PERFORM farm.record(p_actor, 'log in', 'person ' || (p_actor).principal,
    jsonb_build_object('kind', p_kind, 'scopes', to_jsonb(p_scopes), 'expires', v_expires));
  RETURN v_expires;
END $$;
CREATE OR REPLACE FUNCTION farm.seal_log(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.put_log_together(p_task, p_attempt, p_digest, p_size);
  UPDATE farm.job SET bytes = bytes + p_size WHERE id = (SELECT job_id FROM farm.task WHERE id = p_task);
END $$;
CREATE OR REPLACE FUNCTION farm.stop_waiting(p_job bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_task bigint;
  v_any boolean := false;
BEGIN
  FOR v_task IN UPDATE farm.task SET state = 'pending' WHERE job_id = p_job AND state = 'waiting' RETURNING id LOOP
    PERFORM farm.make_ready(v_task, now(), '{}');
    v_any := true;
  END LOOP;
  RETURN v_any;
END $$;
CREATE OR REPLACE FUNCTION farm.give_up_waiting(p_job bigint, p_predecessor bigint) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  UPDATE farm.task SET state = 'cancelled', cause = 'cancelled', finished_at = now(),
      message = format('job %s, which this one comes after, did not succeed', p_predecessor)
    WHERE job_id = p_job AND state = 'waiting';
  RETURN FOUND;
END $$;
DROP FUNCTION farm.forget_stale_uploads, farm.forget_upload;
GRANT DELETE ON farm.upload TO farm_web;
GRANT SELECT, DELETE ON farm.upload TO farm_janitor;
CREATE POLICY look ON farm.upload FOR SELECT TO farm_janitor USING (true);
CREATE POLICY stale ON farm.upload FOR DELETE TO farm_janitor USING (touched_at < now() - interval '1 minute');
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
    v_person := CASE WHEN p_given THEN farm.person_of(p_to) ELSE farm.known_person(p_to) END;
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
CREATE OR REPLACE FUNCTION farm.set_member(p_actor farm.actor, p_group text, p_member text, p_in boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_group int := farm.known_group(p_group);
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_member LIKE '%*%' AND p_in THEN
    INSERT INTO farm.member_rule (group_id, pattern) VALUES (v_group, p_member) ON CONFLICT DO NOTHING;
  ELSIF p_in THEN
    INSERT INTO farm.member (group_id, person_id) VALUES (v_group, farm.person_of(p_member)) ON CONFLICT DO NOTHING;
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
CREATE OR REPLACE FUNCTION farm.put_person(p_actor farm.actor, p_principal text, p_enabled boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  v_id := farm.person_of(p_principal);
  UPDATE farm.person SET enabled = p_enabled WHERE id = v_id;
  PERFORM farm.record(p_actor, CASE WHEN p_enabled THEN 'enable' ELSE 'disable' END, 'person ' || p_principal, NULL);
  PERFORM farm.access_changed();
END $$;
CREATE OR REPLACE FUNCTION farm.require(p_actor farm.actor, p_what farm.right, p_object text) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_right text := p_what || coalesce(':' || p_object, '');
BEGIN
  IF (p_actor).way = 'operator' THEN
    IF NOT pg_has_role(session_user, 'farm_owner', 'MEMBER') THEN
      PERFORM farm.refuse('forbidden', format('the role %s is no operator of the farm', session_user));
    END IF;
  ELSIF NOT farm.may(farm.person_of((p_actor).principal), p_what, p_object) THEN
    PERFORM farm.refuse('forbidden', format('%s may not do that: it takes the right “%s”, which an administrator gives with '
      '`farm-admin grant add %s %s`', (p_actor).principal, v_right, v_right, (p_actor).principal));
  END IF;
END $$;
CREATE OR REPLACE FUNCTION farm.acting(p_actor farm.actor) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_person int;
BEGIN
  IF (p_actor).principal IS NULL THEN
    PERFORM farm.refuse('forbidden', 'somebody has to be who acts');
  END IF;
  v_person := farm.person_of((p_actor).principal);
  IF NOT (SELECT enabled FROM farm.person WHERE id = v_person) THEN
    PERFORM farm.refuse('forbidden', format('%s was shut out by an administrator', (p_actor).principal));
  END IF;
  RETURN v_person;
END $$;
CREATE OR REPLACE FUNCTION farm.person_of(p_principal text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  SELECT id INTO v_id FROM farm.person WHERE principal = p_principal;
  IF NOT FOUND THEN
    INSERT INTO farm.person (principal) VALUES (p_principal)
      ON CONFLICT (principal) DO UPDATE SET principal = excluded.principal RETURNING id INTO v_id;
  END IF;
  RETURN v_id;
END $$;
DROP FUNCTION farm.make_known;
