//! How much of everything a package may have.

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bounds on a package. What is beyond is refused, never read to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole file.
    pub package: u64,
    /// Bytes of the index and the data of one header.
    pub header: u64,
    /// Number of files in a source package.
    pub files: usize,
    /// Bytes of the spec.
    pub spec: u64,
    /// Bytes of all the files of a source package together, unpacked.
    pub unpacked: u64,
}

impl Default for Limits {
    /// Roomy for the largest packages of real distributions: TeX Live has 12,000 sources and a spec of more than 10 MB.
    fn default() -> Self {
        Self { package: 4 * GIB, header: 32 * MIB, files: 50_000, spec: 32 * MIB, unpacked: 32 * GIB }
    }
}
