DROP SCHEMA farm;
ALTER DEFAULT PRIVILEGES FOR ROLE farm_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
-- The roles stay: other databases of the cluster may use them.
