//! `farm-admin bucket`.

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};
use farm_api::people::{Bucket, Keep};
use farm_db::{PgConnection, operator};
use farm_types::{BucketName, Size};

use super::{connect, limit::bytes, operator_account};
use crate::{farm::FarmArgs, output};

#[derive(Subcommand)]
pub(crate) enum BucketCommand {
    /// List all buckets
    List,
    /// Make a bucket
    Add(AddArgs),
    /// Change a bucket; what is not named stays as it is
    Set(SetArgs),
}

#[derive(Args)]
pub(crate) struct AddArgs {
    bucket: BucketName,
    /// One line for people
    #[arg(long)]
    description: Option<String>,
    /// Show what is in it only to those with the right “see” or “own”, and to whoever handed it in
    #[arg(long)]
    private: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["description", "public", "private",
    "keep_days", "keep_builds", "keep_bytes", "keep_bytes_each"]))]
pub(crate) struct SetArgs {
    bucket: BucketName,
    /// One line for people
    #[arg(long)]
    description: Option<String>,
    /// Show what is in it to everybody
    #[arg(long, conflicts_with = "private")]
    public: bool,
    /// Show what is in it only to those with the right “see” or “own”, and to whoever handed it in
    #[arg(long)]
    private: bool,
    #[command(flatten)]
    keep: KeepArgs,
}

/// How long it keeps the files of jobs, which are their sources, results and logs. What is known of the jobs stays.
#[derive(Args)]
pub(crate) struct KeepArgs {
    /// For so many days after a job ended; “forever” takes the bound away
    #[arg(long, value_name = "N", value_parser = number)]
    keep_days: Option<i64>,
    /// Of each package on each platform the last N that were built, and the last N that could not be; or “forever”
    #[arg(long, value_name = "N", value_parser = number)]
    keep_builds: Option<i64>,
    /// The newest up to so many bytes together, such as 500G; or “forever”
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep_bytes: Option<i64>,
    /// The newest of each person up to so many bytes together; or “forever”
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep_bytes_each: Option<i64>,
}

impl KeepArgs {
    fn named(&self) -> Option<Keep> {
        let keep = Keep {
            days: self.keep_days,
            builds: self.keep_builds,
            bytes: self.keep_bytes,
            bytes_each: self.keep_bytes_each,
        };
        (!keep.is_forever()).then_some(keep)
    }
}

/// The word that takes a bound away; the database takes 0 for that.
const FOREVER: &str = "forever";

fn number(text: &str) -> Result<i64, String> {
    match text.parse::<i32>() {
        _ if text == FOREVER => Ok(0),
        Ok(number) if number > 0 => Ok(number.into()),
        _ => Err(format!("a number from 1 on, or “{FOREVER}”")),
    }
}

fn size(text: &str) -> Result<i64, String> {
    match bytes(text) {
        _ if text == FOREVER => Ok(0),
        Ok(0) => Err(format!("a size from 1 on, or “{FOREVER}”")),
        other => other,
    }
}

pub(crate) fn run(farm: &FarmArgs, command: BucketCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    let actor = operator_account();
    match command {
        BucketCommand::List => list(farm, &operator::buckets(&mut conn)?)?,
        BucketCommand::Add(AddArgs { bucket, description, private }) => {
            if is_known(&mut conn, &bucket)? {
                bail!("there is a bucket “{bucket}” already; `farm-admin bucket set {bucket}` changes it");
            }
            operator::put_bucket(&mut conn, &actor, &bucket, description.as_deref(), Some(!private))?;
            println!("added {bucket}");
        }
        BucketCommand::Set(SetArgs { bucket, description, public, private, keep }) => {
            if !is_known(&mut conn, &bucket)? {
                bail!("there is no bucket “{bucket}”; `farm-admin bucket add {bucket}` makes one");
            }
            let public = (public || private).then_some(public);
            if description.is_some() || public.is_some() {
                operator::put_bucket(&mut conn, &actor, &bucket, description.as_deref(), public)?;
            }
            if let Some(keep) = keep.named() {
                operator::set_retention(&mut conn, &actor, &bucket, &keep)?;
            }
            println!("changed {bucket}");
        }
    }
    Ok(())
}

fn is_known(conn: &mut PgConnection, bucket: &BucketName) -> anyhow::Result<bool> {
    Ok(operator::buckets(conn)?.iter().any(|known| known.name == *bucket))
}

fn list(farm: &FarmArgs, buckets: &[Bucket]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(buckets);
    }
    let row = |b: &Bucket| vec![b.name.to_string(), output::yes(b.public), kept(&b.keep), b.description.clone()];
    output::table(&["BUCKET", "PUBLIC", "KEEPS", "DESCRIPTION"], &buckets.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

/// How long a bucket keeps files, in few words.
fn kept(keep: &Keep) -> String {
    let size = |bytes: i64| Size(bytes.unsigned_abs());
    let bounds: Vec<_> = [
        keep.days.map(|n| format!("{n} days")),
        keep.builds.map(|n| format!("{n} builds")),
        keep.bytes.map(|n| size(n).to_string()),
        keep.bytes_each.map(|n| format!("{} each", size(n))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if bounds.is_empty() { FOREVER.to_owned() } else { output::list(&bounds) }
}
