SET LOCAL ROLE farm_owner;

-- The labels of these enums are those of farm-types; a test compares them.
CREATE TYPE farm.job_state AS ENUM ('submitted', 'accepted', 'rejected', 'cancelled');
CREATE TYPE farm.task_state AS ENUM ('waiting', 'pending', 'leased', 'succeeded', 'failed', 'cancelled');
-- The order of the labels is the order of service.
CREATE TYPE farm.class AS ENUM ('urgent', 'normal', 'background');
CREATE TYPE farm.builder_state AS ENUM ('enabled', 'draining', 'disabled');
CREATE TYPE farm.outcome AS ENUM ('succeeded', 'failed', 'farm_fault', 'cancelled', 'lost', 'released');
CREATE TYPE farm.cause AS ENUM ('source_invalid', 'dependencies', 'chroot', 'prep', 'build', 'install', 'check', 'timeout',
  'silent', 'out_of_memory', 'disk_full', 'output_too_large', 'upload', 'builder_lost', 'cancelled', 'internal');
CREATE TYPE farm.stage AS ENUM ('fetch', 'chroot', 'source', 'dependencies', 'prep', 'build', 'install', 'check',
  'collect', 'upload');
CREATE TYPE farm.artifact_kind AS ENUM ('rpm', 'srpm', 'log', 'manifest');
CREATE DOMAIN farm.sha256 AS bytea CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN farm.slug AS text CHECK (VALUE ~ '^[a-z0-9][a-z0-9._-]{0,49}$');

CREATE TABLE farm.person (
  id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  principal  text NOT NULL UNIQUE CHECK (length(principal) BETWEEN 1 AND 256),
  weight     real NOT NULL DEFAULT 1 CHECK (weight > 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE farm.bucket (
  name        farm.slug PRIMARY KEY,
  description text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO farm.bucket (name, description) VALUES
  ('scratch', 'Builds to look at'),
  ('selftest', 'What farm-admin selftest builds');

CREATE TABLE farm.platform (
  name       text PRIMARY KEY CHECK (name = release || '-' || arch AND length(name) <= 100),
  release    text NOT NULL,
  arch       text NOT NULL,
  recipe     jsonb NOT NULL,
  enabled    boolean NOT NULL DEFAULT true,
  auto       boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE farm.builder (
  id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         farm.slug NOT NULL UNIQUE,
  token_digest farm.sha256 UNIQUE,
  state        farm.builder_state NOT NULL DEFAULT 'enabled',
  reason       text,
  platforms    text[],              -- what it may serve; NULL: every platform of its architectures
  instance     uuid,                -- the life of the daemon that said hello last
  version      text,
  arches       text[] NOT NULL DEFAULT '{}',
  slots        int NOT NULL DEFAULT 0 CHECK (slots >= 0),
  last_seen_at timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);           -- last_seen_at is written all the time: leave room for it on the page

CREATE TABLE farm.blob (
  digest     farm.sha256 PRIMARY KEY,
  size       bigint NOT NULL CHECK (size >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE farm.upload (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  person_id  int NOT NULL REFERENCES farm.person,
  digest     farm.sha256 NOT NULL,
  size       bigint NOT NULL CHECK (size >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  touched_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (person_id, digest, size)
);

CREATE TABLE farm.job (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person_id       int NOT NULL REFERENCES farm.person,
  key             text NOT NULL CHECK (key ~ '^[A-Za-z0-9_.-]{1,50}$'),
  request         farm.sha256 NOT NULL,   -- of the whole request: tells it from another one under the same key
  title           text NOT NULL CHECK (length(title) <= 200),
  bucket          farm.slug NOT NULL REFERENCES farm.bucket,
  class           farm.class NOT NULL,
  targets         text NOT NULL CHECK (length(targets) <= 4000),
  timeout_seconds int CHECK (timeout_seconds > 0),
  after_job       bigint REFERENCES farm.job,
  state           farm.job_state NOT NULL DEFAULT 'submitted',
  reasons         jsonb NOT NULL DEFAULT '[]',
  warnings        jsonb NOT NULL DEFAULT '[]',
  submitted_at    timestamptz NOT NULL DEFAULT now(),
  decided_at      timestamptz,
  tries           int NOT NULL DEFAULT 0,                -- how often validation met a fault of the farm
  next_try_at     timestamptz NOT NULL DEFAULT now(),
  UNIQUE (person_id, key),
  CHECK ((state = 'submitted') = (decided_at IS NULL)),
  CHECK ((state = 'rejected') = (jsonb_array_length(reasons) > 0)),
  CHECK (after_job < id)
);
CREATE INDEX job_submitted ON farm.job (id) WHERE state = 'submitted';
CREATE INDEX job_of_person ON farm.job (person_id, id);
CREATE INDEX job_after ON farm.job (after_job) WHERE after_job IS NOT NULL;

CREATE TABLE farm.source (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id    bigint NOT NULL REFERENCES farm.job,
  position  int NOT NULL CHECK (position >= 1),
  file_name text NOT NULL CHECK (length(file_name) BETWEEN 1 AND 1024),
  digest    farm.sha256 NOT NULL REFERENCES farm.blob,
  -- What the package says of itself, once validated.
  name      text,
  epoch     bigint,
  version   text,
  release   text,
  UNIQUE (job_id, position),
  CHECK (num_nulls(name, version, release) IN (0, 3))
);
CREATE INDEX source_blob ON farm.source (digest);
CREATE INDEX source_name ON farm.source (name, job_id);

-- Cold: written when it is made, claimed and ended. No index on the state: the hot tables below answer for it.
CREATE TABLE farm.task (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id          bigint NOT NULL REFERENCES farm.job,
  platform        text NOT NULL REFERENCES farm.platform,
  state           farm.task_state NOT NULL,
  class           farm.class NOT NULL,
  rank            bigint NOT NULL,                       -- fair share: who is served first within the class
  attempts        int NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- number of the latest attempt; only grows: the fence
  faults          int NOT NULL DEFAULT 0 CHECK (faults >= 0),    -- attempts that the farm spoilt since the last retry
  timeout_seconds int NOT NULL CHECK (timeout_seconds > 0),
  cause           farm.cause,
  message         text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  started_at      timestamptz,
  finished_at     timestamptz,
  UNIQUE (job_id, platform),
  CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
  CHECK ((state IN ('failed', 'cancelled')) = (cause IS NOT NULL)),
  CHECK (state NOT IN ('leased', 'succeeded') OR attempts > 0)
) WITH (fillfactor = 80);
CREATE INDEX task_platform ON farm.task (platform, id);

-- Hot and narrow: the tasks that can be claimed. A claim deletes the row.
CREATE TABLE farm.ready (
  platform   text NOT NULL,
  class      farm.class NOT NULL,
  rank       bigint NOT NULL,
  task_id    bigint NOT NULL REFERENCES farm.task,
  not_before timestamptz NOT NULL DEFAULT now(),   -- backoff
  avoid      int[] NOT NULL DEFAULT '{}',          -- builders that it went wrong on
  PRIMARY KEY (platform, class, rank, task_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE farm.attempt (
  task_id     bigint NOT NULL REFERENCES farm.task,
  number      int NOT NULL CHECK (number > 0),
  builder_id  int NOT NULL REFERENCES farm.builder,
  token       uuid NOT NULL,        -- of its lease: lets a finish whose answer was lost be sent again
  outcome     farm.outcome,
  cause       farm.cause,
  stage       farm.stage,
  message     text,
  excerpt     jsonb NOT NULL DEFAULT '[]',
  stages      jsonb NOT NULL DEFAULT '[]',
  started_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  log_size    bigint NOT NULL DEFAULT 0 CHECK (log_size >= 0),
  log_digest  farm.sha256 REFERENCES farm.blob,
  PRIMARY KEY (task_id, number),
  CHECK ((outcome IS NULL) = (finished_at IS NULL)),
  CHECK (outcome IS NULL OR (outcome = 'succeeded') = (cause IS NULL) OR outcome = 'released')
) WITH (fillfactor = 70);
-- A task has at most one running attempt and at most one accepted result.
CREATE UNIQUE INDEX attempt_running ON farm.attempt (task_id) WHERE outcome IS NULL;
CREATE UNIQUE INDEX attempt_succeeded ON farm.attempt (task_id) WHERE outcome = 'succeeded';
CREATE INDEX attempt_builder ON farm.attempt (builder_id, started_at);
CREATE INDEX attempt_log ON farm.attempt (log_digest) WHERE log_digest IS NOT NULL;

-- Hot and narrow: who holds what. No index on expires_at, so that renewals stay HOT; the janitor reads it whole.
CREATE TABLE farm.lease (
  task_id    bigint PRIMARY KEY,
  attempt    int NOT NULL,
  builder_id int NOT NULL REFERENCES farm.builder,
  token      uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (task_id, attempt) REFERENCES farm.attempt
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

CREATE TABLE farm.artifact (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id bigint NOT NULL,
  attempt int NOT NULL,
  kind    farm.artifact_kind NOT NULL,
  name    text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255 AND name !~ '[/[:cntrl:]]' AND name !~ '^[.-]'),
  digest  farm.sha256 NOT NULL REFERENCES farm.blob,
  size    bigint NOT NULL CHECK (size >= 0),
  UNIQUE (task_id, attempt, name),
  FOREIGN KEY (task_id, attempt) REFERENCES farm.attempt
);
CREATE INDEX artifact_blob ON farm.artifact (digest);

-- The log of a running attempt, gzip compressed piece by piece; dropped when the whole log is a blob. Put together in
-- order, the pieces are one valid gzip file (RFC 1952, section 2.2). Partitioned so that vacuum works on small parts.
CREATE TABLE farm.log_chunk (
  task_id bigint NOT NULL,
  attempt int NOT NULL,
  start   bigint NOT NULL CHECK (start >= 0),
  length  int NOT NULL CHECK (length > 0),
  data    bytea NOT NULL,
  PRIMARY KEY (task_id, attempt, start)
) PARTITION BY HASH (task_id);
DO $$
BEGIN
  FOR n IN 0..7 LOOP
    EXECUTE format('CREATE TABLE farm.log_chunk_%s PARTITION OF farm.log_chunk FOR VALUES WITH (MODULUS 8, REMAINDER %s)', n, n);
    -- It is compressed already.
    EXECUTE format('ALTER TABLE farm.log_chunk_%s ALTER COLUMN data SET STORAGE EXTERNAL', n);
  END LOOP;
END $$;

-- Fair share: where each person's last task stands on the virtual clock of a platform and class.
CREATE TABLE farm.share (
  platform  text NOT NULL REFERENCES farm.platform,
  class     farm.class NOT NULL,
  person_id int NOT NULL REFERENCES farm.person,
  finish    bigint NOT NULL,
  PRIMARY KEY (platform, class, person_id)
) WITH (fillfactor = 50);

-- How long packages took, to expect how long they will take.
CREATE TABLE farm.build_time (
  platform text NOT NULL REFERENCES farm.platform,
  name     text NOT NULL,
  seconds  real NOT NULL CHECK (seconds >= 0),
  builds   int NOT NULL DEFAULT 1,
  PRIMARY KEY (platform, name)
);

RESET ROLE;
