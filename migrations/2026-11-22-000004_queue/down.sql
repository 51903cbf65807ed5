DROP FUNCTION farm.retry_job, farm.cancel_job, farm.cancel_task, farm.seal_log, farm.reap, farm.release, farm.remember_time, farm.finish,
  farm.append_log, farm.stage_began, farm.renew, farm.hold, farm.claim, farm.be_alive, farm.requeue, farm.end_task, farm.end_attempt,
  farm.hello, farm.builder_by_token, farm.platforms_of;
