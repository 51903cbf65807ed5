-- A process is known to PostgreSQL by its ticket; who that is may be asked for any session (see farm.process).
GRANT pg_read_all_stats TO farm_owner;
SET LOCAL ROLE farm_owner;

-- The labels of these enums are those of farm-types; a test compares them.
CREATE TYPE farm.way AS ENUM ('ticket', 'token', 'session', 'local', 'operator', 'lease', 'daemon');
CREATE TYPE farm.scope AS ENUM ('read', 'submit', 'cancel', 'admin');
CREATE TYPE farm.right AS ENUM ('submit', 'see', 'own', 'build', 'class', 'network', 'change', 'builders', 'platforms',
  'buckets', 'admin');
CREATE TYPE farm.token_kind AS ENUM ('api', 'login', 'session');

-- Who causes a change, how that is known, and from where.
CREATE TYPE farm.actor AS (principal text, way farm.way, address text);

-- What a person may use up unless something else is said of that person. One row.
CREATE TABLE farm.limits (
  only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  jobs_waiting int NOT NULL DEFAULT 1000 CHECK (jobs_waiting >= 0),
  uploads      int NOT NULL DEFAULT 100 CHECK (uploads >= 0),
  bytes        bigint NOT NULL DEFAULT 1099511627776 CHECK (bytes >= 0),    -- 1 TiB
  sources      int NOT NULL DEFAULT 100 CHECK (sources >= 0)
);
INSERT INTO farm.limits DEFAULT VALUES;

ALTER TABLE farm.person
  ADD COLUMN enabled      boolean NOT NULL DEFAULT true,
  -- Limits of this person; NULL: those of everybody.
  ADD COLUMN jobs_waiting int CHECK (jobs_waiting >= 0),
  ADD COLUMN uploads      int CHECK (uploads >= 0),
  ADD COLUMN bytes        bigint CHECK (bytes >= 0),
  ADD COLUMN sources      int CHECK (sources >= 0);

CREATE TABLE farm.group (
  id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        farm.slug NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE farm.member (
  group_id  int NOT NULL REFERENCES farm.group ON DELETE CASCADE,
  person_id int NOT NULL REFERENCES farm.person,
  PRIMARY KEY (group_id, person_id)
);
CREATE INDEX member_person ON farm.member (person_id);

-- Whoever's principal looks like this is a member, as in */admin@EXAMPLE.ORG; a star stands for any characters.
CREATE TABLE farm.member_rule (
  group_id int NOT NULL REFERENCES farm.group ON DELETE CASCADE,
  pattern  text NOT NULL CHECK (length(pattern) BETWEEN 1 AND 256),
  PRIMARY KEY (group_id, pattern)
);

-- Who may what. Neither person nor group: every person that is known by name. No object: all of them.
CREATE TABLE farm.grant (
  id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  what       farm.right NOT NULL,
  object     text CHECK (length(object) BETWEEN 1 AND 100),
  person_id  int REFERENCES farm.person,
  group_id   int REFERENCES farm.group ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (what, object, person_id, group_id),
  CHECK (num_nonnulls(person_id, group_id) <= 1),
  CHECK (object IS NULL OR what IN ('submit', 'see', 'own', 'build', 'class'))
);
CREATE INDEX grant_person ON farm.grant (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX grant_group ON farm.grant (group_id) WHERE group_id IS NOT NULL;

-- What a new farm lets everybody do who has a name: build on all platforms, into the bucket that is there to look at results.
INSERT INTO farm.grant (what, object) VALUES
  ('submit', 'scratch'), ('build', NULL), ('class', 'normal'), ('class', 'background');
-- And what everybody could do until now, in the buckets that were used.
INSERT INTO farm.grant (what, object) SELECT DISTINCT 'submit'::farm.right, bucket FROM farm.job WHERE bucket <> 'scratch';

-- What is in a bucket that is not public is seen by those alone who may see it.
ALTER TABLE farm.bucket ADD COLUMN public boolean NOT NULL DEFAULT true;

ALTER TABLE farm.builder
  ADD COLUMN principal text UNIQUE CHECK (length(principal) BETWEEN 1 AND 256),   -- builder/host1@EXAMPLE.ORG
  ADD COLUMN address   text;                                                      -- where it called from last

-- Secrets that stand for a person or a builder; only their digests. To revoke one is to delete it.
CREATE TABLE farm.token (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest     farm.sha256 NOT NULL UNIQUE,
  kind       farm.token_kind NOT NULL,
  person_id  int REFERENCES farm.person,
  builder_id int REFERENCES farm.builder,
  parent     bigint REFERENCES farm.token ON DELETE CASCADE,   -- the token that a session was begun with, and ends with
  name       text CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$'),
  scopes     farm.scope[] NOT NULL CHECK (cardinality(scopes) > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  UNIQUE (person_id, name),
  CHECK (num_nonnulls(person_id, builder_id) = 1),
  CHECK ((kind = 'api') = (name IS NOT NULL)),
  CHECK (builder_id IS NULL OR kind = 'login'),
  -- Whoever gets into a process for a moment cannot leave itself a key for ever.
  CHECK (expires_at <= created_at + CASE kind WHEN 'login' THEN interval '1 day' WHEN 'session' THEN interval '31 days'
                                              ELSE interval '367 days' END)
);
CREATE INDEX token_parent ON farm.token (parent) WHERE parent IS NOT NULL;
CREATE INDEX token_builder ON farm.token (builder_id) WHERE builder_id IS NOT NULL;
CREATE INDEX token_expires ON farm.token (expires_at);

-- Who brought a file: what a person may build is what that person brought or may see anyway.
CREATE TABLE farm.brought (
  digest    farm.sha256 NOT NULL REFERENCES farm.blob,
  person_id int NOT NULL REFERENCES farm.person,
  PRIMARY KEY (digest, person_id)
);
CREATE INDEX brought_person ON farm.brought (person_id);
INSERT INTO farm.brought (digest, person_id)
  SELECT DISTINCT s.digest, j.person_id FROM farm.source s JOIN farm.job j ON j.id = s.job_id;

-- Who did what to what. Rows are added and never changed, by nobody.
CREATE TABLE farm.audit (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor   text NOT NULL,
  way     farm.way NOT NULL,
  address text,
  action  text NOT NULL,
  object  text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  process text NOT NULL            -- the process that wrote it down, by its own ticket
);
CREATE INDEX audit_actor ON farm.audit (actor, id);
CREATE INDEX audit_object ON farm.audit (object, id);
CREATE FUNCTION farm.never() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM farm.refuse('conflict', 'the audit is only ever added to');
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.audit EXECUTE FUNCTION farm.never();

-- The process that is at the other end of this connection: its Kerberos principal, or its role where it came without a ticket.
CREATE FUNCTION farm.process() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN coalesce((SELECT gss_princ FROM pg_stat_get_activity(pg_backend_pid()) WHERE gss_auth), 'role ' || session_user);
END $$;

-- Writes down what happened. A NULL actor: the process itself did it.
CREATE FUNCTION farm.record(p_actor farm.actor, p_action text, p_object text, p_details jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_process text := farm.process();
BEGIN
  -- A process cannot give itself out for an operator, nor for nobody.
  IF (p_actor).way = 'operator' AND NOT pg_has_role(session_user, 'farm_owner', 'MEMBER') THEN
    PERFORM farm.refuse('forbidden', format('the role %s is no operator of the farm', session_user));
  ELSIF (p_actor).way IS NOT NULL AND (p_actor).principal IS NULL THEN
    PERFORM farm.refuse('forbidden', 'somebody has to be who acts');
  END IF;
  INSERT INTO farm.audit (actor, way, address, action, object, details, process)
    VALUES (coalesce((p_actor).principal, v_process), coalesce((p_actor).way, 'daemon'), (p_actor).address, p_action, p_object,
            jsonb_strip_nulls(coalesce(p_details, '{}')), v_process);
END $$;

-- A builder as an actor.
CREATE FUNCTION farm.builder_actor(p_builder int) RETURNS farm.actor LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT ROW(coalesce(principal, 'builder/' || name), 'lease', address)::farm.actor FROM farm.builder WHERE id = p_builder);
END $$;

CREATE FUNCTION farm.matches(p_principal text, p_pattern text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_principal LIKE replace(replace(replace(replace(p_pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
$$;

CREATE VIEW farm.membership AS
  SELECT group_id, person_id FROM farm.member
  UNION
  SELECT r.group_id, p.id FROM farm.member_rule r JOIN farm.person p ON farm.matches(p.principal, r.pattern);

-- Whether a person may do something with an object. Who owns a bucket may submit to it and see it; who is an administrator
-- may do everything; who is disabled, nothing.
CREATE FUNCTION farm.may(p_person int, p_what farm.right, p_object text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM farm.person p JOIN farm.grant g
      ON g.person_id = p.id OR (g.person_id IS NULL AND g.group_id IS NULL)
      OR g.group_id IN (SELECT m.group_id FROM farm.membership m WHERE m.person_id = p.id)
    WHERE p.id = p_person AND p.enabled
      AND (g.what = 'admin'
           OR ((g.what = p_what OR (g.what = 'own' AND p_what IN ('submit', 'see')))
               AND (g.object IS NULL OR g.object = p_object))));
END $$;

-- Whether somebody sees a job: everybody what is in public buckets, a person also the own jobs and what there is a right to see,
-- an operator everything. A NULL viewer is anybody.
CREATE FUNCTION farm.sees(p_viewer int, p_job bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_owner int;
  v_bucket text;
  v_public boolean;
BEGIN
  SELECT j.person_id, b.name, b.public INTO v_owner, v_bucket, v_public
    FROM farm.job j JOIN farm.bucket b ON b.name = j.bucket WHERE j.id = p_job;
  RETURN coalesce(v_public OR (p_viewer IS NOT NULL AND (farm.may(p_viewer, 'see', v_bucket)
                    OR (v_owner = p_viewer AND (SELECT enabled FROM farm.person WHERE id = p_viewer))))
                  OR pg_has_role(session_user, 'farm_owner', 'MEMBER'), false);
END $$;

-- Whether somebody sees what is in a bucket.
CREATE FUNCTION farm.sees_bucket(p_viewer int, p_bucket text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.bucket b WHERE b.name = p_bucket
                 AND (b.public OR (p_viewer IS NOT NULL AND farm.may(p_viewer, 'see', b.name))
                      OR pg_has_role(session_user, 'farm_owner', 'MEMBER')));
END $$;

-- The buckets of which somebody sees everything, for lists.
CREATE FUNCTION farm.visible_buckets(p_viewer int) RETURNS SETOF farm.slug LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT b.name FROM farm.bucket b WHERE farm.sees_bucket(p_viewer, b.name);
END $$;

-- The person of an actor, who has to be let in.
CREATE FUNCTION farm.acting(p_actor farm.actor) RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
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

-- Refuses an actor without a right. An operator is who came to the database itself as somebody who owns the farm.
CREATE FUNCTION farm.require(p_actor farm.actor, p_what farm.right, p_object text) RETURNS void
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

-- What holds for a person: the own limit, or everybody's.
CREATE FUNCTION farm.limits_of(p_person int) RETURNS farm.limits LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT true, coalesce(p.jobs_waiting, l.jobs_waiting), coalesce(p.uploads, l.uploads), coalesce(p.bytes, l.bytes),
         coalesce(p.sources, l.sources)
  FROM farm.limits l, farm.person p WHERE p.id = p_person
$$;

CREATE FUNCTION farm.access_changed() RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM pg_notify('farm_access', '');
END $$;

RESET ROLE;
