SET LOCAL ROLE farm_owner;
DROP FUNCTION farm.finish_with_record, farm.likes, farm.leased_like, farm.like_of, farm.build_like;
ALTER TABLE farm.job DROP COLUMN like_attempt, DROP COLUMN like_task;
DROP VIEW farm.attempt_view;
ALTER TABLE farm.attempt DROP COLUMN marks, DROP COLUMN written_bytes, DROP COLUMN cpu_milliseconds, DROP COLUMN peak_memory_bytes;
CREATE VIEW farm.attempt_view AS
  SELECT a.task_id, a.number, b.name::text AS builder, a.outcome::text AS outcome, a.cause::text AS cause,
         a.stage::text AS stage, a.message, a.excerpt, a.stages, a.started_at, a.finished_at, a.log_size, a.log_digest
  FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id;
GRANT SELECT ON farm.attempt_view TO farm_web, farm_janitor;
RESET ROLE;
