//! All checks, side by side.

use std::{path::PathBuf, process::ExitCode, thread};

use clap::Args;

use super::{
    database, finding,
    finding::{Finding, Verdict},
    ids, kerberos, limits,
    machine::Machine,
    programs, room, sandbox, servers,
};
use crate::{farm::FarmArgs, output, up::Layout};

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Say only what is not as it should be
    #[arg(long)]
    brief: bool,
    /// Check instead whether the daemons of this machine can use Kerberos: keytabs, realm, clock, database. As root, who
    /// may read the keytabs
    #[arg(long)]
    kerberos: bool,
    /// With --kerberos: the configuration of a daemon [default: each /etc/farm/farm-*.toml]
    #[arg(long, value_name = "FILE", requires = "kerberos")]
    config: Vec<PathBuf>,
    /// Log in to the database of FARM_DATABASE, and say as whom
    #[arg(long, hide = true)]
    database_login: bool,
}

/// One check or several that belong together.
type Check<'a> = Box<dyn FnOnce() -> Vec<Finding> + Send + 'a>;

/// Runs all checks. Exit code: 0 nothing is wrong, 1 something is, 2 the checks could not be made.
pub(crate) fn run(farm: &FarmArgs, args: &DoctorArgs) -> ExitCode {
    if args.database_login {
        return kerberos::probe(farm);
    }
    if args.kerberos {
        return report(farm, args, kerberos::check(&Machine::this(), &args.config));
    }
    let layout = match Layout::of(farm) {
        Ok(layout) => layout,
        Err(error) => {
            eprintln!("farm-admin: {error:#}");
            return ExitCode::from(2);
        }
    };
    report(farm, args, examine(farm, &layout, &Machine::this()))
}

fn report(farm: &FarmArgs, args: &DoctorArgs, mut findings: Vec<Finding>) -> ExitCode {
    let wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    if args.brief {
        findings.retain(|finding| finding.verdict != Verdict::Ok);
    }
    if farm.json {
        if let Err(error) = output::json(&findings) {
            eprintln!("farm-admin: {error:#}");
        }
    } else {
        print!("{}", finding::text(&findings));
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine(farm: &FarmArgs, layout: &Layout, machine: &Machine) -> Vec<Finding> {
    let checks: Vec<Check> = vec![
        Box::new(|| programs::check(machine)),
        Box::new(|| postgres_programs(farm, machine)),
        Box::new(|| ids::check(machine)),
        Box::new(|| sandbox::check(machine, layout.data())),
        Box::new(|| limits::check(machine)),
        Box::new(|| room::check(machine, layout.data())),
        Box::new(|| database::check(farm, layout)),
        Box::new(|| servers::check(farm, layout)),
    ];
    thread::scope(|scope| {
        let running: Vec<_> = checks.into_iter().map(|check| scope.spawn(check)).collect();
        let fell_over = || vec![Finding::wrong("doctor", "a check fell over; this is a mistake in farm-admin")];
        running.into_iter().flat_map(|check| check.join().unwrap_or_else(|_| fell_over())).collect()
    })
}

/// Only a farm that `up` runs has a PostgreSQL of its own.
fn postgres_programs(farm: &FarmArgs, machine: &Machine) -> Vec<Finding> {
    if farm.database.is_some() {
        return Vec::new();
    }
    vec![programs::postgres(machine)]
}
