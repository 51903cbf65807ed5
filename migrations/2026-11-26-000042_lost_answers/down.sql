SET LOCAL ROLE farm_owner;
CREATE OR REPLACE FUNCTION farm.is_blameless(p_lease farm.lease) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN EXISTS (SELECT FROM farm.hub_pulse p WHERE p.at > now() - interval '1 day'
                 AND (p.at < now() - p.lease / 3 OR p.since > p_lease.expires_at - p.lease))
      OR EXISTS (SELECT FROM farm.builder b WHERE b.id = p_lease.builder_id AND b.state <> 'enabled' AND b.out_at IS NULL);
END $$;
RESET ROLE;
