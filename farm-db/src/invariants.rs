//! What is true of every database of the farm, between any two transactions: queries that must answer no row.
//!
//! Tables hold what their constraints say; this is what holds between tables. Each query answers one text per row that
//! breaks the rule, which names it.

use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::Text};

use crate::Result;

/// The rules: a name, and the query that must answer nothing.
pub const INVARIANTS: &[(&str, &str)] = &[
    (
        "a task is leased exactly if there is a lease on it, of its latest attempt",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t FULL JOIN farm.lease l ON l.task_id = t.id
         WHERE (coalesce(t.state, 'waiting') = 'leased') <> (l.task_id IS NOT NULL) OR l.attempt <> t.attempts",
    ),
    (
        "a task is leased exactly if its latest attempt runs, with builder and token of the lease",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t
         LEFT JOIN farm.lease l ON l.task_id = t.id
         LEFT JOIN farm.attempt a ON a.task_id = t.id AND a.outcome IS NULL
         WHERE (t.state = 'leased') <> (a.number IS NOT NULL)
            OR (a.number, a.builder_id) IS DISTINCT FROM (l.attempt, l.builder_id)
            OR (l.task_id IS NOT NULL AND NOT farm.same_token(l.task_id, l.attempt))",
    ),
    (
        "a task is pending exactly if it can be claimed, under its own platform, class and rank",
        "SELECT format('task %s', coalesce(t.id, r.task_id)) AS broken FROM farm.task t
         FULL JOIN farm.ready r ON r.task_id = t.id
         WHERE (t.state = 'pending') <> (r.task_id IS NOT NULL)
            OR (r.task_id IS NOT NULL AND (r.platform, r.class, r.rank) IS DISTINCT FROM (t.platform, t.class, t.rank))",
    ),
    (
        "a builder that has left holds no lease",
        "SELECT format('task %s', l.task_id) AS broken FROM farm.lease l WHERE farm.left_since(l.builder_id) IS NOT NULL",
    ),
    (
        "a task stands in the line and in the lane of its job's class",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t JOIN farm.job j ON j.id = t.job_id
         LEFT JOIN farm.ready r ON r.task_id = t.id
         WHERE t.class <> CASE j.class WHEN 'urgent' THEN 'urgent' ELSE 'normal' END::farm.class
            OR r.background <> (j.class = 'background')",
    ),
    (
        "a task weighs the same in the queue, and under a lease no more",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t LEFT JOIN farm.ready r ON r.task_id = t.id
         LEFT JOIN farm.lease l ON l.task_id = t.id WHERE r.weight <> t.weight OR l.weight > t.weight",
    ),
    (
        "the attempts of a task are numbered from 1 to the number that it remembers",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t LEFT JOIN farm.attempt a ON a.task_id = t.id
         GROUP BY t.id HAVING count(a.number) <> t.attempts OR coalesce(max(a.number), 0) <> t.attempts",
    ),
    (
        "a task succeeded exactly if its latest attempt did",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t
         LEFT JOIN farm.attempt a ON a.task_id = t.id AND a.number = t.attempts
         WHERE (t.state = 'succeeded') <> (coalesce(a.outcome, 'lost') = 'succeeded')",
    ),
    (
        "a task waits exactly as long as the job that it comes after has not ended",
        "SELECT format('task %s', t.id) AS broken FROM farm.task t JOIN farm.job j ON j.id = t.job_id
         WHERE t.state = 'waiting' AND (j.after_job IS NULL OR farm.job_succeeded(j.after_job) IS NOT NULL)",
    ),
    (
        "a job has tasks exactly if it was accepted",
        "SELECT format('job %s', j.id) AS broken FROM farm.job j
         WHERE (j.state = 'accepted') <> EXISTS (SELECT FROM farm.task t WHERE t.job_id = j.id)",
    ),
    (
        "a job is open exactly until it has ended",
        "SELECT format('job %s', id) AS broken FROM farm.job WHERE open <> (farm.job_succeeded(id) IS NULL)",
    ),
    (
        "a job has sources, numbered from 1",
        "SELECT format('job %s', j.id) AS broken FROM farm.job j LEFT JOIN farm.source s ON s.job_id = j.id
         GROUP BY j.id HAVING count(s.id) = 0 OR max(s.position) <> count(s.id)",
    ),
    (
        "a task has used up three attempts at the most that the farm spoilt, and then it failed",
        "SELECT format('task %s', id) AS broken FROM farm.task WHERE faults > 3 OR (faults = 3 AND state <> 'failed')",
    ),
    (
        "a task is set aside exactly if three builders were lost while they were at it",
        "SELECT format('task %s', id) AS broken FROM farm.task WHERE (lost >= 3) <> (set_aside_at IS NOT NULL)",
    ),
    (
        "only an attempt that its builder ended has artifacts, but every one that ended may have its sealed log",
        "SELECT format('attempt %s of task %s', f.attempt, f.task_id) AS broken FROM farm.artifact f
         JOIN farm.attempt a ON a.task_id = f.task_id AND a.number = f.attempt
         WHERE a.outcome IS NULL OR (a.outcome NOT IN ('succeeded', 'failed', 'farm_fault') AND f.kind <> 'log')",
    ),
    (
        "the log of an attempt is in one piece, in a blob or in chunks",
        "SELECT format('attempt %s of task %s', a.number, a.task_id) AS broken FROM farm.attempt a
         LEFT JOIN farm.log_chunk c ON c.task_id = a.task_id AND c.attempt = a.number
         GROUP BY a.task_id, a.number
         HAVING CASE WHEN a.log_digest IS NULL THEN coalesce(sum(c.length), 0) <> a.log_size ELSE count(c.start) > 0 END
             OR coalesce(max(c.start + c.length), 0) <> coalesce(sum(c.length), 0)",
    ),
    (
        "a job keeps all of its sources, or has ended and keeps no files at all",
        "SELECT format('job %s', j.id) AS broken FROM farm.job j JOIN farm.source s ON s.job_id = j.id
         GROUP BY j.id HAVING count(s.blob) <> CASE WHEN j.gone_at IS NULL THEN count(*) ELSE 0 END
         UNION ALL
         SELECT format('job %s', j.id) FROM farm.job j WHERE j.gone_at IS NOT NULL AND (j.open OR EXISTS (
           SELECT FROM farm.task t JOIN farm.artifact f ON f.task_id = t.id WHERE t.job_id = j.id))",
    ),
    (
        "what is announced is announced under a lease, or as the log of an attempt that ended",
        "SELECT format('attempt %s of task %s', e.attempt, e.task_id) AS broken FROM farm.expected e
         JOIN farm.attempt a ON a.task_id = e.task_id AND a.number = e.attempt
         LEFT JOIN farm.lease l ON l.task_id = e.task_id AND l.attempt = e.attempt
         WHERE l.task_id IS NULL AND (a.outcome IS NULL OR a.log_digest IS NOT NULL)",
    ),
];

/// Asks for all of them. Answers a line for each breach: the rule, and what breaks it.
pub fn check(conn: &mut PgConnection) -> Result<Vec<String>> {
    #[derive(QueryableByName)]
    struct Breach {
        #[diesel(sql_type = Text)]
        broken: String,
    }
    let mut breaches = Vec::new();
    for (rule, query) in INVARIANTS {
        let rows: Vec<Breach> = sql_query(*query).load(conn)?;
        breaches.extend(rows.into_iter().map(|row| format!("{rule}: not so for {}", row.broken)));
    }
    Ok(breaches)
}
