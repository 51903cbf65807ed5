SET LOCAL ROLE farm_owner;
DROP POLICY for_janitors ON farm.artifact;
DROP POLICY for_janitors ON farm.source;
DROP POLICY for_janitors ON farm.task;
DROP POLICY for_janitors ON farm.job;
REVOKE SELECT ON farm.task, farm.ready, farm.job, farm.source, farm.artifact FROM farm_janitor;
REVOKE SELECT (task_id, attempt, builder_id, expires_at, weight) ON farm.lease FROM farm_janitor;
REVOKE SELECT (task_id, number, builder_id, outcome, log_size, log_digest) ON farm.attempt FROM farm_janitor;
REVOKE EXECUTE ON FUNCTION farm.is_final, farm.job_succeeded FROM farm_janitor;
DROP TRIGGER has_sources ON farm.task;
DROP TRIGGER expect_no_more ON farm.lease;
DROP TRIGGER announce ON farm.upload;
CREATE OR REPLACE FUNCTION farm.has_delivered(p_builder int, p_task bigint, p_attempt int, p_token uuid, p_digest farm.sha256, p_size bigint)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM farm.prove(p_builder, p_task, p_attempt, p_token);
  RETURN EXISTS (SELECT FROM farm.delivered d JOIN farm.blob b ON b.digest = d.digest
                 WHERE d.task_id = p_task AND d.attempt = p_attempt AND d.digest = p_digest AND b.size = p_size);
END $$;
CREATE OR REPLACE FUNCTION farm.put_log_together(p_task bigint, p_attempt int, p_digest farm.sha256, p_size bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO farm.blob (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
  UPDATE farm.attempt SET log_digest = p_digest WHERE task_id = p_task AND number = p_attempt AND outcome IS NOT NULL AND log_digest IS NULL;
  IF NOT FOUND THEN
    PERFORM farm.refuse('conflict', format('attempt %s of task %s runs, or has its log sealed', p_attempt, p_task));
  END IF;
  INSERT INTO farm.artifact (task_id, attempt, kind, name, digest, size) VALUES (p_task, p_attempt, 'log', 'build.log.gz', p_digest, p_size);
  DELETE FROM farm.log_chunk WHERE task_id = p_task AND attempt = p_attempt;
END $$;
CREATE OR REPLACE FUNCTION farm.end_upload(p_actor farm.actor, p_upload uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_upload farm.upload;
BEGIN
  DELETE FROM farm.upload WHERE id = p_upload AND person_id = farm.acting(p_actor) RETURNING * INTO v_upload;
  IF NOT FOUND THEN
    PERFORM farm.refuse('not_found', 'there is no such upload of yours; ask for a new one');
  END IF;
  INSERT INTO farm.blob (digest, size) VALUES (v_upload.digest, v_upload.size) ON CONFLICT (digest) DO NOTHING;
  INSERT INTO farm.brought (digest, person_id) VALUES (v_upload.digest, v_upload.person_id) ON CONFLICT DO NOTHING;
  PERFORM farm.record(p_actor, 'upload', 'blob ' || encode(v_upload.digest, 'hex'), jsonb_build_object('size', v_upload.size));
END $$;
CREATE OR REPLACE FUNCTION farm.may_build(p_person int, p_digest farm.sha256) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.brought WHERE digest = p_digest AND person_id = p_person)
      OR EXISTS (SELECT FROM farm.source s WHERE s.digest = p_digest AND farm.sees(p_person, s.job_id));
END $$;
CREATE OR REPLACE FUNCTION farm.known_blob(p_actor farm.actor, p_digest farm.sha256) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN (SELECT size FROM farm.blob WHERE digest = p_digest AND farm.may_build(farm.acting(p_actor), p_digest));
END $$;
CREATE OR REPLACE FUNCTION farm.bytes_of(p_person int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT ((SELECT coalesce(sum(bytes), 0) FROM farm.job WHERE person_id = p_person)
        + (SELECT coalesce(sum(b.size), 0) FROM farm.brought r JOIN farm.blob b ON b.digest = r.digest WHERE r.person_id = p_person
             AND NOT EXISTS (SELECT FROM farm.source s JOIN farm.job j ON j.id = s.job_id
                             WHERE s.digest = r.digest AND j.person_id = p_person))
        + (SELECT coalesce(sum(size), 0) FROM farm.upload WHERE person_id = p_person))::bigint
$$;
CREATE OR REPLACE FUNCTION farm.may_go_again(p_job bigint) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
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
DROP FUNCTION farm.same_token, farm.database_health, farm.gone_files, farm.has_sources, farm.remove_files, farm.expire_files,
  farm.all_files_due, farm.files_due, farm.counted, farm.set_retention, farm.unowned_blobs, farm.sweep_strangers, farm.sweep_blobs,
  farm.mark_blobs, farm.has_owner, farm.forget_files, farm.expect_log, farm.expect_no_more, farm.undecided_jobs, farm.reap_overdue,
  farm.gone_since, farm.note_vanished, farm.end_chore, farm.begin_chore;
DROP TABLE farm.expected;
DROP FUNCTION farm.announce, farm.blob_key;
DROP TABLE farm.chore;
DROP INDEX farm.upload_blob;
DROP INDEX farm.job_kept;
ALTER TABLE farm.job DROP COLUMN gone_at, DROP COLUMN gone_why, DROP COLUMN gone_bytes;
ALTER TABLE farm.bucket DROP COLUMN keep_days, DROP COLUMN keep_builds, DROP COLUMN keep_bytes, DROP COLUMN keep_bytes_each;
ALTER TABLE farm.builder DROP COLUMN gone_at;
ALTER TABLE farm.brought DROP COLUMN touched_at;
ALTER TABLE farm.blob DROP COLUMN unowned_since;
-- The schema before does not know of sources whose bytes are gone.
INSERT INTO farm.blob (digest, size) SELECT DISTINCT ON (digest) digest, gone_size FROM farm.source WHERE gone_size IS NOT NULL ON CONFLICT DO NOTHING;
ALTER TABLE farm.source DROP COLUMN blob, DROP COLUMN gone_size;
ALTER TABLE farm.source ADD CONSTRAINT source_digest_fkey FOREIGN KEY (digest) REFERENCES farm.blob;
RESET ROLE;
