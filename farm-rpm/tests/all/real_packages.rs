//! The verdict on every real package beside the checkout, and a second opinion on each from the `rpm` crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use farm_rpm::{Limits, read_source};
use rpm::PackageMetadata;

/// What is refused, and why; all others are accepted.
const REFUSED: &[(&str, &[&str])] = &[
    ("bad/Makefile.rpm", &["not_rpm"]),
    ("bad/bad.rpm", &["not_rpm"]),
    ("bad/broken.rpm", &["corrupt_lead"]),
    ("bad/firefox-3.5.6-b1.nosrc.rpm", &["truncated"]),
    ("bad/fping-2.2b1-1.src.rpm", &["payload_truncated"]),
    ("bad/fping-2.2b1-49607cl.src.rpm", &["truncated"]),
    ("bad/fping-2.4b2-7.el4.asp101.src.rpm", &["payload_truncated"]),
    ("bad/fxload-2002_04_11-212.1.src.rpm", &["payload_truncated"]),
    ("bad/perl-CGI-3.42-8.src.rpm", &["payload_truncated"]),
    ("bad/rpm_trailing.rpm", &["trailing_bytes"]),
    ("good/no-spec-file-0-0.src.rpm", &["no_spec"]),
    ("good/not-compressed-multi-spec-1.0-0.src.rpm", &["several_specs"]),
    ("good/test-nopatch-1-1.fc24.nosrc.rpm", &["sources_missing", "no_spec"]),
    ("good/test-nosrc-1-1.fc24.nosrc.rpm", &["sources_missing", "no_spec"]),
    // Its spec is called test-src._spec.
    ("good/test-src-1-1.fc24.src.rpm", &["no_spec"]),
];

/// The files of a folder of real packages, with the names they have in the table; none where the folder is missing.
fn real(folder: &str) -> Vec<(String, PathBuf)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/srpms").join(folder);
    let Ok(entries) = fs::read_dir(&path) else {
        eprintln!("SKIPPED: there are no real packages at {}", path.display());
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (format!("{folder}/{name}"), path.join(&name))).collect()
}

#[test]
fn real_packages_get_the_verdict_they_deserve() {
    for (name, path) in real("good").into_iter().chain(real("bad")) {
        let report = read_source(&path, &Limits::default()).unwrap();
        let codes: Vec<_> = report.problems.iter().map(|problem| problem.code()).collect();
        let expected = REFUSED.iter().find(|(refused, _)| *refused == name).map_or(&[][..], |(_, codes)| codes);
        assert_eq!(codes, expected, "{name}: {:?}", report.problems);
        assert!(!name.starts_with("bad/") || !codes.is_empty(), "{name} is accepted");
    }
}

#[test]
fn real_packages_say_the_same_to_another_reader() {
    for (name, path) in real("good") {
        let ours = read_source(&path, &Limits::default()).unwrap().package.unwrap();
        let theirs = PackageMetadata::open(&path).unwrap();
        assert_eq!(ours.nevra.name, theirs.get_name().unwrap(), "{name}");
        assert_eq!(ours.nevra.version, theirs.get_version().unwrap(), "{name}");
        assert_eq!(ours.nevra.release, theirs.get_release().unwrap(), "{name}");
        assert_eq!(ours.nevra.epoch, theirs.get_epoch().ok(), "{name}");
        assert!(theirs.is_source_package(), "{name}");
        let needs: Vec<_> =
            theirs.get_requires().unwrap().into_iter().map(|need| (need.name, need.flags, need.version)).collect();
        let ours_needs: Vec<_> =
            ours.build_requires.into_iter().map(|need| (need.name, need.flags, need.evr)).collect();
        assert_eq!(ours_needs, needs, "{name}");
        let files: Vec<_> = theirs.get_file_paths().unwrap();
        let ours_files: Vec<_> = ours.files.iter().map(|file| PathBuf::from(&file.name)).collect();
        assert_eq!(ours_files, files, "{name}");
    }
}
