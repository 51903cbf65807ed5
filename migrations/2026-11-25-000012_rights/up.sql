SET LOCAL ROLE farm_owner;

-- Which process may do what, as it is from here on. A test compares this with what every role can really do.

GRANT EXECUTE ON FUNCTION farm.submit, farm.cancel_job, farm.retry_job, farm.begin_upload, farm.end_upload, farm.known_blob,
  farm.whoami, farm.caller_by_principal, farm.caller_by_token, farm.log_in, farm.log_out, farm.make_token, farm.revoke_token,
  farm.tokens_of, farm.may, farm.may_change, farm.visible_buckets, farm.sees, farm.sees_bucket, farm.put_bucket, farm.enable_platform, farm.set_builder_state TO farm_web;
-- An upload begins and ends in functions that know who it is; its bytes are touched as they come.
REVOKE INSERT, DELETE, UPDATE, SELECT ON farm.upload FROM farm_web;
REVOKE INSERT ON farm.blob FROM farm_web;
GRANT SELECT, DELETE, UPDATE (touched_at) ON farm.upload TO farm_web;
GRANT SELECT ON farm.audit TO farm_web;
REVOKE EXECUTE ON FUNCTION farm.person_of FROM farm_web;

GRANT EXECUTE ON FUNCTION farm.accept, farm.reject, farm.may TO farm_validator;

GRANT EXECUTE ON FUNCTION farm.hello, farm.claim, farm.finish, farm.prove, farm.leased_source, farm.gone, farm.deliver, farm.has_delivered,
  farm.builder_log_in TO farm_hub;
REVOKE SELECT ON farm.lease, farm.attempt, farm.task, farm.source, farm.blob FROM farm_hub;
REVOKE INSERT ON farm.blob FROM farm_hub;
REVOKE SELECT (task_id, attempt, builder_id, token, expires_at) ON farm.lease FROM farm_hub;
REVOKE SELECT (task_id, number, builder_id, outcome) ON farm.attempt FROM farm_hub;
REVOKE SELECT (id, job_id, platform) ON farm.task FROM farm_hub;

GRANT EXECUTE ON FUNCTION farm.forget_tokens, farm.seal_log TO farm_janitor;
GRANT EXECUTE ON FUNCTION farm.published, farm.publish_again TO farm_publisher;

-- What these three were given at first is more than they read.
REVOKE SELECT ON farm.job_view, farm.task_view, farm.attempt_view, farm.builder_view, farm.running_view, farm.bucket, farm.artifact,
  farm.task, farm.ready, farm.person, farm.platform FROM farm_validator;
REVOKE SELECT ON farm.job_view, farm.task_view, farm.builder_view, farm.running_view, farm.platform_view, farm.bucket, farm.source,
  farm.blob, farm.artifact, farm.job, farm.task, farm.ready, farm.person, farm.platform FROM farm_janitor;
REVOKE SELECT ON farm.job_view, farm.task_view, farm.attempt_view, farm.builder_view, farm.running_view, farm.platform_view,
  farm.bucket, farm.source, farm.blob, farm.ready, farm.person, farm.platform FROM farm_publisher;
REVOKE INSERT ON farm.blob FROM farm_janitor;
REVOKE EXECUTE ON FUNCTION farm.platforms_of, farm.is_final FROM farm_janitor, farm_publisher;
REVOKE EXECUTE ON FUNCTION farm.is_final FROM farm_hub, farm_validator, farm_readonly;

-- Every process may ask who it is.
GRANT EXECUTE ON FUNCTION farm.process TO farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;

-- What a janitor takes away nobody can have touched just now.
ALTER TABLE farm.upload ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON farm.upload TO farm_web USING (true);
CREATE POLICY look ON farm.upload FOR SELECT TO farm_janitor USING (true);
CREATE POLICY stale ON farm.upload FOR DELETE TO farm_janitor USING (touched_at < now() - interval '1 minute');

-- Dashboards see what anybody sees. The views show jobs with the rights of their owner, so dashboards read the tables.
REVOKE SELECT ON farm.job_view, farm.task_view, farm.attempt_view, farm.running_view, farm.ready, farm.person FROM farm_readonly;
REVOKE SELECT ON farm.unpublished FROM farm_web, farm_readonly;
REVOKE SELECT ON farm.blob FROM farm_readonly;
ALTER TABLE farm.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE farm.task ENABLE ROW LEVEL SECURITY;
ALTER TABLE farm.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE farm.artifact ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON farm.job TO farm_web, farm_validator, farm_publisher USING (true);
CREATE POLICY all_of_them ON farm.task TO farm_web, farm_publisher USING (true);
CREATE POLICY all_of_them ON farm.source TO farm_web, farm_validator USING (true);
CREATE POLICY all_of_them ON farm.artifact TO farm_web, farm_publisher USING (true);
CREATE POLICY public_ones ON farm.job TO farm_readonly USING (bucket IN (SELECT b.name FROM farm.bucket b WHERE b.public));
CREATE POLICY public_ones ON farm.task TO farm_readonly USING (EXISTS (SELECT FROM farm.job j WHERE j.id = job_id));
CREATE POLICY public_ones ON farm.source TO farm_readonly USING (EXISTS (SELECT FROM farm.job j WHERE j.id = job_id));
CREATE POLICY public_ones ON farm.artifact TO farm_readonly USING (EXISTS (SELECT FROM farm.task t WHERE t.id = task_id));
GRANT SELECT (id, principal) ON farm.person TO farm_readonly;

RESET ROLE;
