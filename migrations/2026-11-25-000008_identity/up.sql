SET LOCAL ROLE farm_owner;

-- Who a person is, what of the farm that person may use, and how much of it is used up. Rights are written as people give them:
-- submit:scratch, build:*, admin.
CREATE FUNCTION farm.whoami(p_principal text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object('principal', p.principal, 'enabled', p.enabled,
      'groups', (SELECT coalesce(jsonb_agg(g.name ORDER BY g.name), '[]') FROM farm.group g
                 WHERE g.id IN (SELECT m.group_id FROM farm.membership m WHERE m.person_id = p.id)),
      'rights', (SELECT coalesce(jsonb_agg(DISTINCT farm.right_text(g.what, g.object)), '[]') FROM farm.grant g
                 WHERE p.enabled AND (g.person_id = p.id OR (g.person_id IS NULL AND g.group_id IS NULL)
                    OR g.group_id IN (SELECT m.group_id FROM farm.membership m WHERE m.person_id = p.id))),
      'limits', jsonb_build_object('jobs_waiting', l.jobs_waiting, 'uploads', l.uploads, 'bytes', l.bytes, 'sources', l.sources),
      'used', jsonb_build_object('jobs_waiting', farm.jobs_waiting(p.id), 'uploads', farm.uploads_of(p.id), 'bytes', farm.bytes_of(p.id)))
    FROM farm.person p CROSS JOIN LATERAL farm.limits_of(p.id) l WHERE p.principal = p_principal);
END $$;

-- Wherever a right is shown: submit:scratch, build:*, admin.
CREATE FUNCTION farm.right_text(p_what farm.right, p_object text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_what || CASE WHEN p_object IS NOT NULL THEN ':' || p_object
                        WHEN p_what IN ('submit', 'see', 'own', 'build', 'class') THEN ':*' ELSE '' END
$$;

-- Who comes with a ticket, or by being on the machine of a farm of one. Whoever comes for the first time is known from then on.
CREATE FUNCTION farm.caller_by_principal(p_principal text) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  IF p_principal LIKE 'builder/%' OR EXISTS (SELECT FROM farm.builder WHERE principal = p_principal) THEN
    PERFORM farm.refuse('forbidden', format('%s is a builder, and builders speak to the hub alone', p_principal));
  END IF;
  v_id := farm.person_of(p_principal);
  IF NOT (SELECT enabled FROM farm.person WHERE id = v_id) THEN
    PERFORM farm.refuse('forbidden', format('%s was shut out by an administrator', p_principal));
  END IF;
  RETURN jsonb_build_object('person', v_id, 'principal', p_principal);
END $$;

-- Who comes with a token; NULL: nobody that is known, or not any more.
CREATE FUNCTION farm.caller_by_token(p_digest farm.sha256) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_caller jsonb;
BEGIN
  SELECT jsonb_build_object('person', p.id, 'principal', p.principal, 'kind', t.kind, 'scopes', to_jsonb(t.scopes), 'expires', t.expires_at,
      'derived', t.parent IS NOT NULL)
    INTO v_caller FROM farm.token t JOIN farm.person p ON p.id = t.person_id
    WHERE t.digest = p_digest AND t.expires_at > now() AND p.enabled
      AND NOT EXISTS (SELECT FROM farm.builder b WHERE b.principal = p.principal);
  IF FOUND THEN
    UPDATE farm.token SET used_at = now() WHERE digest = p_digest AND coalesce(used_at, '-infinity') < now() - interval '1 minute';
  END IF;
  RETURN v_caller;
END $$;

-- Gives a person a token or a session after a proof of who that is. Answers until when it is good. What is begun with a token
-- ends with it.
CREATE FUNCTION farm.log_in(p_actor farm.actor, p_digest farm.sha256, p_kind farm.token_kind, p_scopes farm.scope[], p_lifetime interval,
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

-- Ends a session.
CREATE FUNCTION farm.log_out(p_actor farm.actor, p_digest farm.sha256) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  DELETE FROM farm.token WHERE digest = p_digest AND kind = 'session';
  IF FOUND THEN
    PERFORM farm.record(p_actor, 'log out', 'person ' || (p_actor).principal, NULL);
    PERFORM farm.access_changed();
  END IF;
END $$;

-- Makes a token for a person's scripts: the person's own, or by an operator for anybody. Answers its number.
CREATE FUNCTION farm.make_token(p_actor farm.actor, p_person text, p_digest farm.sha256, p_name text, p_scopes farm.scope[], p_lifetime interval)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_id bigint;
BEGIN
  IF p_person IS DISTINCT FROM (p_actor).principal OR (p_actor).way = 'operator' THEN
    PERFORM farm.require(p_actor, 'admin', NULL);
  END IF;
  -- The name of one that is not good any more is free again.
  DELETE FROM farm.token t USING farm.person p
    WHERE p.principal = p_person AND t.person_id = p.id AND t.name = p_name AND t.expires_at <= now();
  INSERT INTO farm.token (digest, kind, person_id, name, scopes, expires_at)
    VALUES (p_digest, 'api', (farm.caller_by_principal(p_person)->>'person')::int, p_name, p_scopes, now() + p_lifetime)
    ON CONFLICT (person_id, name) DO NOTHING RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    PERFORM farm.refuse('conflict', format('there is a token “%s” already; revoke it or choose another name', p_name));
  END IF;
  PERFORM farm.record(p_actor, 'make token', 'token ' || v_id,
    jsonb_build_object('person', p_person, 'name', p_name, 'scopes', to_jsonb(p_scopes), 'days', extract(day FROM p_lifetime)));
  RETURN v_id;
END $$;

-- Revokes a token or session: an own one, or anybody's by an administrator.
CREATE FUNCTION farm.revoke_token(p_actor farm.actor, p_token bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person text;
  v_name text;
BEGIN
  SELECT coalesce(p.principal, 'builder ' || b.name), t.name INTO v_person, v_name FROM farm.token t
    LEFT JOIN farm.person p ON p.id = t.person_id LEFT JOIN farm.builder b ON b.id = t.builder_id WHERE t.id = p_token;
  IF v_person IS DISTINCT FROM (p_actor).principal OR (p_actor).way = 'operator' THEN
    -- Whether somebody else has a token of that number is nobody's business.
    IF v_person IS NULL OR NOT ((p_actor).way = 'operator' OR farm.may(farm.person_of((p_actor).principal), 'admin', NULL)) THEN
      PERFORM farm.refuse('not_found', format('you have no token %s', p_token));
    END IF;
    PERFORM farm.require(p_actor, 'admin', NULL);
  END IF;
  DELETE FROM farm.token WHERE id = p_token;
  PERFORM farm.record(p_actor, 'revoke token', 'token ' || p_token, jsonb_build_object('person', v_person, 'name', v_name));
  PERFORM farm.access_changed();
END $$;

-- The tokens and sessions of a person; for NULL those of everybody, with those that were given for tickets. No secrets.
CREATE FUNCTION farm.tokens_of(p_principal text) RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY
    SELECT jsonb_build_object('id', t.id, 'person', coalesce(p.principal, 'builder ' || b.name), 'kind', t.kind, 'name', t.name, 'scopes', to_jsonb(t.scopes),
      'created', t.created_at, 'expires', t.expires_at, 'used', t.used_at)
    FROM farm.token t LEFT JOIN farm.person p ON p.id = t.person_id LEFT JOIN farm.builder b ON b.id = t.builder_id
    WHERE t.expires_at > now() AND (p_principal IS NULL OR (p.principal = p_principal AND t.kind <> 'login'))
    ORDER BY p.principal, t.kind, t.name, t.id;
END $$;

-- Forgets tokens that are not good any more. Answers how many.
CREATE FUNCTION farm.forget_tokens() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_count int;
BEGIN
  DELETE FROM farm.token WHERE expires_at < now() - interval '1 hour';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- Who comes with a builder's token: the one that the operator put on its host, or one that it got for its ticket.
CREATE OR REPLACE FUNCTION farm.builder_by_token(p_digest farm.sha256) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT jsonb_build_object('id', b.id, 'name', b.name) FROM farm.builder b
  WHERE b.token_digest = p_digest
     OR b.id = (SELECT t.builder_id FROM farm.token t WHERE t.digest = p_digest AND t.expires_at > now())
$$;

-- Gives the builder of a principal a token. It must be registered.
CREATE FUNCTION farm.builder_log_in(p_principal text, p_address text, p_digest farm.sha256, p_lifetime interval)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder int;
  v_expires timestamptz;
BEGIN
  SELECT id INTO v_builder FROM farm.builder WHERE principal = p_principal;
  IF NOT FOUND THEN
    PERFORM farm.refuse('forbidden', format('no builder is registered under %s; an operator does that with '
      '`farm-admin builder add NAME --principal %s`', p_principal, p_principal));
  END IF;
  INSERT INTO farm.token (digest, kind, builder_id, scopes, expires_at)
    VALUES (p_digest, 'login', v_builder, '{read}', now() + p_lifetime) RETURNING expires_at INTO v_expires;
  PERFORM farm.record(ROW(p_principal, 'ticket', p_address)::farm.actor, 'log in',
    'builder ' || (SELECT name FROM farm.builder WHERE id = v_builder), jsonb_build_object('expires', v_expires));
  RETURN v_expires;
END $$;

RESET ROLE;
