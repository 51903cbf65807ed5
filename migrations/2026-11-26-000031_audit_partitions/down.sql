SET LOCAL ROLE farm_owner;

DROP FUNCTION farm.keep_audit, farm.tend_audit, farm.empty_audit_rest, farm.add_audit_month;
DROP TABLE farm.audit_keep;

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
