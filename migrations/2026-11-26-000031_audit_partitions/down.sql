SET LOCAL ROLE farm_owner;

DROP FUNCTION farm.keep_audit, farm.tend_audit, farm.empty_audit_rest, farm.add_audit_month;
DROP TABLE farm.audit_keep;

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
      WHERE s.schemaname = 'farm' AND s.idx_scan = 0 AND NOT i.indisunique AND pg_relation_size(s.indexrelid) > 10485760),
    'queue', jsonb_build_object(
      'ready', (SELECT count(*) FROM farm.ready),
      'leased', (SELECT count(*) FROM farm.lease),
      'submitted', (SELECT count(*) FROM farm.job WHERE state = 'submitted'),
      'oldest_ready', (SELECT extract(epoch FROM clock_timestamp() - min(r.not_before))::bigint FROM farm.ready r WHERE r.not_before <= now())));
END $$;

ALTER TABLE farm.audit RENAME TO audit_old;
ALTER TABLE farm.audit_old RENAME CONSTRAINT audit_pkey TO audit_old_pkey;
ALTER SEQUENCE farm.audit_id_seq RENAME TO audit_old_id_seq;
DROP INDEX farm.audit_actor, farm.audit_object;

CREATE TABLE farm.audit (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor   text NOT NULL,
  way     farm.way NOT NULL,
  address text,
  action  text NOT NULL,
  object  text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  process text NOT NULL
);
INSERT INTO farm.audit OVERRIDING SYSTEM VALUE SELECT * FROM farm.audit_old ORDER BY id;
SELECT setval(pg_get_serial_sequence('farm.audit', 'id'), last_value, is_called) FROM farm.audit_old_id_seq;
DROP TABLE farm.audit_old;
CREATE INDEX audit_actor ON farm.audit (actor, id);
CREATE INDEX audit_object ON farm.audit (object, id);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON farm.audit EXECUTE FUNCTION farm.never();
GRANT SELECT ON farm.audit TO farm_web;

RESET ROLE;
