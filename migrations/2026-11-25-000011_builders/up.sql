SET LOCAL ROLE farm_owner;

-- What builders cause, with a line in the audit, as in the migration before. And what the hub looked up in tables until now is
-- asked of functions that want the lease first: the hub reads no lease, no attempt and no source by itself.

-- A builder comes up, from that address. What an earlier life of it held goes back to the queue at once. Answers how much that was.
ALTER FUNCTION farm.hello RENAME TO begin_life;
REVOKE EXECUTE ON FUNCTION farm.begin_life FROM farm_hub;
CREATE FUNCTION farm.hello(p_builder int, p_address text, p_instance uuid, p_version text, p_arches text[], p_slots int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_lost int;
BEGIN
  v_lost := farm.begin_life(p_builder, p_instance, p_version, p_arches, p_slots);
  UPDATE farm.builder SET address = p_address WHERE id = p_builder AND address IS DISTINCT FROM p_address;
  PERFORM farm.record(farm.builder_actor(p_builder), 'hello', 'builder ' || (SELECT name FROM farm.builder WHERE id = p_builder),
    jsonb_build_object('version', p_version, 'arches', to_jsonb(p_arches), 'slots', p_slots, 'lost', nullif(v_lost, 0)));
  RETURN v_lost;
END $$;

ALTER FUNCTION farm.claim RENAME TO take_tasks;
REVOKE EXECUTE ON FUNCTION farm.take_tasks FROM farm_hub;
CREATE FUNCTION farm.claim(p_builder int, p_instance uuid, p_want int, p_lease interval)
RETURNS TABLE (task_id bigint, attempt int, token uuid, job_id bigint, platform text, timeout_seconds int, recipe jsonb,
  sources jsonb, waited double precision, network boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
  v_actor farm.actor;
BEGIN
  FOR task_id, attempt, token, job_id, platform, timeout_seconds, recipe, sources, waited, network IN
    SELECT t.*, j.network FROM farm.take_tasks(p_builder, p_instance, p_want, p_lease) t JOIN farm.job j ON j.id = t.job_id
  LOOP
    v_actor := coalesce(v_actor, farm.builder_actor(p_builder));
    PERFORM farm.record(v_actor, 'claim', 'task ' || task_id, jsonb_build_object('attempt', attempt));
    RETURN NEXT;
  END LOOP;
END $$;

-- Attempts that end without a word of their builder, or are given back.
ALTER FUNCTION farm.end_attempt RENAME TO close_attempt;
CREATE FUNCTION farm.end_attempt(p_lease farm.lease, p_outcome farm.outcome, p_cause farm.cause, p_message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF p_outcome IN ('lost', 'released') THEN
    PERFORM farm.record(CASE WHEN p_outcome = 'released' THEN farm.builder_actor(p_lease.builder_id) END,
      CASE p_outcome WHEN 'lost' THEN 'reap' ELSE 'release' END, 'task ' || p_lease.task_id,
      jsonb_build_object('attempt', p_lease.attempt, 'builder', p_lease.builder_id, 'message', p_message));
  END IF;
  DELETE FROM farm.delivered WHERE task_id = p_lease.task_id AND attempt = p_lease.attempt;
  RETURN farm.close_attempt(p_lease, p_outcome, p_cause, p_message);
END $$;

-- What was brought under a lease: an attempt ends with that and with nothing else that the farm has.
CREATE TABLE farm.delivered (
  task_id bigint NOT NULL,
  attempt int NOT NULL,
  digest  farm.sha256 NOT NULL REFERENCES farm.blob,
  PRIMARY KEY (task_id, attempt, digest),
  FOREIGN KEY (task_id, attempt) REFERENCES farm.attempt
);
CREATE INDEX delivered_blob ON farm.delivered (digest);

-- A blob is in the store that was brought under a lease.
CREATE FUNCTION farm.deliver(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.hold(p_builder, p_task, p_attempt, p_token);
  INSERT INTO farm.blob (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
  INSERT INTO farm.delivered (task_id, attempt, digest) VALUES (p_task, p_attempt, p_digest) ON CONFLICT DO NOTHING;
END $$;

-- Whether a blob of that size was brought under the lease already.
CREATE FUNCTION farm.has_delivered(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_digest farm.sha256, p_size bigint)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN EXISTS (SELECT FROM farm.delivered d JOIN farm.blob b ON b.digest = d.digest
                 WHERE d.task_id = p_task AND d.attempt = p_attempt AND d.digest = p_digest AND b.size = p_size);
END $$;

-- Ends an attempt with what came of it. Sent again after a lost answer it changes nothing and is no error.
ALTER FUNCTION farm.finish RENAME TO take_result;
REVOKE EXECUTE ON FUNCTION farm.take_result FROM farm_hub;
CREATE FUNCTION farm.finish(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_outcome farm.outcome, p_cause farm.cause,
    p_stage farm.stage, p_message text, p_excerpt jsonb, p_stages jsonb, p_artifacts jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_held boolean := EXISTS (SELECT FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token
                            AND builder_id = p_builder FOR UPDATE);
  v_missing text;
BEGIN
  SELECT string_agg(x.name, ', ') INTO v_missing FROM jsonb_to_recordset(p_artifacts) AS x(name text, digest text)
    WHERE v_held AND NOT EXISTS (SELECT FROM farm.delivered d WHERE d.task_id = p_task AND d.attempt = p_attempt
                                 AND d.digest = decode(x.digest, 'hex'));
  IF v_missing IS NOT NULL THEN
    PERFORM farm.refuse('not_found', format('these artifacts were not delivered, or are of another size: %s', v_missing));
  END IF;
  PERFORM farm.take_result(p_builder, p_task, p_attempt, p_token, p_outcome, p_cause, p_stage, p_message, p_excerpt, p_stages, p_artifacts);
  IF v_held THEN
    DELETE FROM farm.delivered WHERE task_id = p_task AND attempt = p_attempt;
    -- The row of the job is ours already, see farm.jobs_changed.
    UPDATE farm.job SET bytes = bytes + (SELECT coalesce(sum(size), 0) FROM farm.artifact WHERE task_id = p_task AND attempt = p_attempt)
      WHERE id = (SELECT job_id FROM farm.task WHERE id = p_task);
    PERFORM farm.record(farm.builder_actor(p_builder), 'finish', 'task ' || p_task,
      jsonb_build_object('attempt', p_attempt, 'outcome', p_outcome, 'cause', p_cause, 'artifacts', nullif(jsonb_array_length(p_artifacts), 0)));
  END IF;
END $$;

-- Proves a lease, for calls that write nothing.
CREATE FUNCTION farm.prove(p_builder int, p_task bigint, p_attempt int, p_token uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM farm.lease WHERE task_id = p_task AND attempt = p_attempt AND token = p_token AND builder_id = p_builder) THEN
    PERFORM farm.refuse('lease_lost', format('attempt %s of task %s is not yours any more', p_attempt, p_task));
  END IF;
END $$;

-- A source of a task that the builder holds.
CREATE FUNCTION farm.leased_source(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_position int) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN (SELECT jsonb_build_object('digest', encode(s.digest, 'hex'), 'size', b.size)
          FROM farm.task t JOIN farm.source s ON s.job_id = t.job_id JOIN farm.blob b ON b.digest = s.digest
          WHERE t.id = p_task AND s.position = p_position);
END $$;

-- Which of these leases are gone: `cancelled` where somebody withdrew the task; everything else, an unknown attempt too, is `lost`.
CREATE FUNCTION farm.gone(p_builder int, p_tasks bigint[], p_attempts int[], p_tokens uuid[])
RETURNS TABLE (task_id bigint, attempt int, outcome farm.outcome) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT x.task_id, x.attempt, CASE WHEN a.outcome = 'cancelled' THEN 'cancelled' ELSE 'lost' END::farm.outcome
    FROM unnest(p_tasks, p_attempts, p_tokens) AS x(task_id, attempt, token)
    LEFT JOIN farm.attempt a ON a.task_id = x.task_id AND a.number = x.attempt AND a.token = x.token
    WHERE NOT EXISTS (SELECT FROM farm.lease l WHERE l.task_id = x.task_id AND l.attempt = x.attempt AND l.token = x.token
                      AND l.builder_id = p_builder);
END $$;

-- The pieces of a log are put together in a blob, which counts from then on.
ALTER FUNCTION farm.seal_log RENAME TO put_log_together;
REVOKE EXECUTE ON FUNCTION farm.put_log_together FROM farm_janitor;
CREATE FUNCTION farm.seal_log(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.put_log_together(p_task, p_attempt, p_digest, p_size);
  UPDATE farm.job SET bytes = bytes + p_size WHERE id = (SELECT job_id FROM farm.task WHERE id = p_task);
END $$;

-- A repository that was public is lost: it is to be published again.
ALTER FUNCTION farm.publish_again RENAME TO give_reason_to_publish;
REVOKE EXECUTE ON FUNCTION farm.give_reason_to_publish FROM farm_publisher;
CREATE FUNCTION farm.publish_again(p_bucket text, p_platform text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.give_reason_to_publish(p_bucket, p_platform);
  PERFORM farm.record(NULL, 'publish again', 'repository ' || p_bucket || '/' || p_platform, NULL);
END $$;

ALTER FUNCTION farm.published RENAME TO count_publication;
REVOKE EXECUTE ON FUNCTION farm.count_publication FROM farm_publisher;
CREATE FUNCTION farm.published(p_bucket text, p_platform text, p_reasons bigint[], p_packages int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_revision bigint := farm.count_publication(p_bucket, p_platform, p_reasons, p_packages);
BEGIN
  PERFORM farm.record(NULL, 'publish', 'repository ' || p_bucket || '/' || p_platform,
    jsonb_build_object('revision', v_revision, 'packages', p_packages));
  RETURN v_revision;
END $$;

RESET ROLE;
