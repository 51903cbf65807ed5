SET LOCAL ROLE farm_owner;

-- What a hub asks for many builders at once: who they are, and how they stand. Each is what it was for one, row by row.

-- Which builders come with these tokens; nobody where there is none.
CREATE FUNCTION farm.builders_by_tokens(p_digests bytea[]) RETURNS TABLE (place int, document jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  RETURN QUERY SELECT x.place::int, farm.builder_by_token(x.digest) FROM unnest(p_digests) WITH ORDINALITY AS x(digest, place);
END $$;

-- Builders say how they stand. Answers what an operator wants of each. In the order of the builders, so that of two hubs that are told of
-- the same ones neither waits for the other.
CREATE FUNCTION farm.tell_statuses(p_builders int[], p_instances uuid[], p_reasons text[], p_loads real[], p_processors int[],
  p_memories bigint[], p_disks bigint[], p_files bigint[]) RETURNS TABLE (place int, document jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  v_told record;
BEGIN
  FOR v_told IN
    SELECT * FROM unnest(p_builders, p_instances, p_reasons, p_loads, p_processors, p_memories, p_disks, p_files) WITH ORDINALITY
      AS x(builder_id, instance, reason, load, processors, memory, disk, files, place) ORDER BY x.builder_id, x.place
  LOOP
    place := v_told.place;
    document := farm.tell_status(v_told.builder_id, v_told.instance, v_told.reason, v_told.load, v_told.processors, v_told.memory,
      v_told.disk, v_told.files);
    RETURN NEXT;
  END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION farm.builders_by_tokens, farm.tell_statuses TO farm_hub;

RESET ROLE;
