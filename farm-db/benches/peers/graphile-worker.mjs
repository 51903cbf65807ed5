// graphile-worker with its defaults and jobs that do nothing: node graphile-worker.mjs DATABASE WORKERS SECONDS
import { Logger, run, runMigrations } from "graphile-worker";
import pg from "pg";

const [connectionString, workers, seconds] = process.argv.slice(2);
const logger = new Logger(() => () => {});
const JOBS = 6000 * seconds;

const client = new pg.Client({ connectionString });
await client.connect();
await runMigrations({ connectionString, logger });
const { rows } = await client.query("SELECT count(*)::int AS count FROM graphile_worker.jobs");
await client.query("SELECT count(graphile_worker.add_job('nothing')) FROM generate_series(1, $1::int)", [
  Math.max(0, JOBS - rows[0].count),
]);
await client.query("VACUUM ANALYZE");
await client.end();

let done = 0;
let begun;
const beginning = new Promise((resolve) => { begun = resolve; });
const runner = await run({
  connectionString,
  logger,
  concurrency: Number(workers),
  maxPoolSize: Number(workers),
  noHandleSignals: true,
  taskList: {
    nothing: async () => {
      if (begun) {
        // What its start takes is not counted.
        console.log("go");
        begun();
        begun = undefined;
      }
      done += 1;
    },
  },
});
await beginning;
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
console.log(String(done));
await runner.stop();
