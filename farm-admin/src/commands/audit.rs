//! `farm-admin audit`.

use anyhow::Context as _;
use clap::{Args, value_parser};
use farm_api::access::{AuditEntry, AuditFilter};
use farm_db::{PgConnection, access};
use jiff::{Span, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value;

use super::connect;
use crate::{farm::FarmArgs, output};

/// Lines that the database gives at once.
const PAGE: u32 = 1000;
/// How much of the details a table shows, in characters.
const DETAILS: usize = 100;

const EXAMPLES: &str = "\
As in the journal the newest line comes last, and -n counts from the newest.
The table cuts long details short; --json has all of them, and the process that wrote the line down.

Examples:
  farm-admin audit --since 2h
  farm-admin audit --object 'job 42'
  farm-admin audit --actor alice@EXAMPLE.ORG --action grant -n 20";

/// Show who did what to what, when, from where, and how that is known
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// Only what this principal did
    #[arg(long, value_name = "PRINCIPAL")]
    actor: Option<String>,
    /// Only what was done to this, as in 'job 42', 'builder host1', 'right submit:scratch'
    #[arg(long)]
    object: Option<String>,
    /// Only deeds of this kind, as in submit, cancel, grant
    #[arg(long)]
    action: Option<String>,
    /// Only what was done since then: 2026-11-25T10:00Z, or '2026-11-25 10:00' in UTC, or a time ago such as 2h or 3d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// At most so many, the newest
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    lines: u32,
}

pub(crate) fn run(farm: &FarmArgs, args: AuditArgs) -> anyhow::Result<()> {
    let lines = args.lines;
    let filter = AuditFilter {
        actor: args.actor,
        object: args.object,
        action: args.action,
        since: args.since,
        before: None,
        limit: None,
    };
    // One more, to know whether there is one more.
    let mut entries = newest(&mut connect(farm)?, filter, lines as usize + 1)?;
    let is_cut = entries.len() > lines as usize;
    entries.truncate(lines as usize);
    entries.reverse();
    if farm.json {
        output::json(&entries)?;
    } else {
        let rows: Vec<_> = entries.iter().map(row).collect();
        output::table(&["WHEN", "WHO", "BY", "FROM", "ACTION", "OBJECT", "DETAILS"], &rows);
    }
    if is_cut {
        eprintln!("there are older lines; -n {} shows more", lines.saturating_mul(10).min(100_000));
    }
    Ok(())
}

/// So many lines, newest first.
fn newest(conn: &mut PgConnection, mut filter: AuditFilter, wanted: usize) -> anyhow::Result<Vec<AuditEntry>> {
    let mut entries = Vec::new();
    while entries.len() < wanted {
        let page = PAGE.min(u32::try_from(wanted - entries.len()).unwrap_or(PAGE));
        filter.limit = Some(page);
        let found = access::audit(conn, &filter)?;
        filter.before = found.last().map(|entry| entry.id);
        let is_last = found.len() < page as usize;
        entries.extend(found);
        if is_last {
            break;
        }
    }
    Ok(entries)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![
        output::time(entry.at),
        entry.actor.clone(),
        entry.way.to_string(),
        entry.address.clone().unwrap_or_default(),
        entry.action.clone(),
        entry.object.clone(),
        details(&entry.details),
    ]
}

/// `bucket=scratch days=90`, cut short.
fn details(details: &Value) -> String {
    let words = details.as_object().into_iter().flatten().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    let text = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(DETAILS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A point in time, or how long ago it was.
fn since(text: &str) -> Result<Timestamp, String> {
    point(text).or_else(|_| ago(text)).map_err(|_| {
        "it takes a time such as 2026-11-25T10:00Z, or '2026-11-25 10:00' in UTC, or how long ago, such as 2h or 3d"
            .to_owned()
    })
}

fn point(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Ok(timestamp);
    }
    // As the tables show it.
    let civil: DateTime = text.trim_end_matches("UTC").trim_end().parse()?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

fn ago(text: &str) -> anyhow::Result<Timestamp> {
    let span: Span = text.parse()?;
    let then = Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(span.abs()).context("too long ago")?;
    Ok(then.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_point_or_as_how_long_ago() {
        let at = |text: &str| since(text).unwrap().to_string();
        assert_eq!(at("2026-11-25T10:00Z"), "2026-11-25T10:00:00Z");
        assert_eq!(at("2026-11-25T10:00+02:00"), "2026-11-25T08:00:00Z");
        assert_eq!(at("2026-11-25 10:00"), "2026-11-25T10:00:00Z");
        assert_eq!(at("2026-11-25"), "2026-11-25T00:00:00Z");
        let shown = output::time(since("2026-11-25T10:00:07Z").unwrap());
        assert_eq!(at(&shown), "2026-11-25T10:00:07Z");
        for (text, hours) in [("2h", 2), ("2h ago", 2), ("3d", 72), ("1h 60m", 2)] {
            let ago = Timestamp::now().duration_since(since(text).unwrap());
            assert!((ago.as_secs() - hours * 3600).abs() < 60, "{text}: {ago}");
        }
        for bad in ["", "yesterday", "10", "2026-13-01"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn details_are_words_and_cut_where_they_are_long() {
        let short = serde_json::json!({ "bucket": "scratch", "tasks": 3, "scopes": ["read"] });
        assert_eq!(details(&short), "bucket=scratch scopes=[\"read\"] tasks=3");
        let long = details(&serde_json::json!({ "recipe": "ü".repeat(500) }));
        assert_eq!((long.chars().count(), long.chars().last()), (DETAILS + 1, Some('…')));
        assert_eq!(details(&serde_json::json!({})), "");
    }
}
