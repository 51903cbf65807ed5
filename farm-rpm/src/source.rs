//! Source packages.

use std::{fs::File, io, io::Read, path::Path};

use rpm::{FileFlags, IndexTag};

use crate::{
    Compression, Dependency, Limits, Nevra, Problem, ReadError, Report, SourceReport, Warning,
    envelope::{self, Envelope},
    facts::{self, Findings},
    header::{Header, Stop},
    names::{self, moves_the_cursor},
};

/// At most so many problems of one kind are told: enough to see what is going on.
const MOST_TOLD: usize = 10;

/// What a source package says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourcePackage {
    /// Its name and so on; the architecture is `src` or `nosrc`.
    pub nevra: Nevra,
    /// One line on what it is.
    pub summary: String,
    /// The architectures of `BuildArch`; `noarch` for most.
    pub build_arch: Vec<String>,
    /// The architectures of `ExclusiveArch`.
    pub exclusive_arch: Vec<String>,
    /// The architectures of `ExcludeArch`.
    pub exclude_arch: Vec<String>,
    /// `BuildRequires`, with what rpm asks of itself ([`Dependency::is_rpmlib`]).
    pub build_requires: Vec<Dependency>,
    /// What it provides; nothing in most.
    pub provides: Vec<Dependency>,
    /// Names of the files that end in `.spec`: exactly one in a package that is accepted.
    pub specs: Vec<String>,
    /// All files, the specs too.
    pub files: Vec<SourceFile>,
    /// Whether it has `NoSource`.
    pub no_source: bool,
    /// Whether it has `NoPatch`.
    pub no_patch: bool,
    /// How its payload is compressed.
    pub compression: Compression,
    /// Bytes of the payload in the file.
    pub payload_size: u64,
}

/// A file of a source package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Whether rpm marks it as the spec.
    pub marked_spec: bool,
    /// Whether it is named only, and its bytes are left out (`NoSource`, `NoPatch`).
    pub left_out: bool,
}

/// Reads a source package and finds every reason to refuse it.
pub fn read_source(path: &Path, limits: &Limits) -> Result<SourceReport, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    read_source_from(File::open(path).map_err(failed)?, limits).map_err(failed)
}

/// Like [`read_source`], from any stream of bytes.
pub fn read_source_from(input: impl Read, limits: &Limits) -> io::Result<SourceReport> {
    match envelope::read(input, limits) {
        Ok(envelope) => Ok(report(envelope, limits)),
        Err(Stop::Package(problem)) => Ok(Report::broken(problem)),
        Err(Stop::Disk(error)) => Err(error),
    }
}

fn report(Envelope { header, payload_size, compression }: Envelope, limits: &Limits) -> SourceReport {
    let mut findings = Findings::default();
    let compression = findings.take(compression);
    let nevra = facts::nevra(&header, &mut findings);
    if !facts::is_source(&header) {
        let source_rpm = findings.take(header.text(IndexTag::RPMTAG_SOURCERPM)).unwrap_or_default();
        findings.refuse(Problem::BinaryPackage { name: nevra.name, arch: nevra.arch, source_rpm });
        return Report { package: None, problems: findings.problems, warnings: findings.warnings };
    }
    let files = findings.take(files(&header));
    let package = SourcePackage {
        nevra,
        summary: findings.take(header.text(IndexTag::RPMTAG_SUMMARY)).unwrap_or_default(),
        build_arch: architectures(&header, "BuildArch", IndexTag::RPMTAG_BUILDARCHS, &mut findings),
        exclusive_arch: architectures(&header, "ExclusiveArch", IndexTag::RPMTAG_EXCLUSIVEARCH, &mut findings),
        exclude_arch: architectures(&header, "ExcludeArch", IndexTag::RPMTAG_EXCLUDEARCH, &mut findings),
        build_requires: findings.take(facts::requires(&header)),
        provides: findings.take(facts::provides(&header)),
        specs: files.iter().filter(|file| file.name.ends_with(".spec")).map(|file| file.name.clone()).collect(),
        files,
        no_source: header.has(IndexTag::RPMTAG_NOSOURCE),
        no_patch: header.has(IndexTag::RPMTAG_NOPATCH),
        compression,
        payload_size,
    };
    check_files(&package, limits, &mut findings);
    check_specs(&package, limits, &mut findings);
    check_requirements(&package, &mut findings);
    warn(&header, &package, &mut findings);
    Report { package: Some(package), problems: findings.problems, warnings: findings.warnings }
}

/// The files as the header lists them. A source package has no folders: what rpm before 4 wrote as whole names has none either.
fn files(header: &Header) -> Result<Vec<SourceFile>, Problem> {
    let folders = header.texts(IndexTag::RPMTAG_DIRNAMES)?;
    if folders.iter().any(|folder| !folder.is_empty()) {
        return Err(header.corrupt(IndexTag::RPMTAG_DIRNAMES, "names folders, which a source package has none of"));
    }
    let mut names = header.texts(IndexTag::RPMTAG_BASENAMES)?;
    if names.is_empty() {
        names = header.texts(IndexTag::RPMTAG_OLDFILENAMES)?;
    }
    let column = |tag: IndexTag| match header.numbers(tag)? {
        values if values.len() == names.len() => Ok(values),
        values if values.is_empty() => Ok(vec![0; names.len()]),
        values => Err(header.corrupt(tag, format!("has {} items for {} files", values.len(), names.len()))),
    };
    let large = header.has(IndexTag::RPMTAG_LONGFILESIZES);
    let sizes = column(if large { IndexTag::RPMTAG_LONGFILESIZES } else { IndexTag::RPMTAG_FILESIZES })?;
    let flags = column(IndexTag::RPMTAG_FILEFLAGS)?;
    let files = names.into_iter().zip(sizes).zip(flags);
    Ok(files
        .map(|((name, size), flags)| (name, size, FileFlags::from_bits_retain(flags as u32)))
        .map(|(name, size, flags)| {
            let (marked_spec, left_out) = (flags.contains(FileFlags::SPECFILE), flags.contains(FileFlags::GHOST));
            SourceFile { name, size, marked_spec, left_out }
        })
        .collect())
}

fn architectures(header: &Header, field: &'static str, tag: IndexTag, findings: &mut Findings) -> Vec<String> {
    let list = findings.take(header.texts(tag));
    for arch in list.iter().take(MOST_TOLD) {
        if let Some(fault) = names::label_fault(arch) {
            findings.refuse(Problem::BadName { field, value: arch.clone(), fault });
        }
    }
    list
}

fn check_files(package: &SourcePackage, limits: &Limits, findings: &mut Findings) {
    let count = package.files.len();
    if count > limits.files {
        findings.refuse(Problem::TooManyFiles { count, limit: limits.files });
    }
    let size = package.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    if size > limits.unpacked {
        findings.refuse(Problem::TooLargeUnpacked { size, limit: limits.unpacked });
    }
    let bad = package.files.iter().filter_map(|file| Some((&file.name, names::file_fault(&file.name)?)));
    for (name, fault) in bad.take(MOST_TOLD) {
        findings.refuse(Problem::BadFileName { name: name.clone(), fault });
    }
    if package.no_source || package.no_patch {
        let left_out = package.files.iter().filter(|file| file.left_out);
        findings.refuse(Problem::SourcesMissing { names: left_out.map(|file| file.name.clone()).collect() });
    }
}

fn check_specs(package: &SourcePackage, limits: &Limits, findings: &mut Findings) {
    match package.specs.as_slice() {
        [] => {
            let marked = package.files.iter().find(|file| file.marked_spec);
            findings.refuse(Problem::NoSpec { marked: marked.map(|file| file.name.clone()) });
        }
        [_] => {}
        specs => findings.refuse(Problem::SeveralSpecs { names: specs.to_vec() }),
    }
    let specs = package.files.iter().filter(|file| file.name.ends_with(".spec"));
    for file in specs.filter(|file| file.size > limits.spec).take(MOST_TOLD) {
        findings.refuse(Problem::SpecTooLarge { name: file.name.clone(), size: file.size, limit: limits.spec });
    }
}

/// Build requirements end as arguments of dnf, one each.
fn check_requirements(package: &SourcePackage, findings: &mut Findings) {
    let bad = package.build_requires.iter().filter_map(|dependency| {
        let value = dependency.to_string();
        let fault = match () {
            () if value.is_empty() => "it is empty",
            () if value.starts_with('-') => "it begins with a dash",
            () if value.chars().any(moves_the_cursor) => "it contains control characters",
            () => return None,
        };
        Some(Problem::BadRequirement { value, fault })
    });
    bad.take(MOST_TOLD).for_each(|problem| findings.refuse(problem));
}

fn warn(header: &Header, package: &SourcePackage, findings: &mut Findings) {
    for (field, tag) in [
        ("name", IndexTag::RPMTAG_NAME),
        ("summary", IndexTag::RPMTAG_SUMMARY),
        ("list of files", IndexTag::RPMTAG_BASENAMES),
        ("list of build requirements", IndexTag::RPMTAG_REQUIRENAME),
    ] {
        if header.is_not_utf8(tag) {
            findings.warnings.push(Warning::NotUtf8 { field });
        }
    }
    let package_name = &package.nevra.name;
    if let [spec] = package.specs.as_slice()
        && spec.strip_suffix(".spec") != Some(package_name)
    {
        findings.warnings.push(Warning::SpecNameDiffers { spec: spec.clone(), package: package_name.clone() });
    }
}
