//! Bytes that mean harm: there is always a verdict, never a panic.

use std::io::{self, Read};

use crate::support::{Digests, LEAD, codes, read, sealed, source};
use farm_rpm::{Limits, read_binary_from, read_source_from};
use proptest::{collection::vec, prelude::*};

const GENERATIONS: [Digests; 3] = [Digests::Modern, Digests::Old, Digests::Ancient];

/// Reads the bytes as a source and as a result; whether they were refused as a source.
fn is_refused(bytes: &[u8]) -> bool {
    read_binary_from(bytes, &Limits::default()).unwrap();
    let report = read(bytes);
    report.problems.iter().for_each(|problem| assert!(!problem.to_string().is_empty()));
    report.accept().is_err()
}

#[test]
fn every_flipped_bit_behind_the_lead_is_noticed() {
    for digests in GENERATIONS {
        let package = source().digests(digests);
        let (signature, header) = package.headers();
        let mut bytes = package.bytes();
        let signature = LEAD..LEAD + signature.len();
        for at in 0..signature.end + header.len() + 64 {
            for bit in [0x01, 0x20, 0x80] {
                bytes[at] ^= bit;
                let refused = is_refused(&bytes);
                // The lead is not read, nor is what is left of the signature without its digests: with one of three gone, two are left.
                assert!(refused || at < signature.end, "byte {at} bit {bit:#x}");
                bytes[at] ^= bit;
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for digests in GENERATIONS {
        let bytes = source().digests(digests).bytes();
        for end in (0..bytes.len()).filter(|end| *end < 1500 || end % 97 == 0) {
            assert!(is_refused(&bytes[..end]), "cut at {end}");
        }
    }
}

/// Every word of both indexes replaced by numbers that overflow something.
#[test]
fn counts_and_offsets_beyond_all_bounds_are_refused() {
    let package = source().digests(Digests::Ancient);
    let (signature, _) = package.headers();
    let headers = [LEAD, LEAD + signature.len()];
    for start in headers {
        let tags = u32::from_be_bytes(package.bytes()[start + 8..start + 12].try_into().unwrap());
        for word in (start + 8..start + 16 + tags as usize * 16).step_by(4) {
            for value in [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff_u32] {
                let mut bytes = package.bytes();
                bytes[word..word + 4].copy_from_slice(&value.to_be_bytes());
                is_refused(&bytes);
            }
        }
    }
}

/// A disk that fails after so many bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("the disk is gone")) } else { self.0.read(buffer) }
    }
}

#[test]
fn a_failing_disk_is_never_taken_for_a_bad_package() {
    let bytes = source().bytes();
    for end in (0..bytes.len()).step_by(13) {
        assert!(read_source_from(Failing(&bytes[..end]), &Limits::default()).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..4000)) {
        prop_assert!(is_refused(&bytes));
    }

    #[test]
    fn random_bytes_after_a_lead_are_refused(bytes in vec(any::<u8>(), 0..4000)) {
        let lead = source().bytes()[..LEAD].to_vec();
        prop_assert!(is_refused(&[lead, bytes].concat()));
    }

    /// The index of a header that only the MD5 covers, with digests made right afterwards: the parser itself has to hold.
    #[test]
    fn mutated_headers_with_right_digests_get_a_verdict(changes in vec((0_usize..4000, any::<u8>()), 1..40)) {
        let package = source().digests(Digests::Old);
        let (_, mut header) = package.headers();
        for (at, value) in changes {
            let len = header.len();
            header[16 + at % (len - 16)] = value;
        }
        is_refused(&sealed(&header, &package.payload, Digests::Old));
    }
}

#[test]
fn the_same_bytes_sealed_again_are_accepted() {
    let package = source().digests(Digests::Old);
    assert_eq!(codes(&read(&sealed(&package.headers().1, &package.payload, Digests::Old))), [""; 0]);
}
