DROP VIEW farm.platform_view, farm.running_view, farm.builder_view, farm.attempt_view, farm.task_view, farm.job_view;
REVOKE ALL ON ALL TABLES IN SCHEMA farm FROM farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA farm FROM farm_web, farm_hub, farm_validator, farm_janitor, farm_publisher, farm_readonly;
