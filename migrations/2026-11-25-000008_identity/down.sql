DROP FUNCTION farm.builder_log_in;
CREATE OR REPLACE FUNCTION farm.builder_by_token(p_digest farm.sha256) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT jsonb_build_object('id', id, 'name', name) FROM farm.builder WHERE token_digest = p_digest
$$;
DROP FUNCTION farm.forget_tokens, farm.tokens_of, farm.revoke_token, farm.make_token, farm.log_out, farm.log_in,
  farm.caller_by_token, farm.caller_by_principal, farm.right_text, farm.whoami;
