DROP FUNCTION farm.publish_again, farm.published, farm.end_task;
ALTER FUNCTION farm.close_task RENAME TO end_task;
DROP INDEX farm.job_bucket;
DROP TABLE farm.publication, farm.unpublished;
