SET LOCAL ROLE farm_owner;

DROP FUNCTION farm.tell_statuses, farm.builders_by_tokens;

RESET ROLE;
