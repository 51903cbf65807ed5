SET LOCAL ROLE farm_owner;

-- A spec can define every macro and set every condition by itself, so a job that does so from outside can do nothing that whoever
-- hands it in could not do anyway. Repositories that are not the farm's are another thing: nobody vouches for what is in them,
-- and the builder reads them with its own network. Those nobody may name who was not given the right to.
INSERT INTO farm.grant (what) VALUES ('define');

RESET ROLE;
