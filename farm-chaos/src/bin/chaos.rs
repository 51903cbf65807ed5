//! A farm under fire; see the library.

use std::{io::Read as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use farm_chaos::{Settings, contained, contained::Containment};

/// Starts a farm, does to it whatever can happen, and says whether it kept what it promised.
#[derive(Parser)]
struct Args {
    /// For how many minutes things happen; without, a short time that is enough for a test
    #[arg(long)]
    minutes: Option<u32>,
    /// What everything is drawn from; a new one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Where to keep everything; a folder that goes when all is well
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Keep everything even if all is well
    #[arg(long)]
    keep: bool,
    /// End when standard input ends
    #[arg(long)]
    with_parent: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let contained = match contained::enter() {
        Ok(contained) => contained,
        Err(code) => return code,
    };
    match trial(args, contained) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trial(args: Args, contained: Containment) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}");
    if args.with_parent {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(1);
        });
    }
    let settings = match args.minutes {
        Some(minutes) => Settings::long(seed, minutes),
        None => Settings::short(seed),
    };
    // Not below /tmp, which may be memory, and where others can reach it, as builds run as other users.
    let folder = match args.folder {
        Some(folder) => {
            fs_err::create_dir_all(&folder)?;
            tempfile::Builder::new().prefix("chaos-").tempdir_in(folder)?
        }
        None => tempfile::Builder::new().prefix("chaos-").tempdir_in("/var/tmp")?,
    };
    let root = folder.path().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let judged = runtime.block_on(farm_chaos::run(&root, &settings, contained));
    let is_good = judged.as_ref().is_ok_and(|report| report.is_good());
    if !is_good || args.keep {
        println!("everything is kept in {}; the same again: --seed {seed}", folder.keep().display());
    }
    let report = judged?;
    println!("{report}");
    report.all_wrongs().for_each(|wrong| println!("WRONG: {}", wrong.what));
    Ok(is_good)
}
