//! The farm's database: schema, queue, leases.

use farm_db::{PgConnection, health, migrate};

use super::{finding::Finding, platforms};
use crate::{commands::conninfo, farm::FarmArgs, up::Layout};

/// Looks at the farm if there is one.
pub(crate) fn check(farm: &FarmArgs, layout: &Layout) -> Vec<Finding> {
    let Ok(conninfo) = conninfo(farm) else {
        let detail = format!("none in {} yet; `farm-admin up` makes one", layout.data().display());
        return vec![Finding::ok("farm", detail)];
    };
    // `up` removes the file when it ends in good order.
    if farm.database.is_none() && !layout.url_file().exists() {
        let start = format!("farm-admin up --data {}", layout.data().display());
        return vec![Finding::warning("farm", format!("the one in {} is down", layout.data().display())).mend(start)];
    }
    match health::connect(&conninfo) {
        Ok(mut conn) => examine(&mut conn, farm, layout),
        Err(error) => {
            let finding = Finding::wrong("database", error.to_string());
            vec![match &farm.database {
                Some(_) => finding,
                None => finding.mend(format!("farm-admin up --data {}", layout.data().display())),
            }]
        }
    }
}

fn examine(conn: &mut PgConnection, farm: &FarmArgs, layout: &Layout) -> Vec<Finding> {
    let mut findings = vec![match migrate::pending(conn) {
        Ok(pending) => schema(farm, layout, &pending),
        Err(error) => Finding::wrong("database", error.to_string()),
    }];
    // Without the schema there is nothing to ask.
    if findings[0].verdict == super::finding::Verdict::Wrong {
        return findings;
    }
    match health::health(conn) {
        Ok(health) => findings.extend([jobs(layout, &health), leases(layout, &health)]),
        Err(error) => findings.push(Finding::wrong("queue", error.to_string())),
    }
    match platforms::check(conn, farm.database.is_none()) {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::wrong("platforms", error.to_string())),
    }
    findings
}

fn schema(farm: &FarmArgs, layout: &Layout, pending: &[String]) -> Finding {
    if pending.is_empty() {
        return Finding::ok("schema", "up to date");
    }
    let which = match &farm.database {
        Some(conninfo) => format!("--database '{conninfo}'"),
        None => format!("--data {}", layout.data().display()),
    };
    let detail = format!("{} migrations are missing: {}", pending.len(), pending.join(", "));
    Finding::wrong("schema", detail).mend(format!("farm-admin migrate {which}"))
}

fn jobs(layout: &Layout, health: &health::Health) -> Finding {
    match health.undecided {
        0 => Finding::ok("validator", "no job waits for a decision"),
        n => {
            Finding::wrong("validator", format!("{n} jobs wait for a decision for more than a minute: is one running?"))
                .mend(format!("tail {}", layout.log("validator").display()))
        }
    }
}

fn leases(layout: &Layout, health: &health::Health) -> Finding {
    match health.expired {
        0 => Finding::ok("janitor", "no lease has run out unnoticed"),
        n => Finding::wrong(
            "janitor",
            format!("{n} leases ran out a minute ago or longer and were not taken back: is one running?"),
        )
        .mend(format!("tail {}", layout.log("janitor").display())),
    }
}
