-- One role per process, with rights to exactly what it needs (granted in the migrations that make the things).
-- Roles belong to the whole cluster, so they may be there already.
DO $$
DECLARE
  login text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'farm_owner') THEN
    CREATE ROLE farm_owner NOLOGIN;
  END IF;
  FOREACH login IN ARRAY ARRAY['farm_web', 'farm_hub', 'farm_validator', 'farm_janitor', 'farm_publisher', 'farm_readonly'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', login);
    END IF;
  END LOOP;
END $$;

CREATE SCHEMA farm AUTHORIZATION farm_owner;
-- A function is nobody's until it is granted.
ALTER DEFAULT PRIVILEGES FOR ROLE farm_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA farm TO farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;
