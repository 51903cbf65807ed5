// pg-boss by fetch and complete, one by one: node pg-boss.mjs DATABASE WORKERS SECONDS
import PgBoss from "pg-boss";

const [connectionString, workers, seconds] = process.argv.slice(2);
const JOBS = 2500 * seconds;

const boss = new PgBoss({ connectionString, max: Number(workers), supervise: false, schedule: false });
await boss.start();
await boss.createQueue("nothing");
const missing = Math.max(0, JOBS - (await boss.getQueueSize("nothing")));
for (let put = 0; put < missing; put += 1000) {
  await boss.insert(Array.from({ length: Math.min(1000, missing - put) }, () => ({ name: "nothing" })));
}
await boss.getDb().executeSql("VACUUM ANALYZE");

let done = 0;
console.log("go");
const end = Date.now() + seconds * 1000;
const work = async () => {
  while (Date.now() < end) {
    const [job] = await boss.fetch("nothing");
    if (job) {
      await boss.complete("nothing", job.id);
      done += 1;
    }
  }
};
await Promise.all(Array.from({ length: Number(workers) }, work));
console.log(String(done));
await boss.stop({ graceful: false });
