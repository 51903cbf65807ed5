SET LOCAL ROLE farm_owner;

DROP FUNCTION farm.make_good, farm.forget_lost_files, farm.build_again, farm.jobs_that_miss, farm.missing_files, farm.note_missing,
  farm.lost_with, farm.after_restore, farm.skip_numbers;
DROP TABLE farm.missing, farm.restoration;

RESET ROLE;
