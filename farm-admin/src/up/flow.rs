//! From nothing to a farm, and back.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use farm_auth::Token;
use farm_daemon::LogFormat;
use farm_db::{
    migrate,
    operator::{self, NewBuilder},
};
use farm_types::{BuilderName, Grant, Right};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Layout,
    child::{self, Kept},
    configs::Facts,
    postgres::KeptPostgres,
};
use crate::{
    commands::{operator_account, platform::read_recipes, user_name},
    daemons::Daemon,
    farm::FarmArgs,
};

/// The farm's database in the private PostgreSQL.
const DATABASE: &str = "farm";

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Where people's tools and browsers reach the farm; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
    /// Add platforms, or give known ones a new recipe
    #[arg(long = "platform", value_name = "RECIPE.toml", num_args = 1..)]
    platforms: Vec<PathBuf>,
    /// Tasks that the builder takes at once
    #[arg(long, default_value_t = 2)]
    slots: u32,
}

pub(crate) fn run(farm: &FarmArgs, args: &UpArgs) -> anyhow::Result<()> {
    // What goes wrong while the farm runs; each daemon has a log of its own.
    farm_daemon::log_to_stderr("warn,farm_admin=info", LogFormat::Text)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(up(farm, args))
}

async fn up(farm: &FarmArgs, args: &UpArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    let recipes = read_recipes(&args.platforms)?;
    let mut ends = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let layout = Layout::of(farm)?;
    layout.make()?;

    say(began, "starting PostgreSQL");
    let postgres = KeptPostgres::start(&layout).await?;
    say(began, "bringing the database up to date");
    prepare_database(&layout, &postgres, &recipes)?;

    let running = tokio::select! {
        running = start_daemons(&layout, &postgres, args, began) => running?,
        _ = ends.0.recv() => bail!("told to end before the farm was up"),
        _ = ends.1.recv() => bail!("told to end before the farm was up"),
    };
    fs_err::write(layout.url_file(), &running.url)?;
    println!("Farm is ready: {}", running.url);

    tokio::select! {
        _ = ends.0.recv() => {}
        _ = ends.1.recv() => {}
    }
    say(began, "ending the farm: builds under way have 20 seconds, then they are given back");
    // The builder first, while there is a hub to give its builds back to.
    for daemon in running.daemons.into_iter().rev() {
        daemon.end().await;
    }
    postgres.stop().await?;
    let _ = fs_err::remove_file(layout.url_file());
    say(began, "the farm is down");
    Ok(())
}

fn say(began: Instant, what: &str) {
    eprintln!("[{:5.1} s] {what}", began.elapsed().as_secs_f64());
}

fn prepare_database(
    layout: &Layout,
    postgres: &KeptPostgres,
    recipes: &[farm_api::recipe::Recipe],
) -> anyhow::Result<()> {
    migrate::create_database(&mut migrate::connect(&postgres.superuser_conninfo("postgres"))?, DATABASE)?;
    let conninfo = postgres.superuser_conninfo(DATABASE);
    layout.write_operator_conninfo(&conninfo)?;
    let mut conn = migrate::connect(&conninfo)?;
    migrate::up(&mut conn)?;
    let actor = operator_account();
    for recipe in recipes {
        operator::put_platform(&mut conn, &actor, recipe)?;
    }
    // Whoever runs the farm may do everything in it.
    let everything = Grant { right: Right::Admin, object: None };
    operator::set_grant(&mut conn, &actor, &everything, &user_name(), true)?;
    // A new token at each start: nothing to keep, nothing to lose.
    let token = Token::generate();
    let new = NewBuilder { token: Some(token.digest()), ..NewBuilder::default() };
    operator::put_builder(&mut conn, &actor, &builder_name()?, &new)?;
    layout.write_builder_token(&token.expose())
}

/// The host's name, as far as it is one for a builder.
fn builder_name() -> anyhow::Result<BuilderName> {
    let host = nix::unistd::gethostname().context("cannot learn the name of this machine")?;
    let name: String = host.to_string_lossy().to_lowercase().chars().take(50).collect();
    Ok(name.parse().or_else(|_| "local".parse())?)
}

struct Running {
    daemons: Vec<Kept>,
    url: String,
}

async fn start_daemons(
    layout: &Layout,
    postgres: &KeptPostgres,
    args: &UpArgs,
    began: Instant,
) -> anyhow::Result<Running> {
    let conninfo = |role: &str| postgres.conninfo(role, DATABASE);
    let mut facts = Facts {
        layout,
        conninfo: &conninfo,
        web: args.listen.clone(),
        hub: "127.0.0.1:0".to_owned(),
        local_user: user_name(),
        builder: builder_name()?.to_string(),
        slots: args.slots,
    };
    let mut daemons = Vec::new();
    for daemon in [Daemon::Validator, Daemon::Janitor, Daemon::Publisher, Daemon::Hub, Daemon::Web, Daemon::Builder] {
        say(began, &format!("starting the {}", daemon.name()));
        facts.write(daemon)?;
        let (kept, ready) = child::keep(layout, daemon).await?;
        daemons.push(kept);
        // A port that the system chose stays the same when the daemon is started again.
        let listens =
            || ready.listen.clone().with_context(|| format!("the {} did not say where it listens", daemon.name()));
        match daemon {
            Daemon::Hub => facts.hub = listens()?,
            Daemon::Web => facts.web = listens()?,
            _ => continue,
        }
        facts.write(daemon)?;
    }
    Ok(Running { daemons, url: format!("http://{}/", facts.web) })
}
