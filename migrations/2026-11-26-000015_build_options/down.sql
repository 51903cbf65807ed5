SET LOCAL ROLE farm_owner;

DROP TRIGGER gives_what_is_public ON farm.platform;
DROP FUNCTION farm.gives_what_is_public;
DROP FUNCTION farm.whoami;
ALTER FUNCTION farm.whoami_plain RENAME TO whoami;
GRANT EXECUTE ON FUNCTION farm.whoami TO farm_web;
DROP FUNCTION farm.leased_bucket, farm.asked_of_builds;
ALTER TABLE farm.unpublished DROP COLUMN at;
DROP FUNCTION farm.may_go_again;
ALTER FUNCTION farm.may_go_again_plain RENAME TO may_go_again;
DROP FUNCTION farm.submit;
ALTER FUNCTION farm.submit_plain SECURITY DEFINER;
ALTER FUNCTION farm.submit_plain RENAME TO submit;
GRANT EXECUTE ON FUNCTION farm.submit TO farm_web;
DROP FUNCTION farm.lacks_for_options, farm.may_use_bucket, farm.put_build_limits, farm.build_limits_of;
DROP TABLE farm.build_limits;
CREATE OR REPLACE FUNCTION farm.weight_of(p_job bigint, p_platform text) RETURNS smallint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT least(64, greatest(1, coalesce((recipe->>'weight')::int, 1)))::smallint FROM farm.platform WHERE name = p_platform
$$;
ALTER TABLE farm.job DROP COLUMN options;
-- PostgreSQL takes no label out of an enum; without grants the two that came mean nothing.
DELETE FROM farm.grant WHERE what::text IN ('define', 'external');

RESET ROLE;
