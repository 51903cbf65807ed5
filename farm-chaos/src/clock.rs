//! A clock that is wrong: libfaketime between a process and the time of day. (What measures spans is right on any machine.)

use std::path::{Path, PathBuf};

/// Where the library may be.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The clock of one process.
#[derive(Debug, Clone)]
pub struct Clock {
    file: PathBuf,
    library: &'static str,
}

impl Clock {
    /// A clock that is kept in that file, and right so far. `None`: there is no libfaketime.
    pub fn new(file: PathBuf) -> anyhow::Result<Option<Self>> {
        let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else { return Ok(None) };
        let clock = Self { file, library };
        clock.set(0)?;
        Ok(Some(clock))
    }

    /// From now on it is wrong by so many hours.
    pub fn set(&self, hours: i32) -> anyhow::Result<()> {
        let aside = self.file.with_extension("new");
        fs_err::write(&aside, format!("{hours:+}h\n"))?;
        Ok(fs_err::rename(aside, &self.file)?)
    }

    /// What a process has to have in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.display().to_string();
        [
            ("LD_PRELOAD", self.library),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }
}
