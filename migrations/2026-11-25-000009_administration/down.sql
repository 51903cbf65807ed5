DROP FUNCTION farm.set_builder_state, farm.put_builder, farm.enable_platform, farm.put_platform, farm.put_bucket, farm.known_object,
  farm.set_grant, farm.set_member, farm.remove_group, farm.put_group, farm.known_group, farm.known_person, farm.put_limits,
  farm.put_person;
