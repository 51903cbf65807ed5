//! What can be asked of the builds of a job.

use std::collections::BTreeMap;

use clap::Args;
use farm_api::{
    limits::Limits,
    options::{NewOptions, NewRepository},
};

/// Heading of these options.
const BUILD: &str = "What the builds are asked for";

/// What can be asked of builds.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = BUILD)]
pub struct BuildArgs {
    /// Do not run %check
    #[arg(long)]
    pub nocheck: bool,
    /// Set a build condition, as rpmbuild does: takes the right `define`
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Unset a build condition: takes the right `define`
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    pub without: Vec<String>,
    /// Define a macro, as rpmbuild does: takes the right `define`
    #[arg(long, value_name = "MACRO VALUE")]
    pub define: Vec<String>,
    /// Install from this repository as well: one that the platforms know by name, or an URL, which takes the right `external`; with
    /// `gpgkey=URL` its packages must be signed, `priority=N` is as in dnf
    #[arg(long, value_name = "NAME|URL [gpgkey=URL] [priority=N]")]
    pub repo: Vec<String>,
    /// Install from what is in this bucket as well
    #[arg(long, value_name = "BUCKET")]
    pub use_bucket: Vec<String>,
    /// What a build may use up, at the most: time=2h, silence=30m, memory=4G, processes=500, disk=20G, files=100000, log=100M,
    /// results-size=1G, results=100
    #[arg(long, value_name = "WHAT=AMOUNT")]
    pub limit: Vec<String>,
    /// How many slots of a builder each build takes [default: 1]
    #[arg(long, value_name = "SLOTS")]
    pub weight: Option<u16>,
}

impl BuildArgs {
    /// Everything that can be seen to be wrong without the server.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        let options = self.read(&mut problems);
        if let Err(reasons) = options.check() {
            problems.extend(reasons.into_iter().map(|reason| reason.message));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// What it comes to, once it was checked.
    pub fn options(&self) -> NewOptions {
        self.read(&mut Vec::new())
    }

    fn read(&self, problems: &mut Vec<String>) -> NewOptions {
        let mut macros = BTreeMap::new();
        for definition in &self.define {
            let (name, value) = definition.trim_start().split_once(char::is_whitespace).unwrap_or((definition, ""));
            if macros.insert(name.to_owned(), value.trim_start().to_owned()).is_some() {
                problems.push(format!("the macro “{}” is defined twice", name.escape_debug()));
            }
        }
        let mut limits = Limits::default();
        for limit in &self.limit {
            if let Err(problem) = limits.set(limit) {
                problems.push(format!("--limit {}: {problem}", limit.escape_debug()));
            }
        }
        let mut repositories = Vec::new();
        for text in &self.repo {
            match repository(text) {
                Ok(repository) => repositories.push(repository),
                Err(problem) => problems.push(format!("--repo {}: {problem}", text.escape_debug())),
            }
        }
        NewOptions {
            check: !self.nocheck,
            with: self.with.clone(),
            without: self.without.clone(),
            macros,
            repositories,
            buckets: self.use_bucket.clone(),
            limits,
            weight: self.weight,
        }
    }
}

fn repository(text: &str) -> Result<NewRepository, String> {
    let mut words = text.split_whitespace();
    let first = words.next().ok_or("it takes a name or a URL")?.to_owned();
    let mut repository = match first.contains('/') {
        true => NewRepository { baseurl: Some(first), ..NewRepository::default() },
        false => NewRepository { name: Some(first), ..NewRepository::default() },
    };
    for word in words {
        match word.split_once('=') {
            Some(("gpgkey", url)) => repository.gpgkey = Some(url.to_owned()),
            Some(("priority", number)) => {
                repository.priority = Some(number.parse().map_err(|_| format!("“{number}” is no priority"))?);
            }
            _ => return Err(format!("“{word}” is neither gpgkey=URL nor priority=N")),
        }
    }
    Ok(repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(change: impl FnOnce(&mut BuildArgs)) -> BuildArgs {
        let mut args = BuildArgs::default();
        change(&mut args);
        args
    }

    #[test]
    fn macros_are_written_as_for_rpmbuild() {
        let args =
            args(|args| args.define = ["dist .x".to_owned(), "vendor  Us and you ".into(), "empty".into()].into());
        let macros = args.options().macros;
        let expected = [("dist", ".x"), ("empty", ""), ("vendor", "Us and you ")];
        assert_eq!(macros.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
        args.check().unwrap();
    }

    #[test]
    fn limits_have_units_and_repositories_names_or_urls() {
        let limits = ["memory=4G", "processes=100", "silence=30m"].map(str::to_owned);
        let repos = ["extra", "https://h/ priority=5 gpgkey=https://k/"].map(str::to_owned);
        let options = args(|args| (args.limit, args.repo) = (limits.to_vec(), repos.to_vec())).options();
        assert_eq!((options.limits.memory_bytes, options.limits.silence_seconds), (Some(4 << 30), Some(1800)));
        assert_eq!(options.repositories[0].name.as_deref(), Some("extra"));
        let other = &options.repositories[1];
        assert_eq!((other.baseurl.as_deref(), other.priority), (Some("https://h/"), Some(5)));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let problems = args(|args| {
            args.with = vec!["a-b".to_owned()];
            args.define = vec!["abc 1".to_owned(), "abc 2".to_owned(), "_topdir /".to_owned()];
            args.limit = vec!["memory".to_owned(), "memory=much".to_owned(), "speed=1".to_owned()];
            args.repo = vec!["file:///etc".to_owned(), "x y".to_owned()];
        })
        .check()
        .unwrap_err();
        assert_eq!(problems.len(), 8, "{problems:#?}");
    }
}
