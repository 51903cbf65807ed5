-- Who had left is as one that is disabled, for the version before: it serves nothing.
UPDATE farm.builder SET state = 'disabled', reason = 'it has left' WHERE left_at IS NOT NULL;
CREATE OR REPLACE FUNCTION farm.builder_log_in(p_principal text, p_address text, p_digest farm.sha256, p_lifetime interval)
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
CREATE OR REPLACE FUNCTION farm.come_up(p_builder int, p_address text, p_instance uuid, p_version text, p_arches text[], p_slots int,
    p_successor boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF NOT p_successor THEN
    PERFORM FROM farm.builder WHERE id = p_builder FOR UPDATE;
    DELETE FROM farm.leaving WHERE builder_id = p_builder;
  END IF;
  RETURN farm.hello(p_builder, p_address, p_instance, p_version, p_arches, p_slots);
END $$;
CREATE OR REPLACE FUNCTION farm.put_builder(p_actor farm.actor, p_name text, p_digest farm.sha256, p_principal text, p_platforms text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  IF EXISTS (SELECT FROM farm.builder WHERE principal = p_principal AND name <> p_name) THEN
    PERFORM farm.refuse('conflict', format('another builder comes as %s', p_principal));
  END IF;
  INSERT INTO farm.builder AS b (name, token_digest, principal, platforms) VALUES (p_name, p_digest, p_principal, p_platforms)
    ON CONFLICT (name) DO UPDATE SET token_digest = coalesce(excluded.token_digest, b.token_digest),
      principal = coalesce(excluded.principal, b.principal), platforms = excluded.platforms;
  -- What was given to whoever came so before is good no more.
  DELETE FROM farm.token WHERE builder_id = (SELECT id FROM farm.builder WHERE name = p_name)
    OR person_id = (SELECT id FROM farm.person WHERE principal = p_principal);
  PERFORM farm.record(p_actor, 'put builder', 'builder ' || p_name,
    jsonb_build_object('principal', p_principal, 'new_token', p_digest IS NOT NULL, 'platforms', to_jsonb(p_platforms)));
  PERFORM farm.access_changed();
END $$;
DROP FUNCTION farm.left_since, farm.deregister_silent, farm.deregister, farm.take_off, farm.slots_of, farm.register, farm.disallow_builders,
  farm.allow_builders;
ALTER TABLE farm.builder DROP COLUMN left_at, DROP COLUMN itself, DROP COLUMN fleet_id;
DROP TABLE farm.fleet;
DROP FUNCTION farm.fleet_expression;
