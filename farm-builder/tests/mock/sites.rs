//! Hosts with a mock on them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use farm_builder::{MockConfig, MockDriver, mock::IsolationChoice};
use tempfile::TempDir;

/// A folder with configurations of mock, and with all that a driver and mock keep.
pub struct Site {
    pub folder: TempDir,
    pub config: MockConfig,
}

impl Site {
    /// One whose mock is a stand-in, which behaves in a certain way: see there.
    pub fn stand_in(behave: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let config_dir = folder.path().join("etc");
        std::fs::create_dir(&config_dir).unwrap();
        let roots = folder.path().join("roots");
        let text = format!(
            "config_opts['root'] = 'mini12'\nconfig_opts['basedir'] = '{}'\nconfig_opts['behave'] = '{behave}'\n\
             config_opts['cache_topdir'] = '{}'\nconfig_opts['dnf.conf'] = '[base]'\n",
            roots.display(),
            folder.path().join("cache").display()
        );
        std::fs::write(config_dir.join("mini12-x86_64.cfg"), text).unwrap();
        let config = MockConfig {
            program: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mock/stand-in"),
            config_dir,
            isolation: IsolationChoice::Simple,
            allow_simple_isolation: true,
            user: Some("nobody".to_owned()),
            ..MockConfig::default()
        };
        Self { folder, config }
    }

    pub async fn driver(&self) -> MockDriver {
        MockDriver::new(&self.data(), self.config.clone()).await.unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the driver and mock have left.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let folders = [self.data().join("mock"), self.folder.path().join("roots")];
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}
