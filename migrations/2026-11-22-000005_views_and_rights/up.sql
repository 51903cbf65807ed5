SET LOCAL ROLE farm_owner;

-- What people see of a job: its progress is derived from its tasks and stored nowhere.
CREATE VIEW farm.job_view AS
  SELECT j.id, j.key, p.principal AS person, j.title, j.bucket::text AS bucket, j.class::text AS class, j.targets,
         j.after_job, j.reasons, j.warnings, j.submitted_at,
         CASE WHEN j.state <> 'accepted' THEN j.state::text
              WHEN t.total = t.succeeded THEN 'succeeded'
              WHEN t.total = t.ended THEN CASE WHEN t.failed > 0 THEN 'failed' ELSE 'cancelled' END
              WHEN t.leased + t.ended > 0 THEN 'running'
              ELSE 'queued' END AS progress,
         coalesce(t.succeeded, 0) AS succeeded, coalesce(t.total, 0) AS total,
         CASE WHEN j.state IN ('rejected', 'cancelled') THEN j.decided_at
              WHEN t.total = t.ended THEN t.finished_at END AS finished_at
  FROM farm.job j JOIN farm.person p ON p.id = j.person_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'leased') AS leased,
           count(*) FILTER (WHERE farm.is_final(state)) AS ended, max(finished_at) AS finished_at
    FROM farm.task WHERE job_id = j.id) t;

-- A task with its latest attempt.
CREATE VIEW farm.task_view AS
  SELECT t.id, t.job_id, t.platform, t.state::text AS state, t.class::text AS class, t.rank, t.cause::text AS cause,
         a.stage::text AS stage,
         CASE WHEN t.state = 'waiting' THEN 'waits for job ' || j.after_job
              ELSE t.message END AS message,
         CASE WHEN t.state = 'failed' THEN a.excerpt ELSE '[]' END AS excerpt,
         b.name::text AS builder, t.attempts, t.faults, t.created_at, t.started_at, t.finished_at, j.title, r.not_before
  FROM farm.task t JOIN farm.job j ON j.id = t.job_id
  LEFT JOIN farm.attempt a ON a.task_id = t.id AND a.number = t.attempts
  LEFT JOIN farm.builder b ON b.id = a.builder_id
  LEFT JOIN farm.ready r ON r.platform = t.platform AND r.class = t.class AND r.rank = t.rank AND r.task_id = t.id;

CREATE VIEW farm.attempt_view AS
  SELECT a.task_id, a.number, b.name::text AS builder, a.outcome::text AS outcome, a.cause::text AS cause,
         a.stage::text AS stage, a.message, a.excerpt, a.stages, a.started_at, a.finished_at, a.log_size, a.log_digest
  FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id;

CREATE VIEW farm.builder_view AS
  SELECT b.id, b.name::text AS name, b.state::text AS state, b.reason, b.platforms, b.version, b.arches, b.slots, b.last_seen_at,
         coalesce(b.last_seen_at > now() - interval '2 minutes', false) AS alive,
         (SELECT count(*) FROM farm.lease l WHERE l.builder_id = b.id) AS running,
         farm.platforms_of(b.id) AS serves
  FROM farm.builder b;

CREATE VIEW farm.running_view AS
  SELECT l.task_id, l.attempt, t.job_id, t.platform, j.title, b.name::text AS builder, a.stage::text AS stage, a.started_at,
         l.expires_at
  FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.job j ON j.id = t.job_id
  JOIN farm.builder b ON b.id = l.builder_id JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt;

CREATE VIEW farm.platform_view AS
  SELECT p.name, p.recipe, p.recipe->>'description' AS description, p.enabled, p.auto,
         (SELECT count(*) FROM farm.ready r WHERE r.platform = p.name) AS pending,
         (SELECT count(*) FROM farm.lease l JOIN farm.task t ON t.id = l.task_id WHERE t.platform = p.name) AS running,
         (SELECT count(*) FROM farm.builder_view b WHERE b.alive AND p.name = ANY (b.serves)) AS builders
  FROM farm.platform p;

-- Rights. What a role is not given here it does not have; the functions run as their owner.
-- Secrets (builder.token_digest, attempt.token, lease.token) are in no view.
GRANT SELECT ON farm.job_view, farm.task_view, farm.attempt_view, farm.builder_view, farm.running_view, farm.platform_view,
  farm.bucket, farm.source, farm.blob, farm.artifact, farm.job, farm.task, farm.ready, farm.person
  TO farm_web, farm_validator, farm_janitor, farm_publisher, farm_readonly;
GRANT SELECT ON farm.platform TO farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;
GRANT EXECUTE ON FUNCTION farm.platforms_of, farm.is_final TO farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;

GRANT EXECUTE ON FUNCTION farm.submit, farm.cancel_job, farm.retry_job, farm.person_of TO farm_web;
GRANT SELECT ON farm.log_chunk TO farm_web, farm_janitor;
GRANT INSERT ON farm.blob TO farm_web, farm_hub, farm_janitor;
GRANT SELECT, INSERT, DELETE, UPDATE (touched_at) ON farm.upload TO farm_web;

GRANT EXECUTE ON FUNCTION farm.take_submitted, farm.accept, farm.reject, farm.postpone TO farm_validator;

GRANT EXECUTE ON FUNCTION farm.builder_by_token, farm.hello, farm.claim, farm.renew, farm.stage_began, farm.append_log, farm.finish, farm.release
  TO farm_hub;
GRANT SELECT ON farm.blob, farm.source TO farm_hub;
GRANT SELECT (task_id, attempt, builder_id, token, expires_at) ON farm.lease TO farm_hub;
GRANT SELECT (task_id, number, builder_id, outcome) ON farm.attempt TO farm_hub;
GRANT SELECT (id, job_id, platform) ON farm.task TO farm_hub;
GRANT SELECT (platform, task_id, not_before) ON farm.ready TO farm_hub;

GRANT EXECUTE ON FUNCTION farm.reap, farm.seal_log TO farm_janitor;
GRANT SELECT, DELETE ON farm.upload TO farm_janitor;

RESET ROLE;
