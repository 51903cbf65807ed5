SET LOCAL ROLE farm_owner;

-- Fleets: builders that register themselves, work, and go, without an operator.

-- The regular expression of a pattern for principals: a star stands for a part of one label of the host, and for nothing else.
CREATE FUNCTION farm.fleet_expression(p_pattern text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT '^' || replace(replace(p_pattern, '.', '\.'), '*', '[a-z0-9-]+') || '$'
$$;

-- Which principals may register themselves as builders, and as what: that is set here and not claimed by them.
CREATE TABLE farm.fleet (
  id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       farm.slug NOT NULL UNIQUE,
  principals text NOT NULL CHECK (length(principals) <= 256
    AND principals ~ '^[a-z0-9_-]+/[a-z0-9*-]+(\.[a-z0-9*-]+)*@[A-Za-z0-9._-]+$'),
  platforms  text[],                                       -- what they may serve; NULL: every platform of their architectures
  slots      int NOT NULL CHECK (slots BETWEEN 1 AND 1024),       -- of each builder
  builders   int NOT NULL CHECK (builders BETWEEN 1 AND 100000),  -- at a time
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A builder of a fleet that has left stays as a row: its attempts are its history. It serves nothing, is in no list, and comes back
-- only if its fleet still lets it in.
ALTER TABLE farm.builder
  ADD COLUMN fleet_id int REFERENCES farm.fleet ON DELETE SET NULL,
  ADD COLUMN itself   boolean NOT NULL DEFAULT false,      -- whether it registered itself
  ADD COLUMN left_at  timestamptz,
  ADD CHECK (left_at IS NULL OR (instance IS NULL AND slots = 0 AND arches = '{}' AND last_seen_at IS NULL));
CREATE INDEX builder_fleet ON farm.builder (fleet_id) WHERE fleet_id IS NOT NULL;

-- Lets principals that match a pattern register themselves, or changes what they may. Of those that are there what they may serve
-- changes at once, and their slots with their next hello.
CREATE FUNCTION farm.allow_builders(p_actor farm.actor, p_fleet text, p_principals text, p_platforms text[], p_slots int, p_builders int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_fleet int;
  v_unknown text;
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  IF p_principals !~ '^[a-z0-9_-]+/[a-z0-9*-]+(\.[a-z0-9*-]+)*@[A-Za-z0-9._-]+$' THEN
    PERFORM farm.refuse('conflict', format('“%s” is no pattern for principals of builders, as in builder/*.fleet.example.org@EXAMPLE.ORG: '
      'stars stand for parts of single labels of the host', p_principals));
  END IF;
  SELECT string_agg(x.name, ', ') INTO v_unknown FROM unnest(p_platforms) AS x(name)
    WHERE NOT EXISTS (SELECT FROM farm.platform p WHERE p.name = x.name);
  IF v_unknown IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('there is no platform %s', v_unknown));
  END IF;
  INSERT INTO farm.fleet (name, principals, platforms, slots, builders)
    VALUES (p_fleet, p_principals, p_platforms, p_slots, p_builders)
    ON CONFLICT (name) DO UPDATE SET principals = excluded.principals, platforms = excluded.platforms, slots = excluded.slots,
      builders = excluded.builders RETURNING id INTO v_fleet;
  UPDATE farm.builder SET platforms = p_platforms WHERE fleet_id = v_fleet AND left_at IS NULL;
  PERFORM farm.record(p_actor, 'allow builders', 'fleet ' || p_fleet, jsonb_build_object('principals', p_principals,
    'platforms', to_jsonb(p_platforms), 'slots', p_slots, 'builders', p_builders));
END $$;

-- Lets nobody register by that any more. Those that are there finish what they have and are given no more. Answers how many.
CREATE FUNCTION farm.disallow_builders(p_actor farm.actor, p_fleet text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_fleet int;
  v_builder int;
  v_count int := 0;
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  -- Who is about to register waits for this lock, or is seen below.
  SELECT id INTO v_fleet FROM farm.fleet WHERE name = p_fleet FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no fleet %s', p_fleet));
  END IF;
  FOR v_builder IN
    UPDATE farm.builder SET state = 'draining', reason = format('the fleet %s was taken off the list', p_fleet)
      WHERE fleet_id = v_fleet AND left_at IS NULL AND state = 'enabled' RETURNING id
  LOOP
    v_count := v_count + 1;
    -- A claim of its that waits in a hub is answered now.
    PERFORM pg_notify('farm_orders', v_builder || ' recall');
  END LOOP;
  DELETE FROM farm.fleet WHERE id = v_fleet;
  PERFORM farm.record(p_actor, 'disallow builders', 'fleet ' || p_fleet, jsonb_build_object('draining', nullif(v_count, 0)));
  RETURN v_count;
END $$;

-- Registers the builder of a principal, if a fleet has it. Its name is the host of its principal. Answers NULL if none has it.
CREATE FUNCTION farm.register(p_principal text, p_address text) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_fleet farm.fleet;
  v_builder farm.builder;
  v_name text := split_part(split_part(p_principal, '@', 1), '/', 2);
BEGIN
  -- One after the other, so that they can be counted.
  FOR v_fleet IN
    SELECT * FROM farm.fleet f WHERE p_principal ~ farm.fleet_expression(f.principals) ORDER BY f.name FOR UPDATE
  LOOP
    SELECT * INTO v_builder FROM farm.builder WHERE principal = p_principal FOR UPDATE;
    IF v_builder.id IS NOT NULL AND v_builder.left_at IS NULL THEN
      RETURN v_builder.id;
    ELSIF v_builder.state = 'disabled' THEN
      PERFORM farm.refuse('forbidden', format('builder %s was disabled%s; `farm-admin builder enable %s` lets it in again', v_builder.name,
        coalesce(' (' || v_builder.reason || ')', ''), v_builder.name));
    ELSIF (SELECT count(*) FROM farm.builder WHERE fleet_id = v_fleet.id AND left_at IS NULL) >= v_fleet.builders THEN
      CONTINUE;
    END IF;
    IF v_builder.id IS NULL THEN
      IF v_name !~ '^[a-z0-9][a-z0-9._-]{0,49}$' THEN
        PERFORM farm.refuse('forbidden', format('the host of %s is no name for a builder: at most 50 characters', p_principal));
      ELSIF EXISTS (SELECT FROM farm.builder WHERE name = v_name) THEN
        PERFORM farm.refuse('forbidden', format('there is another builder %s, which does not come as %s; an administrator changes that with '
          '`farm-admin builder add %s --principal %s`', v_name, p_principal, v_name, p_principal));
      END IF;
      INSERT INTO farm.builder (name, principal) VALUES (v_name, p_principal) RETURNING * INTO v_builder;
    END IF;
    -- That it was to finish what it had is over: it has.
    UPDATE farm.builder SET fleet_id = v_fleet.id, itself = true, platforms = v_fleet.platforms, left_at = NULL, last_seen_at = now(), gone_at = NULL,
        state = 'enabled', reason = NULL
      WHERE id = v_builder.id;
    DELETE FROM farm.token WHERE person_id = (SELECT id FROM farm.person WHERE principal = p_principal);
    PERFORM farm.record(ROW(p_principal, 'ticket', p_address)::farm.actor, 'register', 'builder ' || v_builder.name,
      jsonb_build_object('fleet', v_fleet.name));
    PERFORM farm.access_changed();
    RETURN v_builder.id;
  END LOOP;
  IF v_fleet.id IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('the fleet %s has its %s already; `farm-admin builder allow %s` allows more', v_fleet.name,
      farm.counted(v_fleet.builders, 'builder'), v_fleet.name));
  END IF;
  RETURN NULL;
END $$;

-- As it was, but a builder of a fleet is registered as it comes.
CREATE OR REPLACE FUNCTION farm.builder_log_in(p_principal text, p_address text, p_digest farm.sha256, p_lifetime interval)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder int;
  v_expires timestamptz;
BEGIN
  SELECT id INTO v_builder FROM farm.builder WHERE principal = p_principal AND left_at IS NULL;
  v_builder := coalesce(v_builder, farm.register(p_principal, p_address));
  IF v_builder IS NULL THEN
    PERFORM farm.refuse('forbidden', format('no builder is registered under %s, and it is of no fleet; an operator registers it with '
      '`farm-admin builder add NAME --principal %s`, or lets all of its kind in with `farm-admin builder allow FLEET --principals PATTERN`',
      p_principal, p_principal));
  END IF;
  INSERT INTO farm.token (digest, kind, builder_id, scopes, expires_at)
    VALUES (p_digest, 'login', v_builder, '{read}', now() + p_lifetime) RETURNING expires_at INTO v_expires;
  PERFORM farm.record(ROW(p_principal, 'ticket', p_address)::farm.actor, 'log in',
    'builder ' || (SELECT name FROM farm.builder WHERE id = v_builder), jsonb_build_object('expires', v_expires));
  RETURN v_expires;
END $$;

-- As it was, but a builder that has left has to log in again first, and one of a fleet has at most the slots that its fleet gives it.
CREATE OR REPLACE FUNCTION farm.come_up(p_builder int, p_address text, p_instance uuid, p_version text, p_arches text[], p_slots int,
    p_successor boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_most int := (SELECT f.slots FROM farm.builder b JOIN farm.fleet f ON f.id = b.fleet_id WHERE b.id = p_builder);
BEGIN
  PERFORM FROM farm.builder WHERE id = p_builder AND left_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', 'this builder has left');
  END IF;
  IF NOT p_successor THEN
    DELETE FROM farm.leaving WHERE builder_id = p_builder;
  END IF;
  RETURN farm.hello(p_builder, p_address, p_instance, p_version, p_arches, least(p_slots, v_most));
END $$;

-- How many slots a builder has, as the farm counts. Volatile: asked after a hello, it sees what that one did.
CREATE FUNCTION farm.slots_of(p_builder int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT slots FROM farm.builder WHERE id = p_builder);
END $$;

-- A builder leaves. Its row is locked by the caller, and it holds nothing.
CREATE FUNCTION farm.take_off(p_builder int) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  DELETE FROM farm.leaving WHERE builder_id = p_builder;
  DELETE FROM farm.builder_status WHERE builder_id = p_builder;
  DELETE FROM farm.doubtful WHERE builder_id = p_builder;
  DELETE FROM farm.token WHERE builder_id = p_builder;
  UPDATE farm.builder SET left_at = now(), instance = NULL, slots = 0, arches = '{}', last_seen_at = NULL, gone_at = NULL,
      saves_for = NULL
    WHERE id = p_builder;
  PERFORM farm.access_changed();
END $$;

-- A builder says that it leaves for good. One that an operator registered stays registered. Answers whether it has left.
CREATE FUNCTION farm.deregister(p_builder int, p_instance uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder farm.builder;
BEGIN
  -- A claim that is under way holds a lock on this row too, see farm.take_tasks: its leases are seen.
  SELECT * INTO v_builder FROM farm.builder WHERE id = p_builder FOR UPDATE;
  PERFORM farm.be_alive(p_builder, p_instance);
  IF NOT v_builder.itself THEN
    RETURN false;
  END IF;
  IF EXISTS (SELECT FROM farm.lease WHERE builder_id = p_builder) THEN
    PERFORM farm.refuse('conflict', format('builder %s holds tasks still', v_builder.name));
  END IF;
  PERFORM farm.record(farm.builder_actor(p_builder), 'deregister', 'builder ' || v_builder.name, NULL);
  PERFORM farm.take_off(p_builder);
  RETURN true;
END $$;

-- Takes off the list what registered itself and was not heard of for so long. Answers their names.
CREATE FUNCTION farm.deregister_silent(p_silence interval) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder farm.builder;
  v_gone text[] := '{}';
BEGIN
  -- They may have called a hub that is not there.
  IF farm.hubs_were_away() THEN
    RETURN v_gone;
  END IF;
  FOR v_builder IN
    SELECT * FROM farm.builder b WHERE b.itself AND b.left_at IS NULL AND b.last_seen_at < now() - p_silence
      AND NOT EXISTS (SELECT FROM farm.lease l WHERE l.builder_id = b.id)
    ORDER BY b.id LIMIT 500 FOR UPDATE SKIP LOCKED
  LOOP
    -- A claim that was under way when we looked has its leases by now, as it had to let go of the row first.
    CONTINUE WHEN EXISTS (SELECT FROM farm.lease WHERE builder_id = v_builder.id);
    PERFORM farm.record(NULL, 'deregister', 'builder ' || v_builder.name, jsonb_build_object('last_seen', v_builder.last_seen_at));
    PERFORM farm.take_off(v_builder.id);
    v_gone := v_gone || v_builder.name::text;
  END LOOP;
  RETURN v_gone;
END $$;

-- As it was, but a builder that registered itself becomes one that an operator registered, and is there again.
CREATE OR REPLACE FUNCTION farm.put_builder(p_actor farm.actor, p_name text, p_digest farm.sha256, p_principal text, p_platforms text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'builders', NULL);
  IF EXISTS (SELECT FROM farm.builder WHERE principal = p_principal AND name <> p_name) THEN
    PERFORM farm.refuse('conflict', format('another builder comes as %s', p_principal));
  END IF;
  INSERT INTO farm.builder AS b (name, token_digest, principal, platforms) VALUES (p_name, p_digest, p_principal, p_platforms)
    ON CONFLICT (name) DO UPDATE SET token_digest = coalesce(excluded.token_digest, b.token_digest),
      principal = coalesce(excluded.principal, b.principal), platforms = excluded.platforms, itself = false, fleet_id = NULL, left_at = NULL;
  -- What was given to whoever came so before is good no more.
  DELETE FROM farm.token WHERE builder_id = (SELECT id FROM farm.builder WHERE name = p_name)
    OR person_id = (SELECT id FROM farm.person WHERE principal = p_principal);
  PERFORM farm.record(p_actor, 'put builder', 'builder ' || p_name,
    jsonb_build_object('principal', p_principal, 'new_token', p_digest IS NOT NULL, 'platforms', to_jsonb(p_platforms)));
  PERFORM farm.access_changed();
END $$;

-- Since when a builder has left; NULL: it has not.
CREATE FUNCTION farm.left_since(p_builder int) RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT left_at FROM farm.builder WHERE id = p_builder);
END $$;

GRANT EXECUTE ON FUNCTION farm.slots_of, farm.deregister TO farm_hub;
GRANT EXECUTE ON FUNCTION farm.deregister_silent, farm.left_since TO farm_janitor;
GRANT EXECUTE ON FUNCTION farm.left_since TO farm_web;

RESET ROLE;
