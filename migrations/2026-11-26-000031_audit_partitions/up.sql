SET LOCAL ROLE farm_owner;

-- The audit in a table for each month, so that what is kept no longer goes as a whole, and no vacuum ever reads the years before.

ALTER TABLE farm.audit RENAME TO audit_old;
ALTER TABLE farm.audit_old RENAME CONSTRAINT audit_pkey TO audit_old_pkey;
ALTER SEQUENCE farm.audit_id_seq RENAME TO audit_old_id_seq;
DROP INDEX farm.audit_actor, farm.audit_object;

-- Who did what to what. Rows are added and never changed, by nobody.
CREATE TABLE farm.audit (
  id      bigint GENERATED ALWAYS AS IDENTITY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor   text NOT NULL,
  way     farm.way NOT NULL,
  address text,
  action  text NOT NULL,
  object  text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  process text NOT NULL,           -- the process that wrote it down, by its own ticket
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_actor ON farm.audit (actor, id);
CREATE INDEX audit_object ON farm.audit (object, id);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.audit EXECUTE FUNCTION farm.never();
GRANT SELECT ON farm.audit TO farm_web;

-- What no month is there for: nothing, unless no janitor was there for months. Nobody is refused for that.
CREATE TABLE farm.audit_rest PARTITION OF farm.audit DEFAULT;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.audit_rest EXECUTE FUNCTION farm.never();

-- For how many months after its own a line is kept; 0: for ever. One row. Less than a quarter is no audit.
CREATE TABLE farm.audit_keep (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  months   int NOT NULL DEFAULT 0 CHECK (months = 0 OR months BETWEEN 3 AND 1200)
);
INSERT INTO farm.audit_keep DEFAULT VALUES;

-- Sees to it that a month has its table, which begins with the month in UTC. Answers whether it had none. It is made apart and put to
-- the others then, which keeps nobody from writing.
CREATE FUNCTION farm.add_audit_month(p_month date) RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_name text := to_char(p_month::timestamp, '"audit_"YYYY_MM');
BEGIN
  IF to_regclass('farm.' || v_name) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE farm.%I (LIKE farm.audit INCLUDING DEFAULTS)', v_name);
  -- That of the whole guards what goes through the whole.
  EXECUTE format('CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.%I EXECUTE FUNCTION farm.never()', v_name);
  EXECUTE format('ALTER TABLE farm.audit ATTACH PARTITION farm.%I FOR VALUES FROM (%L) TO (%L)', v_name,
    p_month::timestamp AT TIME ZONE 'UTC', (p_month + interval '1 month') AT TIME ZONE 'UTC');
  RETURN true;
END $$;

-- Puts the lines into the tables of their months that came while these were not there. No line is deleted, but the table that they were in.
CREATE FUNCTION farm.empty_audit_rest() RETURNS int LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_made int;
BEGIN
  ALTER TABLE farm.audit DETACH PARTITION farm.audit_rest;
  SELECT count(*) FILTER (WHERE farm.add_audit_month(m.month)) INTO v_made
    FROM (SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date AS month FROM farm.audit_rest) m;
  INSERT INTO farm.audit OVERRIDING SYSTEM VALUE SELECT * FROM farm.audit_rest;
  DROP TABLE farm.audit_rest;
  CREATE TABLE farm.audit_rest PARTITION OF farm.audit DEFAULT;
  CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.audit_rest EXECUTE FUNCTION farm.never();
  RETURN v_made;
END $$;

-- Makes the tables of this month and the next three, and drops those that are kept no longer. It waits for nobody for long, as others
-- wait behind it then: a backup that reads the audit just now is over when this is asked for again.
CREATE FUNCTION farm.tend_audit(OUT o_made int, OUT o_dropped int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET lock_timeout = '2s' AS $$
DECLARE
  v_now timestamp := now() AT TIME ZONE 'UTC';
  v_months int := (SELECT months FROM farm.audit_keep);
  v_month date;
  v_lines bigint;
BEGIN
  o_made := 0;
  o_dropped := 0;
  IF EXISTS (SELECT FROM farm.audit_rest) THEN
    o_made := farm.empty_audit_rest();
  END IF;
  FOR n IN 0..3 LOOP
    o_made := o_made + farm.add_audit_month((date_trunc('month', v_now) + make_interval(months => n))::date)::int;
  END LOOP;
  FOR v_month IN
    SELECT to_date(c.relname, '"audit_"YYYY_MM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'farm.audit'::regclass AND c.relname <> 'audit_rest' ORDER BY 1
  LOOP
    CONTINUE WHEN v_months = 0 OR v_month + make_interval(months => v_months + 1) > v_now;
    EXECUTE format('SELECT count(*) FROM farm.%I', to_char(v_month::timestamp, '"audit_"YYYY_MM')) INTO v_lines;
    EXECUTE format('DROP TABLE farm.%I', to_char(v_month::timestamp, '"audit_"YYYY_MM'));
    PERFORM farm.record(NULL, 'drop audit', 'audit of ' || to_char(v_month::timestamp, 'YYYY-MM'), jsonb_build_object('lines', v_lines));
    o_dropped := o_dropped + 1;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION farm.tend_audit TO farm_janitor;

CREATE FUNCTION farm.keep_audit(p_actor farm.actor, p_months int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_months <> 0 AND p_months NOT BETWEEN 3 AND 1200 THEN
    PERFORM farm.refuse('conflict', 'the audit is kept for 3 months at least, and for 1200 at most; 0 keeps it for ever');
  END IF;
  UPDATE farm.audit_keep SET months = p_months;
  PERFORM farm.record(p_actor, 'keep audit', 'audit', jsonb_build_object('months', p_months));
END $$;

-- As it was, but for indexes of the audit.
CREATE OR REPLACE FUNCTION farm.database_health() RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
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
      -- Nobody looks into most months of the audit.
      WHERE s.schemaname = 'farm' AND s.idx_scan = 0 AND NOT i.indisunique AND s.relname NOT LIKE 'audit\_%'
        AND pg_relation_size(s.indexrelid) > 10485760),
    'queue', jsonb_build_object(
      'ready', (SELECT count(*) FROM farm.ready),
      'leased', (SELECT count(*) FROM farm.lease),
      'submitted', (SELECT count(*) FROM farm.job WHERE state = 'submitted'),
      'oldest_ready', (SELECT extract(epoch FROM clock_timestamp() - min(r.not_before))::bigint FROM farm.ready r WHERE r.not_before <= now())));
END $$;

-- What is there moves into its months, and numbers go on.
SELECT farm.add_audit_month(m::date) FROM generate_series(
  date_trunc('month', (SELECT least(min(at), now()) FROM farm.audit_old) AT TIME ZONE 'UTC'),
  date_trunc('month', now() AT TIME ZONE 'UTC') + interval '3 months', interval '1 month') AS m;
INSERT INTO farm.audit OVERRIDING SYSTEM VALUE SELECT * FROM farm.audit_old;
SELECT setval(pg_get_serial_sequence('farm.audit', 'id'), last_value, is_called) FROM farm.audit_old_id_seq;
DROP TABLE farm.audit_old;

RESET ROLE;
