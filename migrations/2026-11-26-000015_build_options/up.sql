SET LOCAL ROLE farm_owner;

-- What a job may ask of its builds: the words of farm_api::options, checked at the door and kept as a document, which no query
-- looks into but for the rights that it takes.
-- A new label of an enum can be used in the next transaction only: what is given to whom is in the migration that follows.
ALTER TYPE farm.right ADD VALUE IF NOT EXISTS 'define' AFTER 'network';
ALTER TYPE farm.right ADD VALUE IF NOT EXISTS 'external' AFTER 'define';

ALTER TABLE farm.job ADD COLUMN options jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(options) = 'object');

-- What one build of a person may use up, in the words of farm_api::limits; no person: what holds for everybody of whom nothing
-- else is said. What is absent is not bounded here.
CREATE TABLE farm.build_limits (
  person_id int UNIQUE NULLS NOT DISTINCT REFERENCES farm.person,
  limits    jsonb NOT NULL CHECK (jsonb_typeof(limits) = 'object')
);

CREATE FUNCTION farm.build_limits_of(p_person int) RETURNS jsonb LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT coalesce((SELECT limits FROM farm.build_limits WHERE person_id IS NULL), '{}')
      || coalesce((SELECT limits FROM farm.build_limits WHERE person_id = p_person), '{}')
$$;

-- Sets what a build of a person may use up, or for NULL one of everybody; what is absent is not bounded, or as for everybody.
CREATE FUNCTION farm.put_build_limits(p_actor farm.actor, p_principal text, p_limits jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_person int;
BEGIN
  PERFORM farm.require(p_actor, 'admin', NULL);
  IF p_principal IS NOT NULL THEN
    v_person := farm.known_person(p_principal);
  END IF;
  INSERT INTO farm.build_limits (person_id, limits) VALUES (v_person, p_limits)
    ON CONFLICT (person_id) DO UPDATE SET limits = excluded.limits;
  PERFORM farm.record(p_actor, 'set build limits', coalesce('person ' || p_principal, 'everybody'), p_limits);
END $$;

-- Whether that person sees what is in a bucket, whoever asks: farm.sees_bucket shows an operator everything.
CREATE FUNCTION farm.may_use_bucket(p_person int, p_bucket text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.bucket b WHERE b.name = p_bucket AND (b.public OR farm.may(p_person, 'see', b.name)));
END $$;

-- The rights that options take and a person has not, as people give them; NULL: none. A bucket that is not there is one that nobody
-- sees.
CREATE FUNCTION farm.lacks_for_options(p_person int, p_options jsonb) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN (SELECT string_agg(r.text, '”, “' ORDER BY r.text) FROM (
    SELECT 'define' AS text WHERE p_options ?| ARRAY['with', 'without', 'macros'] AND NOT farm.may(p_person, 'define', NULL)
    UNION ALL
    SELECT 'external' WHERE EXISTS (SELECT FROM jsonb_array_elements(p_options->'repositories') r WHERE r ? 'baseurl')
      AND NOT farm.may(p_person, 'external', NULL)
    UNION ALL
    SELECT 'see:' || b.name FROM jsonb_array_elements_text(p_options->'buckets') AS b(name) WHERE NOT farm.may_use_bucket(p_person, b.name)
  ) r);
END $$;

-- Hands in a job, with what it asks of its builds. The answer to a request that came before is what it was then.
ALTER FUNCTION farm.submit RENAME TO submit_plain;
ALTER FUNCTION farm.submit_plain SECURITY INVOKER;
REVOKE EXECUTE ON FUNCTION farm.submit_plain FROM farm_web;
CREATE FUNCTION farm.submit(p_actor farm.actor, p_key text, p_request farm.sha256, p_title text, p_bucket text,
    p_class farm.class, p_targets text, p_timeout int, p_after bigint, p_network boolean, p_names text[], p_digests bytea[],
    p_options jsonb DEFAULT '{}', OUT o_job bigint, OUT o_created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lacks text;
BEGIN
  SELECT s.o_job, s.o_created INTO o_job, o_created FROM farm.submit_plain(p_actor, p_key, p_request, p_title, p_bucket, p_class,
    p_targets, p_timeout, p_after, p_network, p_names, p_digests) s;
  IF NOT o_created OR p_options = '{}' THEN
    RETURN;
  END IF;
  v_lacks := farm.lacks_for_options((SELECT person_id FROM farm.job WHERE id = o_job), p_options);
  IF v_lacks IS NOT NULL THEN
    PERFORM farm.refuse('forbidden', format('%s may not ask that of builds: it takes the right “%s”, which an administrator gives with '
      '`farm-admin grant add RIGHT %s`', (p_actor).principal, v_lacks, (p_actor).principal));
  END IF;
  UPDATE farm.job SET options = p_options WHERE id = o_job;
  PERFORM farm.record(p_actor, 'ask of builds', 'job ' || o_job, p_options);
END $$;
GRANT EXECUTE ON FUNCTION farm.submit TO farm_web;

-- A job is built again with what it asked for, if whoever handed it in has the rights to that still.
ALTER FUNCTION farm.may_go_again RENAME TO may_go_again_plain;
CREATE FUNCTION farm.may_go_again(p_job bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_lacks text;
BEGIN
  PERFORM farm.may_go_again_plain(p_job);
  SELECT farm.lacks_for_options(person_id, options) INTO v_lacks FROM farm.job WHERE id = p_job;
  IF v_lacks IS NOT NULL THEN
    PERFORM farm.refuse('forbidden', format('job %s is not built again: what it asks of its builds takes the right “%s”, which whoever '
      'handed it in has not, or no more', p_job, v_lacks));
  END IF;
END $$;

-- What is asked of the builds of a job, and what a build of who handed it in may use up. For a builder that has just got a task of it.
CREATE FUNCTION farm.asked_of_builds(p_job bigint) RETURNS TABLE (options jsonb, limits jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT j.options, farm.build_limits_of(j.person_id) FROM farm.job j WHERE j.id = p_job;
END $$;

-- Whether a builder may read a bucket's repository for a task that it holds: the job asked for it and its person sees it still, or the
-- platform gives it to every build and everybody sees it. Answers the platform, and whether something that was built before the
-- attempt began is still to be published; NULL: there is no such bucket for this task.
CREATE FUNCTION farm.leased_bucket(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_bucket text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN (
    SELECT jsonb_build_object('platform', t.platform, 'behind', EXISTS (
      SELECT FROM farm.unpublished u WHERE u.bucket = p_bucket AND u.platform = t.platform AND u.at <= a.started_at))
    FROM farm.task t JOIN farm.job j ON j.id = t.job_id JOIN farm.platform p ON p.name = t.platform
      JOIN farm.attempt a ON a.task_id = t.id AND a.number = p_attempt
    WHERE t.id = p_task AND ((j.options->'buckets' ? p_bucket AND farm.may_use_bucket(j.person_id, p_bucket))
                             OR (p.recipe->'buckets' ? p_bucket AND EXISTS (SELECT FROM farm.bucket b WHERE b.name = p_bucket AND b.public))));
END $$;
-- Since when there is a reason to publish: a task that begins later may wait for it.
ALTER TABLE farm.unpublished ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp();
GRANT EXECUTE ON FUNCTION farm.asked_of_builds, farm.leased_bucket TO farm_hub;

-- What a platform gives to every build everybody may see.
CREATE FUNCTION farm.gives_what_is_public() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_hidden text;
BEGIN
  SELECT string_agg(n.name, '”, “' ORDER BY n.name) INTO v_hidden FROM jsonb_array_elements_text(NEW.recipe->'buckets') AS n(name)
    WHERE NOT EXISTS (SELECT FROM farm.bucket b WHERE b.name = n.name AND b.public);
  IF v_hidden IS NOT NULL THEN
    PERFORM farm.refuse('conflict', format('platform %s gives the packages of “%s” to every build, and no bucket of that name is public; '
      'make it public, or leave it out of `buckets`', NEW.name, v_hidden));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER gives_what_is_public BEFORE INSERT OR UPDATE OF recipe ON farm.platform FOR EACH ROW
  WHEN (NEW.recipe ? 'buckets') EXECUTE FUNCTION farm.gives_what_is_public();

-- What a build of a person may use up is told to that person with everything else.
ALTER FUNCTION farm.whoami RENAME TO whoami_plain;
REVOKE EXECUTE ON FUNCTION farm.whoami_plain FROM farm_web;
CREATE FUNCTION farm.whoami(p_principal text) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT farm.whoami_plain(p_principal) || jsonb_build_object('build_limits', farm.build_limits_of(p.id))
          FROM farm.person p WHERE p.principal = p_principal);
END $$;
GRANT EXECUTE ON FUNCTION farm.whoami TO farm_web;

-- Nobody makes a build lighter than its platform says.
CREATE OR REPLACE FUNCTION farm.weight_of(p_job bigint, p_platform text) RETURNS smallint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT least(64, greatest(1, (p.recipe->>'weight')::int, (j.options->>'weight')::int))::smallint
    FROM farm.platform p LEFT JOIN farm.job j ON j.id = p_job WHERE p.name = p_platform
$$;

RESET ROLE;
