//! Packages of our own making that require what a source package needs to be built.
//!
//! Why not name the dependencies to dnf? Because they come from the submitter, and dnf takes other things than dependencies, too:
//! `BuildRequires: http://example.org/x.rpm` is a capability to rpm and a download to dnf. As the dependencies of a package
//! they can be nothing else, and rich ones, `(a or b)`, mean to dnf's solver what they mean to rpm.

use std::path::Path;

use farm_rpm::Dependency;
use rpm::{BuildConfig, CompressionType, DependencyFlags, PackageBuilder};

/// Writes a package called `name` that requires `needs`, all of them.
pub fn write_package(path: &Path, name: &str, needs: &[Dependency]) -> Result<(), rpm::Error> {
    let mut builder = PackageBuilder::new(name, "1", "none", "noarch", "What a source package needs to be built");
    builder.using_config(BuildConfig::v4().compression(CompressionType::None)).release("1");
    for need in needs {
        builder.requires(rpm::Dependency {
            name: need.name.clone(),
            flags: need.flags & (DependencyFlags::LESS | DependencyFlags::GREATER | DependencyFlags::EQUAL),
            version: need.evr.clone(),
        });
    }
    builder.build()?.write_file(path)
}

/// What the names of our packages begin with that require all that a source package needs.
pub const ALL: &str = "farm-build-requires-";

/// Whether a package of that name is of our own making.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(ALL)
}

/// The name of the package that stands for the `n`th of several dependencies.
pub fn single_name(n: usize) -> String {
    format!("farm-needs-{n}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_reads_back_from_the_package_unchanged() {
        let need = |name: &str, flags, evr: &str| Dependency { name: name.into(), flags, evr: evr.into() };
        let needs = [
            need("gcc", DependencyFlags::ANY, ""),
            need("foo", DependencyFlags::GREATER | DependencyFlags::EQUAL, "1:2-3"),
            need("(a if b else c)", DependencyFlags::ANY, ""),
            need("http://example.org/x.rpm", DependencyFlags::ANY, ""),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("needs.rpm");
        write_package(&path, "farm-needs", &needs).unwrap();
        let package = farm_rpm::read_binary(&path, &farm_rpm::Limits::default()).unwrap().package.unwrap();
        let asked: Vec<_> = package.requires.iter().filter(|need| !need.is_rpmlib()).map(ToString::to_string).collect();
        for need in &needs {
            assert!(asked.contains(&need.to_string()), "{need} is not in {asked:?}");
        }
    }
}
