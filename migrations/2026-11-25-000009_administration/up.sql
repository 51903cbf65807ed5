SET LOCAL ROLE farm_owner;

-- What administrators and operators do. Each asks for the right to do it and writes down that it was done.

-- Makes a person known before that person comes, lets in or shuts out. What the person has running goes on.
CREATE FUNCTION farm.put_person(p_actor farm.actor, p_principal text, p_enabled boolean) RETURNS void
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

-- Sets the limits of a person, or for NULL those of everybody; a NULL limit: of a person, that of everybody; of everybody, as it is.
CREATE FUNCTION farm.put_limits(p_actor farm.actor, p_principal text, p_jobs_waiting int, p_uploads int, p_bytes bigint, p_sources int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_principal IS NULL THEN
    UPDATE farm.limits SET jobs_waiting = coalesce(p_jobs_waiting, jobs_waiting), uploads = coalesce(p_uploads, uploads),
      bytes = coalesce(p_bytes, bytes), sources = coalesce(p_sources, sources);
  ELSE
    UPDATE farm.person SET jobs_waiting = p_jobs_waiting, uploads = p_uploads, bytes = p_bytes, sources = p_sources
      WHERE id = farm.known_person(p_principal);
  END IF;
  PERFORM farm.record(p_actor, 'set limits', coalesce('person ' || p_principal, 'everybody'),
    jsonb_build_object('jobs_waiting', p_jobs_waiting, 'uploads', p_uploads, 'bytes', p_bytes, 'sources', p_sources));
END $$;

CREATE FUNCTION farm.known_person(p_principal text) RETURNS int LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  SELECT id INTO v_id FROM farm.person WHERE principal = p_principal;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('%s was never here; `farm-admin user add %s` makes the name known', p_principal, p_principal));
  END IF;
  RETURN v_id;
END $$;

CREATE FUNCTION farm.known_group(p_group text) RETURNS int LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
  v_id int;
BEGIN
  SELECT id INTO v_id FROM farm.group WHERE name = p_group;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no group “%s”', p_group));
  END IF;
  RETURN v_id;
END $$;

-- Makes a group, or describes a known one anew.
CREATE FUNCTION farm.put_group(p_actor farm.actor, p_group text, p_description text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  INSERT INTO farm.group (name, description) VALUES (p_group, p_description)
    ON CONFLICT (name) DO UPDATE SET description = excluded.description;
  PERFORM farm.record(p_actor, 'put group', 'group ' || p_group, jsonb_build_object('description', p_description));
END $$;

-- Removes a group, and with it what was granted to it.
CREATE FUNCTION farm.remove_group(p_actor farm.actor, p_group text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  DELETE FROM farm.group WHERE id = farm.known_group(p_group);
  PERFORM farm.record(p_actor, 'remove group', 'group ' || p_group, NULL);
  PERFORM farm.access_changed();
END $$;

-- Puts a person into a group or takes the person out; with a star in it, everybody whose principal looks so.
CREATE FUNCTION farm.set_member(p_actor farm.actor, p_group text, p_member text, p_in boolean) RETURNS void
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

-- Gives a right or takes it back. To `everyone`, to a group as in `@packagers`, or to a person.
CREATE FUNCTION farm.set_grant(p_actor farm.actor, p_what farm.right, p_object text, p_to text, p_given boolean) RETURNS void
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

-- A right on something that is not there is a typing error.
CREATE FUNCTION farm.known_object(p_what farm.right, p_object text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  IF p_object IS NULL THEN
    RETURN;
  ELSIF p_what IN ('submit', 'see', 'own') AND NOT EXISTS (SELECT FROM farm.bucket WHERE name = p_object) THEN
    PERFORM farm.refuse('not_found', format('there is no bucket “%s”', p_object));
  ELSIF p_what = 'build' AND NOT EXISTS (SELECT FROM farm.platform WHERE name = p_object) THEN
    PERFORM farm.refuse('not_found', format('there is no platform “%s”', p_object));
  ELSIF p_what = 'class' AND p_object <> ALL (enum_range(NULL::farm.class)::text[]) THEN
    PERFORM farm.refuse('not_found', format('there is no class “%s”', p_object));
  ELSIF p_what NOT IN ('submit', 'see', 'own', 'build', 'class') THEN
    PERFORM farm.refuse('conflict', format('the right “%s” is for the whole farm; leave “:%s” out', p_what, p_object));
  END IF;
END $$;

-- Makes a bucket, or changes a known one.
CREATE FUNCTION farm.put_bucket(p_actor farm.actor, p_bucket text, p_description text, p_public boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'buckets', NULL);
  INSERT INTO farm.bucket (name, description, public) VALUES (p_bucket, coalesce(p_description, ''), coalesce(p_public, true))
    ON CONFLICT (name) DO UPDATE SET description = coalesce(p_description, bucket.description), public = coalesce(p_public, bucket.public);
  PERFORM farm.record(p_actor, 'put bucket', 'bucket ' || p_bucket, jsonb_build_object('description', p_description, 'public', p_public));
END $$;

-- Adds a platform, or gives a known one a new recipe. Answers whether it is new.
CREATE FUNCTION farm.put_platform(p_actor farm.actor, p_name text, p_release text, p_arch text, p_recipe jsonb, p_auto boolean)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_new boolean;
BEGIN
  PERFORM farm.require(p_actor, 'platforms', NULL);
  INSERT INTO farm.platform (name, release, arch, recipe, auto) VALUES (p_name, p_release, p_arch, p_recipe, p_auto)
    ON CONFLICT (name) DO UPDATE SET recipe = excluded.recipe, auto = excluded.auto, updated_at = now()
    RETURNING created_at = updated_at INTO v_new;
  PERFORM farm.record(p_actor, 'put platform', 'platform ' || p_name, jsonb_build_object('recipe', p_recipe));
  RETURN v_new;
END $$;

-- Opens or closes a platform. Of a closed one no tasks are made, and those that wait are given to nobody until it is open
-- again; what is being built is built to its end.
CREATE FUNCTION farm.enable_platform(p_actor farm.actor, p_name text, p_enabled boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'platforms', NULL);
  UPDATE farm.platform SET enabled = p_enabled, updated_at = now() WHERE name = p_name;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no platform %s', p_name));
  END IF;
  PERFORM farm.record(p_actor, CASE WHEN p_enabled THEN 'enable' ELSE 'disable' END, 'platform ' || p_name, NULL);
  IF p_enabled THEN
    -- Tasks may be there already, and a hub would else see them only when it next looks by itself.
    PERFORM pg_notify('farm_ready', p_name);
  END IF;
END $$;

-- Registers a builder, or changes a known one. A NULL digest or principal leaves what there is. A principal that was a
-- person's becomes the builder's.
CREATE FUNCTION farm.put_builder(p_actor farm.actor, p_name text, p_digest farm.sha256, p_principal text, p_platforms text[])
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

-- Says whether a builder is given tasks, and why not.
CREATE FUNCTION farm.set_builder_state(p_actor farm.actor, p_name text, p_state farm.builder_state, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  UPDATE farm.builder SET state = p_state, reason = p_reason WHERE name = p_name;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no builder %s', p_name));
  END IF;
  PERFORM farm.record(p_actor, CASE p_state WHEN 'enabled' THEN 'enable' WHEN 'disabled' THEN 'disable' ELSE 'drain' END,
    'builder ' || p_name, jsonb_build_object('reason', p_reason));
  IF p_state = 'enabled' THEN
    -- It may be waiting, and tasks for it too.
    PERFORM pg_notify('farm_ready', platform) FROM farm.builder b, unnest(farm.platforms_of(b.id)) AS platform WHERE b.name = p_name;
  END IF;
END $$;

RESET ROLE;
