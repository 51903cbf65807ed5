DROP FUNCTION farm.demand;
