SET LOCAL ROLE farm_owner;

-- As it was, but an attempt also says nothing where its builder never heard of it: the answer that handed it out got lost, or went to a copy of
-- the request. The builder lives on in the same life and is heard of, and has not begun the first stage, which it tells at once.
CREATE OR REPLACE FUNCTION farm.is_blameless(p_lease farm.lease) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.hub_pulse p WHERE p.at > now() - interval '1 day'
                 AND (p.at < now() - p.lease / 3 OR p.since > p_lease.expires_at - p.lease))
      OR EXISTS (SELECT FROM farm.builder b WHERE b.id = p_lease.builder_id AND b.state <> 'enabled' AND b.out_at IS NULL)
      OR EXISTS (SELECT FROM farm.attempt a JOIN farm.builder b ON b.id = a.builder_id
                 WHERE a.task_id = p_lease.task_id AND a.number = p_lease.attempt AND a.stage IS NULL
                   AND b.instance = p_lease.instance AND b.last_seen_at > a.started_at + interval '15 seconds');
END $$;

RESET ROLE;
