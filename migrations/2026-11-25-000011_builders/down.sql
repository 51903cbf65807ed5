DROP FUNCTION farm.published;
ALTER FUNCTION farm.count_publication RENAME TO published;
GRANT EXECUTE ON FUNCTION farm.published TO farm_publisher;
DROP FUNCTION farm.gone, farm.leased_source, farm.prove, farm.finish, farm.end_attempt, farm.claim, farm.hello;
ALTER FUNCTION farm.take_result RENAME TO finish;
ALTER FUNCTION farm.close_attempt RENAME TO end_attempt;
ALTER FUNCTION farm.take_tasks RENAME TO claim;
ALTER FUNCTION farm.begin_life RENAME TO hello;
GRANT EXECUTE ON FUNCTION farm.hello, farm.claim, farm.finish TO farm_hub;
