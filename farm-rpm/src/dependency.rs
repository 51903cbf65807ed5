//! Dependencies between packages.

use std::fmt;

use rpm::DependencyFlags;

/// One dependency as the header has it: `make`, `gcc >= 1:2-3`, `(foo if bar)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What is needed: a package, a file, a capability, or a whole boolean expression in brackets.
    pub name: String,
    /// How the version compares, and why the dependency is there.
    pub flags: DependencyFlags,
    /// `[epoch:]version[-release]`; empty where any will do.
    pub evr: String,
}

impl Dependency {
    /// Whether this asks for a feature of rpm itself (`rpmlib(…)`), which no repository can provide.
    pub fn is_rpmlib(&self) -> bool {
        self.flags.contains(DependencyFlags::RPMLIB) || self.name.starts_with("rpmlib(")
    }

    /// Whether this is a boolean expression, `(a or b)`.
    pub fn is_rich(&self) -> bool {
        self.name.starts_with('(')
    }
}

/// As rpm and dnf take it on a command line.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.flags.comparator_str() {
            "" => Ok(()),
            _ if self.evr.is_empty() || self.is_rich() => Ok(()),
            comparator => write!(f, " {comparator} {}", self.evr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, flags: DependencyFlags, evr: &str) -> Dependency {
        Dependency { name: name.to_owned(), flags, evr: evr.to_owned() }
    }

    #[test]
    fn dependencies_read_as_dnf_takes_them() {
        for (dependency, expected) in [
            (dependency("make", DependencyFlags::ANY, ""), "make"),
            (dependency("foo", DependencyFlags::GE | DependencyFlags::PREREQ, "1:2-3"), "foo >= 1:2-3"),
            (dependency("foo", DependencyFlags::LESS, "2~rc1"), "foo < 2~rc1"),
            (dependency("(a if b else c)", DependencyFlags::ANY, ""), "(a if b else c)"),
        ] {
            assert_eq!(dependency.to_string(), expected);
        }
    }

    #[test]
    fn what_rpm_asks_of_itself_is_told_apart() {
        assert!(
            dependency("rpmlib(FileDigests)", DependencyFlags::LE | DependencyFlags::RPMLIB, "4.6.0-1").is_rpmlib()
        );
        assert!(!dependency("rpm-build", DependencyFlags::ANY, "").is_rpmlib());
    }
}
