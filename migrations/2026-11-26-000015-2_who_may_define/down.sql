SET LOCAL ROLE farm_owner;

-- What was given to whom since is not ours.
DELETE FROM farm.grant WHERE what = 'define' AND num_nonnulls(object, person_id, group_id) = 0;

RESET ROLE;
