DROP TABLE farm.build_time, farm.share, farm.log_chunk, farm.artifact, farm.lease, farm.attempt, farm.ready, farm.task,
  farm.source, farm.job, farm.upload, farm.blob, farm.builder, farm.platform, farm.bucket, farm.person;
DROP DOMAIN farm.slug, farm.sha256;
DROP TYPE farm.artifact_kind, farm.stage, farm.cause, farm.outcome, farm.builder_state, farm.class, farm.task_state,
  farm.job_state;
