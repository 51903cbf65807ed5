//! What source and binary packages have in common, and a basket for what is wrong with it.

use rpm::{DependencyFlags, IndexTag};

use crate::{
    Dependency, Nevra, Problem, Warning,
    header::Header,
    names::{label_fault, version_fault},
};

/// Collects every problem on the way, so that one reading finds them all.
#[derive(Default)]
pub(crate) struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
}

impl Findings {
    /// The value, or its default and the problem kept.
    pub fn take<T: Default>(&mut self, value: Result<T, Problem>) -> T {
        value.unwrap_or_else(|problem| {
            self.refuse(problem);
            T::default()
        })
    }

    pub fn refuse(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Reads names; a source package has its kind in place of the architecture of the machine that packed it.
pub(crate) fn nevra(header: &Header, findings: &mut Findings) -> Nevra {
    let is_source = is_source(header);
    let mut label = |field, tag: IndexTag, fault: fn(&str) -> Option<&'static str>| {
        let value = findings.take(header.text(tag)).unwrap_or_default();
        if let Some(fault) = fault(&value) {
            findings.refuse(Problem::BadName { field, value: value.clone(), fault });
        }
        value
    };
    let name = label("name", IndexTag::RPMTAG_NAME, label_fault);
    let version = label("version", IndexTag::RPMTAG_VERSION, version_fault);
    let release = label("release", IndexTag::RPMTAG_RELEASE, version_fault);
    let arch = match is_source {
        true if leaves_sources_out(header) => "nosrc".to_owned(),
        true => "src".to_owned(),
        false => label("architecture", IndexTag::RPMTAG_ARCH, label_fault),
    };
    let epoch = findings.take(header.number(IndexTag::RPMTAG_EPOCH)).and_then(|epoch| u32::try_from(epoch).ok());
    let nevra = Nevra { name, epoch, version, release, arch };
    let value = nevra.file_name();
    if value.len() > crate::names::LONGEST && findings.problems.is_empty() {
        findings.refuse(Problem::BadName { field: "file name", value, fault: "it is longer than 255 bytes" });
    }
    nevra
}

/// rpm's own rule: only a binary package names the source package that it was made from.
pub(crate) fn is_source(header: &Header) -> bool {
    !header.has(IndexTag::RPMTAG_SOURCERPM)
}

pub(crate) fn leaves_sources_out(header: &Header) -> bool {
    header.has(IndexTag::RPMTAG_NOSOURCE) || header.has(IndexTag::RPMTAG_NOPATCH)
}

pub(crate) fn requires(header: &Header) -> Result<Vec<Dependency>, Problem> {
    let tags = [IndexTag::RPMTAG_REQUIRENAME, IndexTag::RPMTAG_REQUIREFLAGS, IndexTag::RPMTAG_REQUIREVERSION];
    dependencies(header, tags)
}

pub(crate) fn provides(header: &Header) -> Result<Vec<Dependency>, Problem> {
    let tags = [IndexTag::RPMTAG_PROVIDENAME, IndexTag::RPMTAG_PROVIDEFLAGS, IndexTag::RPMTAG_PROVIDEVERSION];
    dependencies(header, tags)
}

/// Three parallel lists; rpm before 4 may leave out flags and versions altogether.
fn dependencies(header: &Header, [name, flags, version]: [IndexTag; 3]) -> Result<Vec<Dependency>, Problem> {
    let names = header.texts(name)?;
    let fill = names.len();
    let or_none = |present: bool, tag, count| match count {
        count if count == fill => Ok(()),
        _ if !present => Ok(()),
        count => Err(header.corrupt(tag, format!("has {count} items for {fill} names"))),
    };
    let (bits, versions) = (header.numbers(flags)?, header.texts(version)?);
    or_none(header.has(flags), flags, bits.len())?;
    or_none(header.has(version), version, versions.len())?;
    let bits = bits.into_iter().map(|bits| DependencyFlags::from_bits_retain(bits as u32));
    let bits = bits.chain(std::iter::repeat(DependencyFlags::ANY));
    let versions = versions.into_iter().chain(std::iter::repeat(String::new()));
    Ok(names.into_iter().zip(bits.zip(versions)).map(|(name, (flags, evr))| Dependency { name, flags, evr }).collect())
}
