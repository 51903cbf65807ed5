//! What a job asks of its build, as the native driver has it done.

use farm_api::recipe::{Recipe, Repository};
use farm_types::Cause;

use super::{attempt::Attempt, failure::End, recipe};
use crate::{driver::BuildRequest, sandbox::Dnf};

impl Attempt<'_> {
    /// What rpmbuild is told beside what it always is.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = self.request.options.rpmbuild_arguments();
        arguments.extend(machine(&self.request.platform).map(|arch| format!("--target={arch}")));
        arguments
    }

    /// How dnf is called for packages of this build: with the platform's repositories and those that are its own.
    pub fn dnf(&self, results: bool) -> Dnf {
        let mut dnf = recipe::dnf(&with_own(self.request), results);
        dnf.passing = !self.request.repositories.is_empty();
        dnf
    }

    /// A repository cannot be used, as these words of dnf say: the farm's fault, but for one that the job itself brings.
    pub fn repository_trouble(&self, words: &str) -> End {
        let of_job = self.request.repositories.iter().filter(|repository| repository.name.starts_with("farm-job-"));
        let is_in = |name: &str| words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == name);
        if let Some(url) = of_job.filter(|own| is_in(&own.name)).find_map(|own| own.baseurl.as_deref()) {
            let message = format!("the repository {url} that the job names cannot be used: {words}");
            return self.failed(Cause::Dependencies, message);
        }
        self.trees.distrust(&self.request.platform.name);
        self.fault(Cause::Chroot, format!("a repository cannot be used: {words}"))
    }

    /// Tells in the log what is out of the ordinary about this build.
    pub async fn tell_what_is_asked(&mut self) {
        for line in lines(self.request) {
            self.journal.say(&line).await;
        }
    }
}

/// What is out of the ordinary about a build, for its log.
pub fn lines(request: &BuildRequest) -> Vec<String> {
    let told = request.options.shown().into_iter().filter(|(what, _)| !matches!(*what, "use bucket" | "limit"));
    let told = told.map(|(what, value)| format!("{what}: {value}"));
    let repositories = request.repositories.iter().map(|repository| {
        let priority = repository.priority.map(|priority| format!(", priority {priority}")).unwrap_or_default();
        format!("packages also come from {}{priority}", repository.name)
    });
    request.remarks.iter().cloned().chain(told).chain(repositories).collect()
}

/// The platform, with the repositories that are this build's alone.
fn with_own(request: &BuildRequest) -> Recipe {
    let repositories: Vec<Repository> =
        request.platform.for_base().repositories.into_iter().chain(request.repositories.iter().cloned()).collect();
    Recipe { repositories, ..request.platform.clone() }
}

/// Architectures of 32 bits that a 64-bit machine builds for by passing for one of them.
const NARROW: [&str; 11] =
    ["i386", "i486", "i586", "i686", "athlon", "armv6hl", "armv7hl", "armv7hnl", "armv7l", "ppc", "s390"];

/// What rpmbuild has to be told to build for, where that is not what it finds by itself.
pub fn machine(platform: &Recipe) -> Option<&str> {
    Some(platform.arch.as_str()).filter(|arch| NARROW.contains(arch))
}
