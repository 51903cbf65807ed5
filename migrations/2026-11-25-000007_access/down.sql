DROP FUNCTION farm.access_changed, farm.limits_of, farm.require, farm.acting, farm.visible_buckets, farm.sees_bucket, farm.sees, farm.may;
DROP VIEW farm.membership;
DROP FUNCTION farm.matches, farm.builder_actor, farm.record, farm.process;
DROP TABLE farm.audit, farm.brought, farm.token, farm.grant, farm.member_rule, farm.member, farm.group, farm.limits;
DROP FUNCTION farm.never;
ALTER TABLE farm.builder DROP COLUMN principal, DROP COLUMN address;
ALTER TABLE farm.bucket DROP COLUMN public;
ALTER TABLE farm.person DROP COLUMN enabled, DROP COLUMN jobs_waiting, DROP COLUMN uploads, DROP COLUMN bytes, DROP COLUMN sources;
DROP TYPE farm.actor, farm.token_kind, farm.right, farm.scope, farm.way;
