SET LOCAL ROLE farm_owner;

-- What waits for each platform, and who is there to build it: for whoever starts and stops builders. It is asked often, so it counts to
-- p_most in each line and no further, and takes the first thousand tasks for what the others are like. Times are slots times milliseconds.
CREATE FUNCTION farm.demand(p_most int) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN jsonb_build_object(
    'platforms', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('name', p.name, 'urgent', u.count, 'normal', n.count,
          'oldest_seconds', CASE WHEN u.count + n.count > 0 THEN greatest(0, extract(epoch FROM now() - least(u.oldest, n.oldest))::bigint) END,
          'ready_cost', (u.count + n.count) * coalesce(h.cost, 0)::bigint, 'used', r.used, 'running_cost', r.cost) ORDER BY p.name), '[]')
      FROM farm.platform p
      CROSS JOIN LATERAL (SELECT count(*) AS count, min(x.not_before) AS oldest FROM (
        SELECT not_before FROM farm.ready WHERE platform = p.name AND class = 'urgent' LIMIT p_most) x) u
      CROSS JOIN LATERAL (SELECT count(*) AS count, min(x.not_before) AS oldest FROM (
        SELECT not_before FROM farm.ready WHERE platform = p.name AND class = 'normal' LIMIT p_most) x) n
      CROSS JOIN LATERAL (SELECT avg(t.cost) AS cost FROM (
        SELECT task_id FROM farm.ready WHERE platform = p.name ORDER BY class, rank, task_id LIMIT 1000) x
        JOIN farm.task t ON t.id = x.task_id) h
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(l.weight), 0)::int AS used,
               coalesce(sum(greatest(0, t.cost - extract(epoch FROM now() - a.started_at) * 1000 * l.weight)), 0)::bigint AS cost
        FROM farm.lease l JOIN farm.task t ON t.id = l.task_id JOIN farm.attempt a ON a.task_id = l.task_id AND a.number = l.attempt
        WHERE t.platform = p.name) r),
    'builders', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('slots', b.slots, 'used', b.used, 'serves', b.serves)), '[]')
      FROM farm.builder_view b WHERE b.state = 'enabled' AND b.alive));
END $$;

GRANT EXECUTE ON FUNCTION farm.demand TO farm_janitor;

RESET ROLE;
