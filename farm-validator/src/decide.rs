//! The rules: pure functions from what was read to a decision.

use std::collections::{BTreeMap, BTreeSet};

use farm_api::{error::Reason, options::ExtraRepository};
use farm_db::intake::{Decision, ReadSource, UndecidedJob, UndecidedSource, ValidatorPlatform};
use farm_rpm::{SourcePackage, SourceReport};
use farm_types::{PlatformChoice, PlatformName, TargetList};

/// Decides on a job, with every reason at once.
pub(crate) fn decide(job: &UndecidedJob, reports: Vec<SourceReport>, platforms: &[ValidatorPlatform]) -> Decision {
    let mut reasons = Vec::new();
    let mut warnings = Vec::new();
    let mut packages = BTreeMap::new();
    reasons.extend(sent_twice(&job.sources));
    for (source, report) in job.sources.iter().zip(reports) {
        reasons.extend(report.problems.iter().map(|p| about(source, p.code(), p)));
        warnings.extend(report.warnings.iter().map(|w| about(source, w.code(), w)));
        if let Some(package) = report.package {
            packages.insert(source.position, package);
        }
    }
    reasons.extend(same_package_twice(&job.sources, &packages));
    let chosen = choose(&job.targets, platforms, &mut reasons);
    let chosen = leave_out_forbidden(&job.targets, chosen, platforms, &mut reasons);
    reasons.extend(without_network(job, &chosen, platforms));
    reasons.extend(without_repository(job, &chosen, platforms));
    let fit = leave_out_foreign(&chosen, &packages, &mut reasons, &mut warnings);
    if !reasons.is_empty() {
        return Decision::Reject(reasons);
    }
    warnings.extend(nobody_builds(&fit, platforms));
    let sources = packages.iter().map(|(position, package)| read(*position, package)).collect();
    Decision::Accept { sources, platforms: fit, warnings }
}

fn about(source: &UndecidedSource, code: &str, what: &dyn std::fmt::Display) -> Reason {
    Reason {
        code: code.to_owned(),
        source: Some(source.position),
        message: format!("{}: {what}", shown(&source.file_name)),
    }
}

/// A file name as a person can read it, whatever is in it.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

fn of_job(code: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), source: None, message }
}

fn sent_twice(sources: &[UndecidedSource]) -> Vec<Reason> {
    let mut first: BTreeMap<_, &UndecidedSource> = BTreeMap::new();
    let mut reasons = Vec::new();
    for source in sources {
        match first.get(&source.digest) {
            Some(earlier) => reasons.push(about(
                source,
                "duplicate_source",
                &format!("is the same file as {}; send it once", shown(&earlier.file_name)),
            )),
            None => {
                first.insert(source.digest, source);
            }
        }
    }
    reasons
}

/// Two different files that call themselves the same package would overwrite each other's results.
fn same_package_twice(sources: &[UndecidedSource], packages: &BTreeMap<u32, SourcePackage>) -> Vec<Reason> {
    let mut seen = BTreeMap::new();
    let mut reasons = Vec::new();
    for source in sources {
        let Some(package) = packages.get(&source.position) else { continue };
        let earlier = seen.entry((package.nevra.name.clone(), package.nevra.evr())).or_insert(source);
        if earlier.position != source.position && earlier.digest != source.digest {
            let what = format!(
                "is another {}-{}, as {} already is; hand them in as two jobs",
                package.nevra.name,
                package.nevra.evr(),
                shown(&earlier.file_name)
            );
            reasons.push(about(source, "duplicate_package", &what));
        }
    }
    reasons
}

fn choose(targets: &str, platforms: &[ValidatorPlatform], reasons: &mut Vec<Reason>) -> Vec<PlatformName> {
    let choices: Vec<_> =
        platforms.iter().map(|p| PlatformChoice { name: p.name.clone(), enabled: p.enabled, auto: p.auto }).collect();
    match TargetList::parse([targets]).resolve(&choices) {
        Ok(names) => names,
        Err(problems) => {
            reasons.extend(problems.iter().map(|problem| of_job(problem.code(), problem.to_string())));
            Vec::new()
        }
    }
}

/// Platforms that the submitter may not use are left out of what stands for many, and refused where they were named.
fn leave_out_forbidden(
    targets: &str,
    chosen: Vec<PlatformName>,
    platforms: &[ValidatorPlatform],
    reasons: &mut Vec<Reason>,
) -> Vec<PlatformName> {
    let forbidden = |name: &PlatformName| platforms.iter().any(|p| p.name == *name && !p.allowed);
    let named = |name: &PlatformName| targets.split([',', ' ']).any(|word| word.eq_ignore_ascii_case(name.as_str()));
    let (out, rest): (Vec<_>, Vec<_>) = chosen.into_iter().partition(forbidden);
    let refuse = |name: &PlatformName| {
        of_job("platform_forbidden", format!("you may not build on {name}: it takes the right “build:{name}”"))
    };
    if rest.is_empty() {
        reasons.extend(out.iter().map(refuse));
    } else {
        reasons.extend(out.iter().filter(|name| named(name)).map(refuse));
    }
    rest
}

/// A build that needs the network is not made without.
fn without_network(job: &UndecidedJob, chosen: &[PlatformName], platforms: &[ValidatorPlatform]) -> Vec<Reason> {
    let lacks = |name: &&PlatformName| job.network && platforms.iter().any(|p| p.name == **name && !p.recipe.network);
    let refuse =
        |name| of_job("no_network", format!("{name} gives builds no network; its recipe does not say network = true"));
    chosen.iter().filter(lacks).map(refuse).collect()
}

/// A repository that a job names by the name that platforms have for it has to be one of each platform's.
fn without_repository(job: &UndecidedJob, chosen: &[PlatformName], platforms: &[ValidatorPlatform]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let named = job.options.repositories.iter().filter_map(|repository| match repository {
        ExtraRepository::Named { name } => Some(name),
        ExtraRepository::External { .. } => None,
    });
    for name in named {
        for platform in platforms.iter().filter(|platform| chosen.contains(&platform.name)) {
            let known: Vec<&str> = platform.recipe.repositories.iter().map(|known| known.name.as_str()).collect();
            if !known.contains(&name.as_str()) {
                let message = format!(
                    "{} has no repository “{name}”; its recipe knows {}",
                    platform.name,
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                );
                reasons.push(of_job("unknown_repository", message));
            }
        }
    }
    reasons
}

/// Platforms that a source is not meant for are left out; when none remains, the job is refused.
fn leave_out_foreign(
    chosen: &[PlatformName],
    packages: &BTreeMap<u32, SourcePackage>,
    reasons: &mut Vec<Reason>,
    warnings: &mut Vec<Reason>,
) -> Vec<PlatformName> {
    let mut fit = Vec::new();
    let mut refusals = Vec::new();
    for platform in chosen {
        let before = refusals.len();
        for (position, package) in packages {
            if let Err(refusal) = package.builds_on(platform.arch()) {
                let message = format!("{} is not built for {platform}: {refusal}", package.nevra);
                refusals.push(Reason { code: refusal.code().to_owned(), source: Some(*position), message });
            }
        }
        if refusals.len() == before {
            fit.push(platform.clone());
        }
    }
    if fit.is_empty() {
        reasons.extend(refusals)
    } else {
        warnings.extend(refusals)
    }
    fit
}

fn nobody_builds(fit: &[PlatformName], platforms: &[ValidatorPlatform]) -> Vec<Reason> {
    let idle: BTreeSet<_> = platforms.iter().filter(|p| p.builders == 0).map(|p| &p.name).collect();
    fit.iter()
        .filter(|name| idle.contains(name))
        .map(|name| {
            of_job("no_builder", format!("no builder for {name} is up at the moment; the task waits until one is"))
        })
        .collect()
}

fn read(position: u32, package: &SourcePackage) -> ReadSource {
    ReadSource {
        position,
        name: package.nevra.name.clone(),
        epoch: package.nevra.epoch,
        version: package.nevra.version.clone(),
        release: package.nevra.release.clone(),
    }
}

#[cfg(test)]
mod tests;
