REVOKE SELECT ON farm.build_time FROM farm_web;
