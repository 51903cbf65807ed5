DROP FUNCTION farm.postpone, farm.reject, farm.jobs_changed, farm.stop_waiting, farm.give_up_waiting, farm.accept, farm.job_succeeded,
  farm.make_ready, farm.expected_cost, farm.place, farm.take_submitted, farm.submit, farm.person_of, farm.is_final,
  farm.refuse;
