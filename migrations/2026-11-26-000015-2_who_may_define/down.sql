SET LOCAL ROLE farm_owner;

DELETE FROM farm.grant WHERE what IN ('define', 'external');

RESET ROLE;
