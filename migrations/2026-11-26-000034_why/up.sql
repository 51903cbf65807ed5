SET LOCAL ROLE farm_owner;

-- Whoever asks why a task waits is told how long it is expected to take, and from how many builds that is known.
GRANT SELECT ON farm.build_time TO farm_web;

RESET ROLE;
