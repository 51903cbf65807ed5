//! Every verdict on a source package, on packages written for the purpose.

use crate::support::{Digests, LEAD, Value, codes, read, source, text, texts};
use farm_rpm::{Compression, Limits, Problem, read_binary_from, read_source, read_source_from};
use rpm::IndexTag;

#[test]
fn a_whole_package_is_accepted_and_says_what_it_is() {
    let package = source().read().accept().unwrap();
    assert_eq!(package.nevra.to_string(), "hello-1:2.10-1%{?dist}.src");
    assert_eq!(package.nevra.file_name(), "hello-2.10-1%{?dist}.src.rpm");
    assert_eq!(package.specs, ["hello.spec"]);
    assert_eq!(package.summary, "Says hello");
    assert_eq!(package.compression, Compression::Gzip);
    let needed: Vec<_> =
        package.build_requires.iter().filter(|needed| !needed.is_rpmlib()).map(ToString::to_string).collect();
    assert_eq!(needed, ["gcc >= 4:8-1", "(a or b)"]);
}

#[test]
fn packages_of_every_generation_are_accepted() {
    for digests in [Digests::Modern, Digests::Old, Digests::Ancient] {
        assert_eq!(source().digests(digests).codes(), [""; 0]);
    }
    let old = source().without(IndexTag::RPMTAG_BASENAMES).without(IndexTag::RPMTAG_DIRNAMES);
    let old = old.with(IndexTag::RPMTAG_OLDFILENAMES, texts(["hello-2.10.tar.gz", "hello.spec"]));
    assert_eq!(old.codes(), [""; 0]);
}

#[test]
fn a_package_without_digests_is_refused() {
    for digests in [Digests::None, Digests::HeaderOnly, Digests::PayloadOnly] {
        assert_eq!(source().digests(digests).codes(), ["no_digest"]);
    }
}

#[test]
fn a_file_that_is_no_package_is_refused_as_what_it_looks_like() {
    assert_eq!(codes(&read(b"")), ["empty"]);
    let report = read(b"<!DOCTYPE html><title>404 Not Found</title>");
    assert_eq!(codes(&report), ["not_rpm"]);
    assert!(report.problems[0].to_string().contains("a web page"), "{}", report.problems[0]);
    assert_eq!(codes(&read(b"\xed\xab\xee\xdb\x03")), ["truncated"]);
}

#[test]
fn damage_is_found_in_each_part() {
    let package = source();
    let (signature, header) = package.headers();
    let starts = [LEAD, LEAD + signature.len(), LEAD + signature.len() + header.len()];
    let flipped = |at: usize| {
        let mut bytes = package.bytes();
        bytes[at] ^= 0x20;
        codes(&read(&bytes))
    };
    assert_eq!(flipped(5), [""; 0], "the minor version of the lead means nothing");
    assert_eq!(flipped(79), ["corrupt_lead"]);
    assert_eq!(flipped(starts[0]), ["corrupt_signature"]);
    assert_eq!(flipped(starts[1]), ["corrupt_header"]);
    assert_eq!(flipped(starts[2] - 5), ["header_digest_mismatch"]);
    assert_eq!(flipped(starts[2] + 500), ["payload_digest_mismatch"]);
}

#[test]
fn a_package_cut_off_or_too_long_says_by_how_much() {
    let whole = source().bytes();
    assert_eq!(read(&whole[..whole.len() - 7]).problems, [Problem::PayloadTruncated { missing: 7 }]);
    let longer = [whole.as_slice(), b"garbage"].concat();
    assert_eq!(read(&longer).problems, [Problem::TrailingBytes { extra: 7 }]);
}

#[test]
fn a_binary_package_is_refused_as_a_source_and_read_as_a_result() {
    let package = source().with(IndexTag::RPMTAG_SOURCERPM, text("hello-2.10-1.src.rpm"));
    let report = package.read();
    assert_eq!(codes(&report), ["binary_package"]);
    assert!(report.problems[0].to_string().contains("\"hello-2.10-1.src.rpm\""));
    let binary = read_binary_from(package.bytes().as_slice(), &Limits::default()).unwrap().accept().unwrap();
    assert_eq!(binary.nevra.arch, "x86_64");
    assert_eq!(binary.source_rpm.as_deref(), Some("hello-2.10-1.src.rpm"));
    assert!(!binary.is_source);
    let rewritten = read_binary_from(source().bytes().as_slice(), &Limits::default()).unwrap().accept().unwrap();
    assert!(rewritten.is_source);
}

#[test]
fn exactly_one_spec_is_wanted() {
    let none = source().files(["a", "b"]).with(IndexTag::RPMTAG_FILEFLAGS, Value::U32(vec![0, 32]));
    assert_eq!(none.read().problems, [Problem::NoSpec { marked: Some("b".to_owned()) }]);
    let two = source().files(["a.spec", "b.spec"]).read();
    assert_eq!(codes(&two), ["several_specs"]);
    assert!(two.problems[0].to_string().contains("\"a.spec\", \"b.spec\""));
}

#[test]
fn sources_that_are_left_out_are_named() {
    let package = source().with(IndexTag::RPMTAG_NOSOURCE, Value::U32(vec![0]));
    let report = package.with(IndexTag::RPMTAG_FILEFLAGS, Value::U32(vec![64, 32])).read();
    assert_eq!(report.problems, [Problem::SourcesMissing { names: vec!["hello-2.10.tar.gz".to_owned()] }]);
    assert_eq!(report.package.unwrap().nevra.arch, "nosrc");
}

#[test]
fn names_that_are_paths_or_commands_are_refused() {
    for name in ["", "../hello", "a/b", ".a", "-a", "a\nb", "a\u{1b}[31m", &"n".repeat(300)] {
        assert_eq!(source().with(IndexTag::RPMTAG_NAME, text(name)).codes(), ["bad_name"], "{name:?}");
    }
    assert_eq!(source().with(IndexTag::RPMTAG_VERSION, text("1-2")).codes(), ["bad_name"]);
    assert_eq!(
        source().with(IndexTag::RPMTAG_NAME, text("n".repeat(250))).codes(),
        ["bad_name"],
        "too long with version"
    );
    assert_eq!(source().with(IndexTag::RPMTAG_EXCLUSIVEARCH, texts(["x86_64", "\u{1b}[2J"])).codes(), ["bad_name"]);
    for name in ["a/hello.spec", "..", "x\ny"] {
        assert_eq!(source().files([name, "hello.spec"]).codes()[0], "bad_file_name", "{name:?}");
    }
    assert_eq!(source().with(IndexTag::RPMTAG_DIRNAMES, texts(["/etc/"])).codes()[0], "corrupt_header");
    for needed in ["-y", "", "a\nb"] {
        let package = source().with(IndexTag::RPMTAG_REQUIRENAME, texts([needed, "b", "c"]));
        let package = package.with(IndexTag::RPMTAG_REQUIREFLAGS, Value::U32(vec![0; 3]));
        assert_eq!(package.codes(), ["bad_requirement"], "{needed:?}");
    }
}

#[test]
fn odd_names_of_real_packages_are_kept() {
    for name in ["parallel-%{ver}", "gtk+", "it's a \"name\"", "libstdc++", "naïve"] {
        assert_eq!(source().with(IndexTag::RPMTAG_NAME, text(name)).read().accept().unwrap().nevra.name, name);
    }
    let hex = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(source().with(IndexTag::RPMTAG_RELEASE, text(hex)).read().accept().unwrap().nevra.release, hex);
}

#[test]
fn text_that_is_not_utf8_is_read_as_latin1() {
    let package = source().with(IndexTag::RPMTAG_ENCODING, text("utf-8"));
    let report = package.with(IndexTag::RPMTAG_SUMMARY, text(b"Gr\xfc\xdfe")).read();
    assert_eq!(report.warnings[0].code(), "not_utf8");
    assert_eq!(report.accept().unwrap().summary, "Grüße");
}

#[test]
fn what_is_beyond_the_limits_is_refused() {
    let bytes = source().bytes();
    let limited = |limits: Limits| codes(&read_source_from(bytes.as_slice(), &limits).unwrap());
    let size = bytes.len() as u64;
    let defaults = Limits::default;
    assert_eq!(limited(Limits { package: size, ..defaults() }), [""; 0]);
    assert_eq!(limited(Limits { package: size - 1, ..defaults() }), ["too_large"]);
    assert_eq!(limited(Limits { package: 100, ..defaults() }), ["too_large"]);
    assert_eq!(limited(Limits { header: 300, ..defaults() }), ["corrupt_header"]);
    assert_eq!(limited(Limits { files: 1, ..defaults() }), ["too_many_files"]);
    assert_eq!(limited(Limits { spec: 999, ..defaults() }), ["spec_too_large"]);
    assert_eq!(limited(Limits { unpacked: 1999, ..defaults() }), ["too_large_unpacked"]);
}

#[test]
fn every_compression_that_rpm_writes_is_known() {
    for (name, magic) in [
        ("gzip", &b"\x1f\x8b"[..]),
        ("bzip2", b"BZh9"),
        ("xz", b"\xfd7zXZ\0"),
        ("lzma", b"\x5d\0\0\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip", b"070701"),
    ] {
        let package = source().with(IndexTag::RPMTAG_PAYLOADCOMPRESSOR, text(name)).payload(magic);
        assert_eq!(package.codes(), [""; 0], "{name}");
    }
    for (name, magic) in [("lrzip", &b"LRZI"[..]), ("gzip", b"BZh9"), ("gzip", b""), ("zstd", b"nonsense")] {
        let package = source().with(IndexTag::RPMTAG_PAYLOADCOMPRESSOR, text(name)).payload(magic);
        assert_eq!(package.codes(), ["unsupported_payload"], "{name}");
    }
    assert_eq!(source().with(IndexTag::RPMTAG_PAYLOADFORMAT, text("drpm")).codes(), ["unsupported_payload"]);
}

#[test]
fn all_reasons_are_told_at_once() {
    let package = source().files(["a.spec", "b.spec", "../c"]).with(IndexTag::RPMTAG_NAME, text("a/b"));
    let package = package.with(IndexTag::RPMTAG_NOPATCH, Value::U32(vec![0]));
    let mut bytes = package.bytes();
    bytes.truncate(bytes.len() - 1);
    let expected = ["payload_truncated", "bad_name", "bad_file_name", "sources_missing", "several_specs"];
    assert_eq!(codes(&read(&bytes)), expected);
}

#[test]
fn a_disk_that_cannot_be_read_is_not_the_packages_fault() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_source(&folder.path().join("missing.src.rpm"), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("missing.src.rpm"), "{error}");
    assert!(read_source(folder.path(), &Limits::default()).is_err());
}
