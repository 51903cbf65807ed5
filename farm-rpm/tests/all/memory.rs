//! Memory does not grow with the package, nor with what a hostile header claims.
//!
//! The whole program is measured, other tests that run beside included: all of them are small.

use std::io::{self, Read};

use farm_rpm::{Limits, read_source_from};
use rpm::IndexTag;

use crate::{
    MEMORY,
    support::{Digests, codes, header_over, read, sealed, source},
};

const MIB: usize = 1 << 20;

#[test]
fn memory_is_bounded_whatever_the_package() {
    let (before, report) = (MEMORY.current_usage(), {
        MEMORY.reset_peak_usage();
        let endless = io::repeat(7).take(64 * MIB as u64);
        read_source_from(source().bytes().chain(endless), &Limits::default()).unwrap()
    });
    assert_eq!(codes(&report), ["trailing_bytes"]);
    let grown = MEMORY.peak_usage().saturating_sub(before);
    assert!(grown < 10 * MIB, "a large payload took {grown} bytes");

    // Every list that is read points to the same text, as long as a list may be.
    let lists = [
        IndexTag::RPMTAG_BASENAMES,
        IndexTag::RPMTAG_REQUIRENAME,
        IndexTag::RPMTAG_REQUIREVERSION,
        IndexTag::RPMTAG_PROVIDENAME,
        IndexTag::RPMTAG_PROVIDEVERSION,
        IndexTag::RPMTAG_BUILDARCHS,
        IndexTag::RPMTAG_EXCLUSIVEARCH,
        IndexTag::RPMTAG_EXCLUDEARCH,
    ];
    let header = header_over(&lists, 1 << 17, &b"\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\0".repeat(3 * MIB));
    let bytes = sealed(&header, b"\x1f\x8b", Digests::Old);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let report = read(&bytes);
    assert!(codes(&report).contains(&"too_many_files"), "{:?}", codes(&report));
    let grown = MEMORY.peak_usage().saturating_sub(before);
    assert!(grown < 200 * MIB, "a swollen header took {grown} bytes");

    // A claim of gigabytes with nothing behind it.
    let mut claim = source().bytes()[..112].to_vec();
    claim[104..112].copy_from_slice(&[0, 0, 0xff, 0xff, 0x01, 0, 0, 0]);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    assert_eq!(codes(&read(&claim)), ["truncated"]);
    let grown = MEMORY.peak_usage().saturating_sub(before);
    assert!(grown < 10 * MIB, "an empty claim took {grown} bytes");
}
