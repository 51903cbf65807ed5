//! `farm-admin bucket`.

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};
use farm_api::people::Bucket;
use farm_db::{PgConnection, operator};
use farm_types::BucketName;

use super::{connect, operator_account};
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
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["description", "public", "private"]))]
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
        BucketCommand::Set(SetArgs { bucket, description, public, private }) => {
            if !is_known(&mut conn, &bucket)? {
                bail!("there is no bucket “{bucket}”; `farm-admin bucket add {bucket}` makes one");
            }
            let public = (public || private).then_some(public);
            operator::put_bucket(&mut conn, &actor, &bucket, description.as_deref(), public)?;
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
    let row = |b: &Bucket| vec![b.name.to_string(), output::yes(b.public), b.description.clone()];
    output::table(&["BUCKET", "PUBLIC", "DESCRIPTION"], &buckets.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
