-- One role per process, with rights to exactly what it needs (granted in the migrations that make the things).
-- Roles belong to the whole cluster, so they may be there already.
DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['farm_owner', 'farm_web', 'farm_hub', 'farm_validator', 'farm_janitor', 'farm_publisher', 'farm_readonly'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I %s', v_role, CASE WHEN v_role = 'farm_owner' THEN 'NOLOGIN' ELSE 'LOGIN' END);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      -- It is there, or another database of the cluster makes it in this moment.
    END;
  END LOOP;
END $$;

CREATE SCHEMA farm AUTHORIZATION farm_owner;
-- A function is nobody's until it is granted.
ALTER DEFAULT PRIVILEGES FOR ROLE farm_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA farm TO farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;
