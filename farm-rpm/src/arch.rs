//! On which architectures a source package builds.

use crate::SourcePackage;

/// Why a source package does not build on an architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchRefusal {
    /// `ExclusiveArch` does not list it.
    #[error("builds only on {} (ExclusiveArch), not on {arch}; leave out the platforms of {arch}", list.join(", "))]
    NotInExclusiveArch {
        /// The architecture asked for.
        arch: String,
        /// What the package lists.
        list: Vec<String>,
    },
    /// `ExcludeArch` lists it.
    #[error("does not build on {arch} (ExcludeArch); leave out the platforms of {arch}")]
    InExcludeArch {
        /// The architecture asked for.
        arch: String,
    },
    /// `BuildArch` names others only.
    #[error("builds for {} (BuildArch), not on {arch}; leave out the platforms of {arch}", list.join(", "))]
    NotInBuildArch {
        /// The architecture asked for.
        arch: String,
        /// What the package lists.
        list: Vec<String>,
    },
}

/// What else an architecture builds, one step each, as `buildarch_compat` of rpm's own `rpmrc` has it: an i686 builds
/// for i386 to i686, an x86_64 does not.
const ALSO_BUILDS: &[(&str, &str)] = &[
    ("athlon", "i686"),
    ("geode", "i586"),
    ("pentium4", "pentium3"),
    ("pentium3", "i686"),
    ("i686", "i586"),
    ("i586", "i486"),
    ("i486", "i386"),
];

/// Other names of one architecture, in lists of old packages.
const SAME: &[(&str, &str)] = &[("amd64", "x86_64"), ("ia32e", "x86_64"), ("em64t", "x86_64")];

fn canonical(arch: &str) -> &str {
    SAME.iter().find(|(other, _)| *other == arch).map_or(arch, |(_, name)| name)
}

/// Whether a machine of `machine` builds for `arch`.
fn builds_for(machine: &str, arch: &str) -> bool {
    let arch = canonical(arch);
    let mut step = Some(canonical(machine));
    while let Some(at) = step {
        if at == arch {
            return true;
        }
        step = ALSO_BUILDS.iter().find(|(from, _)| *from == at).map(|(_, to)| *to);
    }
    false
}

impl ArchRefusal {
    /// Stable name of the refusal, for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InExcludeArch { .. } => "in_exclude_arch",
            Self::NotInExclusiveArch { .. } => "not_in_exclusive_arch",
            Self::NotInBuildArch { .. } => "not_in_build_arch",
        }
    }
}

impl SourcePackage {
    /// Whether this package builds on a platform of `arch`, by what its header says. The header was made on one machine, so the
    /// spec may still say otherwise on another.
    ///
    /// The rules are those that rpmbuild applies to a spec, with the families of rpm's `rpmrc` (an i686 builds what is for i386), and
    /// `noarch` in a list holds on every architecture, as in the build systems of the distributions.
    pub fn builds_on(&self, arch: &str) -> Result<(), ArchRefusal> {
        let lists = |list: &[String]| list.iter().any(|listed| builds_for(arch, listed));
        let lists_or_noarch = |list: &[String]| list.iter().any(|listed| listed == "noarch") || lists(list);
        let arch = arch.to_owned();
        if lists(&self.exclude_arch) {
            return Err(ArchRefusal::InExcludeArch { arch });
        }
        if !self.exclusive_arch.is_empty() && !lists_or_noarch(&self.exclusive_arch) {
            return Err(ArchRefusal::NotInExclusiveArch { arch, list: self.exclusive_arch.clone() });
        }
        if !self.build_arch.is_empty() && !lists_or_noarch(&self.build_arch) {
            return Err(ArchRefusal::NotInBuildArch { arch, list: self.build_arch.clone() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(build: &[&str], exclusive: &[&str], exclude: &[&str]) -> SourcePackage {
        let owned = |list: &[&str]| list.iter().map(|arch| (*arch).to_owned()).collect();
        SourcePackage {
            build_arch: owned(build),
            exclusive_arch: owned(exclusive),
            exclude_arch: owned(exclude),
            ..SourcePackage::default()
        }
    }

    #[test]
    fn a_package_without_lists_builds_everywhere() {
        assert_eq!(package(&[], &[], &[]).builds_on("riscv64"), Ok(()));
        assert_eq!(package(&["noarch"], &[], &[]).builds_on("x86_64"), Ok(()));
    }

    #[test]
    fn exclusive_arch_holds_by_family_and_noarch_for_all() {
        let package_of = |list| package(&[], list, &[]);
        assert_eq!(package_of(&["i386"]).builds_on("i686"), Ok(()));
        assert_eq!(package_of(&["x86_64"]).builds_on("x86_64"), Ok(()));
        assert_eq!(package_of(&["amd64"]).builds_on("x86_64"), Ok(()));
        assert_eq!(package_of(&["ppc64le", "noarch"]).builds_on("x86_64"), Ok(()));
        assert!(package_of(&["i686"]).builds_on("i386").is_err());
        assert!(package_of(&["i386"]).builds_on("x86_64").is_err());
        let refusal = package_of(&["aarch64", "s390x"]).builds_on("x86_64").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "builds only on aarch64, s390x (ExclusiveArch), not on x86_64; leave out the platforms of x86_64"
        );
    }

    #[test]
    fn exclude_arch_and_build_arch_refuse() {
        assert!(package(&[], &[], &["i386"]).builds_on("i686").is_err());
        assert_eq!(package(&[], &[], &["noarch", "lsi"]).builds_on("x86_64"), Ok(()));
        assert!(package(&["x86_64"], &[], &[]).builds_on("aarch64").is_err());
        assert_eq!(package(&["i686"], &[], &[]).builds_on("athlon"), Ok(()));
    }
}
