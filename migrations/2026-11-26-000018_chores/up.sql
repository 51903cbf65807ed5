SET LOCAL ROLE farm_owner;

-- What the janitor needs for its chores: who does which one when, how long buckets keep files, and how a blob that nobody
-- needs is told from one that somebody is just bringing.

-- The chores of the janitors, one row each. Who is at one has a lease on it and not an advisory lock: a process that is stopped
-- keeps its session, and with it such a lock, for ever.
CREATE TABLE farm.chore (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z_]{1,50}$'),
  holder     uuid,                          -- the janitor that is at it
  held_until timestamptz,
  began_at   timestamptz NOT NULL DEFAULT now(),
  ended_at   timestamptz,                   -- when it was done last, without a fault
  seconds    real,                          -- how long it took then
  done       bigint NOT NULL DEFAULT 0,     -- how many things it dealt with then
  total      bigint NOT NULL DEFAULT 0,     -- how many ever
  failures   int NOT NULL DEFAULT 0,        -- in a row
  error      text,                          -- the last of them
  alarms     text[] NOT NULL DEFAULT '{}',  -- what somebody has to look at
  CHECK ((holder IS NULL) = (held_until IS NULL))
) WITH (fillfactor = 50);

-- Whether a janitor shall do a chore now: nobody is at it, and it was not begun within the period.
CREATE FUNCTION farm.begin_chore(p_name text, p_holder uuid, p_period interval, p_lease interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.chore AS c (name, holder, held_until) VALUES (p_name, p_holder, now() + p_lease)
    ON CONFLICT (name) DO UPDATE SET holder = p_holder, held_until = now() + p_lease, began_at = now()
    WHERE (c.holder IS NULL OR c.held_until < now()) AND c.began_at <= now() - p_period;
  RETURN FOUND;
END $$;

-- What came of it; an error: it could not be done.
CREATE FUNCTION farm.end_chore(p_name text, p_holder uuid, p_seconds real, p_done bigint, p_alarms text[], p_error text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE farm.chore SET holder = NULL, held_until = NULL, error = left(p_error, 1000),
      failures = CASE WHEN p_error IS NULL THEN 0 ELSE failures + 1 END,
      ended_at = CASE WHEN p_error IS NULL THEN now() ELSE ended_at END,
      seconds = CASE WHEN p_error IS NULL THEN p_seconds ELSE seconds END,
      done = CASE WHEN p_error IS NULL THEN p_done ELSE done END,
      alarms = CASE WHEN p_error IS NULL THEN p_alarms ELSE alarms END,
      total = total + p_done
    WHERE name = p_name AND holder = p_holder;
END $$;

-- Builders that vanished.

ALTER TABLE farm.builder ADD COLUMN gone_at timestamptz;   -- since when it counts as vanished

-- Notes which builders that ought to be there have not been heard of for so long, and which of them have come back. Answers both.
CREATE FUNCTION farm.note_vanished(p_silence interval, OUT o_gone text[], OUT o_back text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_builder farm.builder;
BEGIN
  o_gone := '{}';
  o_back := '{}';
  FOR v_builder IN
    UPDATE farm.builder SET gone_at = CASE WHEN gone_at IS NULL THEN now() END WHERE id IN (
      SELECT b.id FROM farm.builder b
      WHERE (b.gone_at IS NULL AND b.last_seen_at < now() - p_silence AND b.state = 'enabled')
         OR (b.gone_at IS NOT NULL AND (b.last_seen_at > b.gone_at OR b.state <> 'enabled'))
      ORDER BY b.id FOR NO KEY UPDATE SKIP LOCKED) RETURNING *
  LOOP
    IF v_builder.gone_at IS NULL THEN
      o_back := o_back || v_builder.name::text;
      PERFORM farm.record(NULL, 'come back', 'builder ' || v_builder.name, NULL);
    ELSE
      o_gone := o_gone || v_builder.name::text;
      PERFORM farm.record(NULL, 'vanish', 'builder ' || v_builder.name, jsonb_build_object('last_seen', v_builder.last_seen_at));
    END IF;
  END LOOP;
END $$;

-- Since when a builder counts as vanished; NULL: it does not.
CREATE FUNCTION farm.gone_since(p_builder int) RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT gone_at FROM farm.builder WHERE id = p_builder AND gone_at > last_seen_at AND state = 'enabled');
END $$;

-- Tasks that are over their time though their builder renews the lease. It should have ended the build itself, so the builder is
-- not to be trusted any more, and nothing is known about the package: the attempt is lost, and another builder gets the task.
-- The time of a task counts the package's own steps alone, and making ready and handing in take time too: the grace has to be generous.
-- As with leases, nothing is taken back while builders could not hand in what they have. Answers how many leases ended.
CREATE FUNCTION farm.reap_overdue(p_grace interval) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lease farm.lease;
  v_jobs bigint[] := '{}';
BEGIN
  IF farm.hubs_were_away() THEN
    RETURN 0;
  END IF;
  FOR v_lease IN
    WITH overdue AS MATERIALIZED (
      SELECT l.task_id FROM farm.lease l JOIN farm.task t ON t.id = l.task_id
        JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt
      WHERE a.started_at < now() - make_interval(secs => t.timeout_seconds) - p_grace
      ORDER BY l.task_id LIMIT 500 FOR UPDATE OF l SKIP LOCKED)
    DELETE FROM farm.lease l USING overdue WHERE l.task_id = overdue.task_id RETURNING l.*
  LOOP
    v_jobs := v_jobs || farm.end_attempt(v_lease, 'lost', 'timeout',
      'the builder went on long after the time of the task was over');
    PERFORM pg_notify('farm_orders', v_lease.builder_id::text);
  END LOOP;
  PERFORM farm.jobs_changed(v_jobs);
  RETURN cardinality(v_jobs);
END $$;

-- Jobs that wait for a decision for so long though it is their time: the oldest of them.
CREATE FUNCTION farm.undecided_jobs(p_age interval) RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT jsonb_build_object('job', j.id, 'seconds', extract(epoch FROM now() - j.submitted_at)::bigint, 'tries', j.tries)
    FROM farm.job j WHERE j.state = 'submitted' AND greatest(j.submitted_at, j.next_try_at) < now() - p_age
    ORDER BY j.id LIMIT 100;
END $$;

-- Whose is a blob?
--
-- Bytes are removed in the transaction that removes the row of the blob, under a lock on the digest and only where nobody needs the
-- blob. Whoever brings bytes announces that before the first of them, in farm.upload or farm.expected, and waits for that lock. So
-- whoever announced first is seen and the bytes stay; whoever comes second finds nothing and brings them anew.

CREATE FUNCTION farm.blob_key(p_digest bytea) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT ('x' || encode(substr(p_digest, 1, 4), 'hex'))::bit(32)::int
$$;

-- 1717662317 is `farm` as four bytes: advisory locks have numbers only.
CREATE FUNCTION farm.announce() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1717662317, farm.blob_key(NEW.digest));
  RETURN NEW;
END $$;
CREATE TRIGGER announce BEFORE INSERT ON farm.upload FOR EACH ROW EXECUTE FUNCTION farm.announce();

-- What is about to be brought under a lease, or as the log of an attempt that has ended. The rows go with the lease.
CREATE TABLE farm.expected (
  task_id bigint NOT NULL,
  attempt int NOT NULL,
  digest  farm.sha256 NOT NULL,
  PRIMARY KEY (task_id, attempt, digest),
  FOREIGN KEY (task_id, attempt) REFERENCES farm.attempt
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX expected_blob ON farm.expected (digest);
CREATE TRIGGER announce BEFORE INSERT ON farm.expected FOR EACH ROW EXECUTE FUNCTION farm.announce();

CREATE FUNCTION farm.expect_no_more() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  DELETE FROM farm.expected WHERE task_id = OLD.task_id AND attempt = OLD.attempt;
  RETURN NULL;
END $$;
CREATE TRIGGER expect_no_more AFTER DELETE ON farm.lease FOR EACH ROW EXECUTE FUNCTION farm.expect_no_more();

-- Whether a blob of that size was brought under the lease already. If not, it is announced.
CREATE OR REPLACE FUNCTION farm.has_delivered(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_digest farm.sha256, p_size bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.hold(p_builder, p_task, p_attempt, p_token);
  IF EXISTS (SELECT FROM farm.delivered d JOIN farm.blob b ON b.digest = d.digest
             WHERE d.task_id = p_task AND d.attempt = p_attempt AND d.digest = p_digest AND b.size = p_size) THEN
    RETURN true;
  END IF;
  INSERT INTO farm.expected (task_id, attempt, digest) VALUES (p_task, p_attempt, p_digest) ON CONFLICT DO NOTHING;
  RETURN false;
END $$;

-- Announces the log of an attempt that ended and left it in pieces.
CREATE FUNCTION farm.expect_log(p_task bigint, p_attempt int, p_digest farm.sha256) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.expected (task_id, attempt, digest)
    SELECT task_id, number, p_digest FROM farm.attempt
    WHERE task_id = p_task AND number = p_attempt AND outcome IS NOT NULL AND log_digest IS NULL
    ON CONFLICT DO NOTHING;
END $$;

-- As it was, but what was announced has come; and where the files of the job have gone meanwhile, no log comes back.
CREATE OR REPLACE FUNCTION farm.put_log_together(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.blob (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
  UPDATE farm.attempt SET log_digest = p_digest WHERE task_id = p_task AND number = p_attempt AND outcome IS NOT NULL AND log_digest IS NULL
    AND log_size > 0;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('attempt %s of task %s runs, or has its log sealed or removed', p_attempt, p_task));
  END IF;
  INSERT INTO farm.artifact (task_id, attempt, kind, name, digest, size) VALUES (p_task, p_attempt, 'log', 'build.log.gz', p_digest, p_size);
  DELETE FROM farm.log_chunk WHERE task_id = p_task AND attempt = p_attempt;
  DELETE FROM farm.expected WHERE task_id = p_task AND attempt = p_attempt;
END $$;

-- A source whose job keeps no files has its digest still, for the record, but holds the blob no more.
ALTER TABLE farm.source DROP CONSTRAINT source_digest_fkey;
ALTER TABLE farm.source ADD COLUMN gone_size bigint CHECK (gone_size >= 0);
ALTER TABLE farm.source
  ADD COLUMN blob bytea GENERATED ALWAYS AS (CASE WHEN gone_size IS NULL THEN digest::bytea END) STORED REFERENCES farm.blob;
CREATE INDEX source_kept ON farm.source (blob) WHERE blob IS NOT NULL;

-- Whoever brought a file may build it, but not for ever: what is in no job and was not asked for in a week is forgotten.
ALTER TABLE farm.brought ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX brought_touched ON farm.brought (touched_at);

-- As it was, but what was brought again counts as brought now.
CREATE OR REPLACE FUNCTION farm.end_upload(p_actor farm.actor, p_upload uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_upload farm.upload;
BEGIN
  DELETE FROM farm.upload WHERE id = p_upload AND person_id = farm.acting(p_actor) RETURNING * INTO v_upload;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', 'there is no such upload of yours; ask for a new one');
  END IF;
  INSERT INTO farm.blob (digest, size) VALUES (v_upload.digest, v_upload.size) ON CONFLICT (digest) DO NOTHING;
  INSERT INTO farm.brought (digest, person_id) VALUES (v_upload.digest, v_upload.person_id)
    ON CONFLICT (digest, person_id) DO UPDATE SET touched_at = now();
  PERFORM farm.record(p_actor, 'upload', 'blob ' || encode(v_upload.digest, 'hex'), jsonb_build_object('size', v_upload.size));
END $$;

-- As it was, but what is kept no more is to be brought anew.
CREATE OR REPLACE FUNCTION farm.may_build(p_person int, p_digest farm.sha256) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.brought WHERE digest = p_digest AND person_id = p_person)
      OR EXISTS (SELECT FROM farm.source s WHERE s.blob = p_digest AND farm.sees(p_person, s.job_id));
END $$;

-- As it was, but who asks for it is about to build it: it is kept for that person.
CREATE OR REPLACE FUNCTION farm.known_blob(p_actor farm.actor, p_digest farm.sha256) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int := farm.acting(p_actor);
BEGIN
  UPDATE farm.brought SET touched_at = now()
    WHERE digest = p_digest AND person_id = v_person AND touched_at < now() - interval '1 hour';
  RETURN (SELECT size FROM farm.blob WHERE digest = p_digest AND farm.may_build(v_person, p_digest));
END $$;

-- Forgets who brought which file, where nobody asked for it for so long, and for an hour at least. A line for each that was in no
-- job of that person: it has to be brought again. Answers how many were forgotten, 1000 at most.
CREATE FUNCTION farm.forget_files(p_idle interval) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_brought farm.brought;
  v_count int := 0;
BEGIN
  FOR v_brought IN
    DELETE FROM farm.brought r USING (
      SELECT digest, person_id FROM farm.brought WHERE touched_at < now() - greatest(p_idle, interval '1 hour')
      ORDER BY touched_at LIMIT 1000 FOR UPDATE SKIP LOCKED) AS idle
    WHERE r.digest = idle.digest AND r.person_id = idle.person_id RETURNING r.*
  LOOP
    v_count := v_count + 1;
    IF NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                   WHERE s.blob = v_brought.digest AND j.person_id = v_brought.person_id) THEN
      PERFORM farm.record(NULL, 'forget file', 'blob ' || encode(v_brought.digest, 'hex'), jsonb_build_object(
        'person', (SELECT principal FROM farm.person WHERE id = v_brought.person_id), 'touched', v_brought.touched_at));
    END IF;
  END LOOP;
  RETURN v_count;
END $$;

ALTER TABLE farm.blob ADD COLUMN unowned_since timestamptz;   -- since when the janitor finds that nobody needs it
CREATE INDEX blob_unowned ON farm.blob (digest) WHERE unowned_since IS NOT NULL;

-- Whether anything needs a blob, or somebody is just bringing it. A new reference to farm.blob belongs in here; a test compares.
CREATE FUNCTION farm.has_owner(p_digest bytea) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.source WHERE blob = p_digest)
      OR EXISTS (SELECT FROM farm.artifact WHERE digest = p_digest)
      OR EXISTS (SELECT FROM farm.attempt WHERE log_digest = p_digest)
      OR EXISTS (SELECT FROM farm.brought WHERE digest = p_digest)
      OR EXISTS (SELECT FROM farm.delivered WHERE digest = p_digest)
      OR EXISTS (SELECT FROM farm.expected WHERE digest = p_digest)
      OR EXISTS (SELECT FROM farm.upload WHERE digest = p_digest);
END $$;
-- Uploads are found by person first, otherwise.
CREATE INDEX upload_blob ON farm.upload (digest);

-- Marks the blobs without an owner whose digest begins with that byte, and takes the mark from those that have one again.
CREATE FUNCTION farm.mark_blobs(p_first int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_from bytea := decode(lpad(to_hex(p_first), 2, '0'), 'hex');
  v_to bytea := decode(lpad(to_hex(p_first), 2, '0') || repeat('ff', 32), 'hex');
BEGIN
  UPDATE farm.blob SET unowned_since = now()
    WHERE digest >= v_from AND digest <= v_to AND unowned_since IS NULL AND NOT farm.has_owner(digest);
  UPDATE farm.blob SET unowned_since = NULL
    WHERE digest >= v_from AND digest <= v_to AND unowned_since IS NOT NULL AND farm.has_owner(digest);
END $$;

-- Takes away the rows of blobs that have had no owner for so long, and answers them: the caller removes their bytes before this
-- transaction ends, and gives it up if that fails. What somebody is busy with is left for the next time.
CREATE FUNCTION farm.sweep_blobs(p_first int, p_grace interval, p_limit int) RETURNS TABLE (o_digest bytea, o_size bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_from bytea := decode(lpad(to_hex(p_first), 2, '0'), 'hex');
  v_to bytea := decode(lpad(to_hex(p_first), 2, '0') || repeat('ff', 32), 'hex');
BEGIN
  FOR o_digest, o_size IN
    SELECT digest, size FROM farm.blob WHERE digest >= v_from AND digest <= v_to AND unowned_since < now() - p_grace
    ORDER BY digest LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    -- Each of these is a statement of its own, so it sees what was committed before the lock was had.
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(1717662317, farm.blob_key(o_digest));
    CONTINUE WHEN farm.has_owner(o_digest);
    DELETE FROM farm.blob WHERE digest = o_digest;
    RETURN NEXT;
  END LOOP;
END $$;

-- Of blobs that the store has: those that the farm knows nothing about, and that nobody is just bringing. As above, the caller removes
-- them before this transaction ends.
CREATE FUNCTION farm.sweep_strangers(p_digests bytea[]) RETURNS SETOF bytea LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_digest bytea;
BEGIN
  FOREACH v_digest IN ARRAY p_digests LOOP
    CONTINUE WHEN EXISTS (SELECT FROM farm.blob WHERE digest = v_digest);
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(1717662317, farm.blob_key(v_digest));
    CONTINUE WHEN farm.has_owner(v_digest) OR EXISTS (SELECT FROM farm.blob WHERE digest = v_digest);
    RETURN NEXT v_digest;
  END LOOP;
END $$;

-- How many blobs have no owner, and how many bytes that are.
CREATE FUNCTION farm.unowned_blobs(p_grace interval) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('blobs', count(*), 'bytes', coalesce(sum(size), 0)::bigint,
            'due', count(*) FILTER (WHERE unowned_since < now() - p_grace),
            'due_bytes', coalesce(sum(size) FILTER (WHERE unowned_since < now() - p_grace), 0)::bigint)
          FROM farm.blob WHERE unowned_since IS NOT NULL);
END $$;

-- As it was, but a job that keeps no files holds none of its sources: what was brought again counts again.
CREATE OR REPLACE FUNCTION farm.bytes_of(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT ((SELECT coalesce(sum(bytes), 0) FROM farm.job WHERE person_id = p_person)
        + (SELECT coalesce(sum(b.size), 0) FROM farm.brought r JOIN farm.blob b ON b.digest = r.digest WHERE r.person_id = p_person
             AND NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                             WHERE s.blob = r.digest AND j.person_id = p_person))
        + (SELECT coalesce(sum(size), 0) FROM farm.upload WHERE person_id = p_person))::bigint
$$;

-- How long buckets keep what is in them. NULL: for ever.

ALTER TABLE farm.bucket
  ADD COLUMN keep_days       int CHECK (keep_days > 0),          -- after the job ended
  ADD COLUMN keep_builds     int CHECK (keep_builds > 0),        -- of a package on a platform: that built, and as many that did not
  ADD COLUMN keep_bytes      bigint CHECK (keep_bytes > 0),      -- of all
  ADD COLUMN keep_bytes_each bigint CHECK (keep_bytes_each > 0); -- of each person
UPDATE farm.bucket SET keep_days = 30 WHERE name = 'scratch';
UPDATE farm.bucket SET keep_days = 7 WHERE name = 'selftest';

ALTER TABLE farm.job
  ADD COLUMN gone_at    timestamptz,     -- since when it has no files: sources, results, logs
  ADD COLUMN gone_why   text,
  ADD COLUMN gone_bytes bigint,
  ADD CHECK (num_nonnulls(gone_at, gone_why, gone_bytes) IN (0, 3)),
  ADD CHECK (gone_at IS NULL OR NOT open);
CREATE INDEX job_kept ON farm.job (bucket, id) WHERE gone_at IS NULL AND NOT open;

-- Says how long a bucket keeps files: NULL leaves a bound as it is, 0 takes it away.
CREATE FUNCTION farm.set_retention(p_actor farm.actor, p_bucket text, p_days int, p_builds int, p_bytes bigint, p_bytes_each bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'buckets', NULL);
  UPDATE farm.bucket SET
      keep_days = CASE WHEN p_days IS NULL THEN keep_days ELSE nullif(p_days, 0) END,
      keep_builds = CASE WHEN p_builds IS NULL THEN keep_builds ELSE nullif(p_builds, 0) END,
      keep_bytes = CASE WHEN p_bytes IS NULL THEN keep_bytes ELSE nullif(p_bytes, 0) END,
      keep_bytes_each = CASE WHEN p_bytes_each IS NULL THEN keep_bytes_each ELSE nullif(p_bytes_each, 0) END
    WHERE name = p_bucket;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('there is no bucket “%s”', p_bucket));
  END IF;
  PERFORM farm.record(p_actor, 'set retention', 'bucket ' || p_bucket,
    jsonb_build_object('days', p_days, 'builds', p_builds, 'bytes', p_bytes, 'bytes_each', p_bytes_each));
END $$;

-- The jobs of a bucket whose files are to go, the oldest first, and why. Never those of a job that ended within a day, nor of one that
-- another comes after, or is built like, which has not ended.
CREATE FUNCTION farm.files_due(p_bucket text) RETURNS TABLE (o_job bigint, o_bytes bigint, o_why text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_bucket farm.bucket;
BEGIN
  SELECT * INTO v_bucket FROM farm.bucket WHERE name = p_bucket;
  RETURN QUERY
  WITH kept AS MATERIALIZED (
    SELECT j.id, j.person_id, j.bytes, coalesce(max(t.finished_at), j.decided_at) AS ended,
           (SELECT array_agg(s.name ORDER BY s.name) FROM farm.source s WHERE s.job_id = j.id AND v_bucket.keep_builds IS NOT NULL) AS names
    FROM farm.job j LEFT JOIN farm.task t ON t.job_id = j.id
    WHERE j.bucket = p_bucket AND NOT j.open AND j.gone_at IS NULL GROUP BY j.id),
  -- A job is as new as the newest of its tasks among those of the same package.
  counted AS (
    SELECT c.id, min(c.place) AS place FROM (
      SELECT k.id, row_number() OVER (PARTITION BY k.names, t.platform, t.state = 'succeeded' ORDER BY k.id DESC) AS place
      FROM kept k JOIN farm.task t ON t.job_id = k.id WHERE k.names IS NOT NULL) c
    GROUP BY c.id),
  sized AS (
    SELECT k.*, c.place, sum(k.bytes) OVER (ORDER BY k.ended DESC, k.id DESC) AS upto,
           sum(k.bytes) OVER (PARTITION BY k.person_id ORDER BY k.ended DESC, k.id DESC) AS upto_each
    FROM kept k LEFT JOIN counted c ON c.id = k.id),
  judged AS (
    SELECT s.id, s.bytes, CASE
      WHEN s.ended < now() - make_interval(days => v_bucket.keep_days)
        THEN format('the bucket “%s” keeps files for %s', p_bucket, farm.counted(v_bucket.keep_days, 'day'))
      WHEN s.place > v_bucket.keep_builds
        THEN format('the bucket “%s” keeps the last %s of a package', p_bucket, farm.counted(v_bucket.keep_builds, 'build'))
      WHEN s.upto > v_bucket.keep_bytes THEN format('the bucket “%s” keeps %s', p_bucket, pg_size_pretty(v_bucket.keep_bytes))
      WHEN s.upto_each > v_bucket.keep_bytes_each
        THEN format('the bucket “%s” keeps %s of each person', p_bucket, pg_size_pretty(v_bucket.keep_bytes_each))
      END AS why
    FROM sized s WHERE s.ended < now() - interval '1 day')
  SELECT d.id, d.bytes, d.why FROM judged d
    WHERE d.why IS NOT NULL AND NOT EXISTS (SELECT FROM farm.job n WHERE n.after_job = d.id AND n.open)
      AND NOT EXISTS (SELECT FROM farm.task t JOIN farm.job n ON n.like_task = t.id WHERE t.job_id = d.id AND n.open)
    ORDER BY d.id;
END $$;

CREATE FUNCTION farm.counted(p_count int, p_thing text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT p_count || ' ' || p_thing || CASE WHEN p_count = 1 THEN '' ELSE 's' END
$$;

-- All of that for every bucket, for whoever asks what would go.
CREATE FUNCTION farm.all_files_due() RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT jsonb_build_object('job', d.o_job, 'bytes', d.o_bytes, 'why', d.o_why)
    FROM farm.bucket b CROSS JOIN LATERAL farm.files_due(b.name) d
    WHERE num_nonnulls(b.keep_days, b.keep_builds, b.keep_bytes, b.keep_bytes_each) > 0 ORDER BY d.o_job;
END $$;

-- Removes the files of jobs that their buckets keep no longer, so many at a time. Answers how many, and how many bytes they had.
CREATE FUNCTION farm.expire_files(p_limit int, OUT o_jobs int, OUT o_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_due record;
  v_bytes bigint;
BEGIN
  o_jobs := 0;
  o_bytes := 0;
  FOR v_due IN
    SELECT d.* FROM farm.bucket b CROSS JOIN LATERAL farm.files_due(b.name) d
    WHERE num_nonnulls(b.keep_days, b.keep_builds, b.keep_bytes, b.keep_bytes_each) > 0
    ORDER BY d.o_job LIMIT p_limit
  LOOP
    v_bytes := farm.remove_files(v_due.o_job, v_due.o_why);
    IF v_bytes IS NOT NULL THEN
      o_jobs := o_jobs + 1;
      o_bytes := o_bytes + v_bytes;
    END IF;
  END LOOP;
END $$;

-- Removes the files of a job: what it was built from, what came of it, and its logs. What is known of them stays. Answers how many
-- bytes they had; NULL: the job was begun anew in this moment, or has none.
CREATE FUNCTION farm.remove_files(p_job bigint, p_why text) RETURNS bigint LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job farm.job;
  v_files int;
BEGIN
  -- In the order of all: attempts, tasks, job. Whoever builds it again changes its tasks first, and waits here or is seen.
  PERFORM FROM farm.attempt a JOIN farm.task t ON t.id = a.task_id WHERE t.job_id = p_job ORDER BY a.task_id, a.number FOR NO KEY UPDATE OF a;
  PERFORM FROM farm.task WHERE job_id = p_job ORDER BY id FOR NO KEY UPDATE;
  SELECT * INTO v_job FROM farm.job WHERE id = p_job FOR NO KEY UPDATE;
  IF v_job.open OR v_job.gone_at IS NOT NULL OR EXISTS (SELECT FROM farm.task t WHERE t.job_id = p_job AND NOT farm.is_final(t.state)) THEN
    RETURN NULL;
  END IF;
  -- Repositories in which its packages are have to be made anew.
  INSERT INTO farm.unpublished (bucket, platform)
    SELECT DISTINCT v_job.bucket, t.platform FROM farm.task t
    JOIN farm.artifact f ON f.task_id = t.id AND f.attempt = t.attempts AND f.kind = 'rpm'
    WHERE t.job_id = p_job AND t.state = 'succeeded';
  DELETE FROM farm.artifact f USING farm.task t WHERE t.job_id = p_job AND f.task_id = t.id;
  GET DIAGNOSTICS v_files = ROW_COUNT;
  DELETE FROM farm.log_chunk c USING farm.task t WHERE t.job_id = p_job AND c.task_id = t.id;
  DELETE FROM farm.expected e USING farm.task t WHERE t.job_id = p_job AND e.task_id = t.id;
  UPDATE farm.attempt a SET log_digest = NULL, log_size = 0 FROM farm.task t
    WHERE t.job_id = p_job AND a.task_id = t.id AND (a.log_digest IS NOT NULL OR a.log_size > 0);
  UPDATE farm.source s SET gone_size = b.size FROM farm.blob b WHERE s.job_id = p_job AND b.digest = s.blob;
  UPDATE farm.job SET gone_at = now(), gone_why = p_why, gone_bytes = bytes, bytes = 0 WHERE id = p_job;
  PERFORM farm.record(NULL, 'remove files', 'job ' || p_job, jsonb_build_object('why', p_why, 'bytes', v_job.bytes, 'artifacts', v_files));
  PERFORM pg_notify('farm_job', p_job::text);
  RETURN v_job.bytes;
END $$;

-- A job without its sources cannot be built again.
CREATE FUNCTION farm.has_sources() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job farm.job;
BEGIN
  SELECT * INTO v_job FROM farm.job WHERE id = NEW.job_id;
  IF v_job.gone_at IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('the sources of job %s are gone (%s); hand them in again', v_job.id, v_job.gone_why));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER has_sources BEFORE UPDATE OF state ON farm.task FOR EACH ROW
  WHEN (OLD.finished_at IS NOT NULL AND NEW.finished_at IS NULL) EXECUTE FUNCTION farm.has_sources();

-- As it was, but a job that is to be built like a build whose record has gone is not built otherwise instead.
CREATE OR REPLACE FUNCTION farm.may_go_again(p_job bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_lacks text;
  v_like bigint;
BEGIN
  PERFORM farm.may_go_again_plain(p_job);
  SELECT farm.lacks_for_options(person_id, options) INTO v_lacks FROM farm.job WHERE id = p_job;
  IF v_lacks IS NOT NULL THEN
    PERFORM farm.refuse('forbidden', format('job %s is not built again: what it asks of its builds takes the right “%s”, which whoever '
      'handed it in has not, or no more', p_job, v_lacks));
  END IF;
  SELECT j.like_task INTO v_like FROM farm.job j WHERE j.id = p_job AND j.like_task IS NOT NULL AND NOT EXISTS (
    SELECT FROM farm.artifact f WHERE f.task_id = j.like_task AND f.attempt = j.like_attempt AND f.kind = 'manifest');
  IF v_like IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('job %s is not built again: the record of task %s, which it is to be built like, is gone; '
      'hand it in anew', p_job, v_like));
  END IF;
END $$;

-- What has become of the files of a job; NULL: they are there.
CREATE FUNCTION farm.gone_files(p_job bigint) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('at', gone_at, 'why', gone_why, 'bytes', gone_bytes) FROM farm.job
          WHERE id = p_job AND gone_at IS NOT NULL);
END $$;

-- How the database is. Sessions of others are seen by who owns the farm alone.
CREATE FUNCTION farm.database_health() RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN jsonb_build_object(
    'snapshots', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('who', s.who, 'seconds', s.seconds) ORDER BY s.seconds DESC), '[]') FROM (
        SELECT format('process %s of %s%s, %s', a.pid, a.usename, coalesce(' (' || nullif(a.application_name, '') || ')', ''), a.state) AS who,
               extract(epoch FROM clock_timestamp() - a.xact_start)::bigint AS seconds
        FROM pg_stat_activity a WHERE a.backend_xmin IS NOT NULL AND a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid()
          -- They leave by themselves whom they are in the way of.
          AND a.backend_type <> 'autovacuum worker'
        UNION ALL
        SELECT format('prepared transaction %s of %s', p.gid, p.owner), extract(epoch FROM clock_timestamp() - p.prepared)::bigint
        FROM pg_prepared_xacts p
        ORDER BY 2 DESC LIMIT 5) s),
    'slots', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.slot_name, 'active', r.active, 'transactions', age(coalesce(r.xmin, r.catalog_xmin)),
        'kept_bytes', CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn)::bigint END)), '[]')
      FROM pg_replication_slots r),
    'transactions_left', (SELECT 2147483647 - age(d.datfrozenxid) FROM pg_database d WHERE d.datname = current_database()),
    'tables', (
      SELECT jsonb_agg(jsonb_build_object('name', t.relname, 'live', t.n_live_tup, 'dead', t.n_dead_tup,
        'bytes', pg_total_relation_size(t.relid)) ORDER BY t.relname)
      FROM pg_stat_all_tables t WHERE t.schemaname = 'farm'
        AND (t.relname IN ('ready', 'lease', 'unpublished', 'delivered', 'expected', 'builder', 'chore', 'task') OR t.relname LIKE 'log\_chunk\_%')),
    'invalid_indexes', (
      SELECT coalesce(jsonb_agg(c.relname ORDER BY c.relname), '[]') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE c.relnamespace = 'farm'::regnamespace AND NOT i.indisvalid),
    -- Which say something only when statistics were kept for long.
    'unused_indexes', (
      SELECT coalesce(jsonb_agg(s.indexrelname ORDER BY s.indexrelname), '[]') FROM pg_stat_all_indexes s
      JOIN pg_index i ON i.indexrelid = s.indexrelid
      WHERE s.schemaname = 'farm' AND s.idx_scan = 0 AND NOT i.indisunique AND pg_relation_size(s.indexrelid) > 10485760),
    'queue', jsonb_build_object(
      'ready', (SELECT count(*) FROM farm.ready),
      'leased', (SELECT count(*) FROM farm.lease),
      'submitted', (SELECT count(*) FROM farm.job WHERE state = 'submitted'),
      'oldest_ready', (SELECT extract(epoch FROM clock_timestamp() - min(r.not_before))::bigint FROM farm.ready r WHERE r.not_before <= now())));
END $$;

-- Whether an attempt and the lease on its task have the same token, for who may not see either.
CREATE FUNCTION farm.same_token(p_task bigint, p_attempt int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.lease l JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt AND a.token = l.token
                 WHERE l.task_id = p_task AND l.attempt = p_attempt);
END $$;

-- The janitor asks whether everything fits together, and for that it reads the queue: everything but secrets.
GRANT SELECT ON farm.task, farm.ready, farm.job, farm.source, farm.artifact, farm.chore, farm.expected TO farm_janitor;
GRANT SELECT (task_id, attempt, builder_id, expires_at, weight) ON farm.lease TO farm_janitor;
GRANT SELECT (task_id, number, builder_id, outcome, log_size, log_digest) ON farm.attempt TO farm_janitor;
CREATE POLICY for_janitors ON farm.job TO farm_janitor USING (true);
CREATE POLICY for_janitors ON farm.task TO farm_janitor USING (true);
CREATE POLICY for_janitors ON farm.source TO farm_janitor USING (true);
CREATE POLICY for_janitors ON farm.artifact TO farm_janitor USING (true);
GRANT EXECUTE ON FUNCTION farm.begin_chore, farm.end_chore, farm.note_vanished, farm.reap_overdue, farm.undecided_jobs, farm.expect_log,
  farm.forget_files, farm.mark_blobs, farm.sweep_blobs, farm.sweep_strangers, farm.unowned_blobs, farm.all_files_due, farm.expire_files,
  farm.database_health, farm.same_token, farm.is_final, farm.job_succeeded TO farm_janitor;
GRANT EXECUTE ON FUNCTION farm.gone_since, farm.gone_files TO farm_web;

RESET ROLE;
