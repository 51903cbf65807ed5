SET LOCAL ROLE farm_owner;

-- Why a repository (a bucket on a platform) has to be published: one row per reason, written in the transaction that
-- gives the reason, deleted once a repository with it is public. Rows, because a counter would make all that end at the
-- same time wait for each other, and a time or number to compare with would miss what commits late.
CREATE TABLE farm.unpublished (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bucket   farm.slug NOT NULL,
  platform text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX unpublished_repository ON farm.unpublished (bucket, platform);

-- What is public.
CREATE TABLE farm.publication (
  bucket       farm.slug NOT NULL REFERENCES farm.bucket,
  platform     text NOT NULL REFERENCES farm.platform,
  revision     bigint NOT NULL DEFAULT 1 CHECK (revision > 0),   -- how often it was published
  packages     int NOT NULL CHECK (packages >= 0),
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (bucket, platform)
);

CREATE INDEX job_bucket ON farm.job (bucket, id);

-- A task that succeeds has packages to publish. What ended a task until now is wrapped, not repeated.
ALTER FUNCTION farm.end_task RENAME TO close_task;
CREATE FUNCTION farm.end_task(p_task bigint, p_state farm.task_state, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  v_job bigint := farm.close_task(p_task, p_state, p_cause, p_message);
BEGIN
  IF p_state = 'succeeded' THEN
    INSERT INTO farm.unpublished (bucket, platform)
      SELECT j.bucket, t.platform FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.id = p_task;
  END IF;
  RETURN v_job;
END $$;

-- A repository is public that takes care of these reasons. Answers its revision.
CREATE FUNCTION farm.published(p_bucket text, p_platform text, p_reasons bigint[], p_packages int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_revision bigint;
BEGIN
  DELETE FROM farm.unpublished WHERE id = ANY (p_reasons) AND bucket = p_bucket AND platform = p_platform;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('the repository of %s on %s was published by somebody else in the meantime; '
      'all publishers must share one folder', p_bucket, p_platform));
  END IF;
  INSERT INTO farm.publication AS p (bucket, platform, packages) VALUES (p_bucket, p_platform, p_packages)
    ON CONFLICT (bucket, platform) DO UPDATE
    SET revision = p.revision + 1, packages = excluded.packages, published_at = now()
    RETURNING revision INTO v_revision;
  RETURN v_revision;
END $$;

-- A repository that was public is lost: it is to be published again.
CREATE FUNCTION farm.publish_again(p_bucket text, p_platform text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.unpublished (bucket, platform)
    SELECT bucket, platform FROM farm.publication WHERE bucket = p_bucket AND platform = p_platform;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', format('nothing of %s was ever published on %s', p_bucket, p_platform));
  END IF;
END $$;

-- What succeeded before there was a publisher.
INSERT INTO farm.unpublished (bucket, platform)
  SELECT DISTINCT j.bucket, t.platform FROM farm.task t JOIN farm.job j ON j.id = t.job_id WHERE t.state = 'succeeded';

GRANT SELECT ON farm.publication, farm.unpublished TO farm_publisher, farm_web, farm_readonly;
GRANT EXECUTE ON FUNCTION farm.published, farm.publish_again TO farm_publisher;

RESET ROLE;
