//! Making a repository's metadata with createrepo_c.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context as _, bail};
use farm_db::publish::Package;
use tokio::process::Command;
use tracing::warn;

use crate::{
    folder::{Folder, names},
    packages::location,
};

/// How createrepo_c ends when it left out packages that librpm cannot read.
const SOME_LEFT_OUT: i32 = 2;

/// The program.
#[derive(Debug, Clone)]
pub(crate) struct Createrepo(PathBuf);

/// Metadata that is whole, but not public yet.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The folder that holds it.
    pub dir: PathBuf,
    /// Its files, named by their checksums, without repomd.xml.
    pub files: HashSet<String>,
}

impl Createrepo {
    /// The program, which has to be there.
    pub(crate) async fn find(program: &Path) -> anyhow::Result<Self> {
        let this = Self(program.to_owned());
        let output = this.output(Command::new(program).arg("--version")).await?;
        if !output.status.success() {
            bail!("`{} --version` fails: {}", program.display(), words(&output));
        }
        Ok(this)
    }

    /// Makes the metadata of exactly these packages, in a folder of the run's.
    pub(crate) async fn make(&self, folder: &Folder, run: &Path, packages: &[Package]) -> anyhow::Result<Metadata> {
        let list = run.join("packages.list");
        let lines: String = packages.iter().map(|package| location(package) + "\n").collect();
        fs_err::tokio::write(&list, lines).await?;
        let made = run.join("metadata");
        fs_err::tokio::create_dir(&made).await?;

        let mut command = Command::new(&self.0);
        command
            .args(["--quiet", "--error-exit-val", "--no-database"])
            // What every dnf reads.
            .args(["--general-compress-type", "gz"])
            .arg("--pkglist")
            .arg(&list)
            .arg("--outputdir")
            .arg(&made);
        if folder.repomd().exists() {
            // What is known of packages that stay is taken from there. They are known by their path, and so by their digest.
            command.args(["--update", "--update-md-path"]).arg(&folder.public);
        }
        let output = self.output(command.arg(&folder.public)).await?;
        match output.status.code() {
            Some(0) => {}
            Some(SOME_LEFT_OUT) => {
                warn!("createrepo_c left packages out of {}: {}", folder.public.display(), words(&output))
            }
            _ => bail!("{} fails ({}): {}", self.0.display(), output.status, words(&output)),
        }
        let dir = made.join("repodata");
        let mut files: HashSet<String> = names(&dir)?.into_iter().collect();
        if !files.remove("repomd.xml") {
            bail!("{} made no repomd.xml: {}", self.0.display(), words(&output));
        }
        Ok(Metadata { dir, files })
    }

    async fn output(&self, command: &mut Command) -> anyhow::Result<Output> {
        // If the daemon is told to end, so is the program.
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.with_context(|| {
            format!(
                "cannot run {}, which makes the metadata of repositories; install the package createrepo_c (Debian: \
                 createrepo-c), or set `createrepo` to its path",
                self.0.display()
            )
        })
    }
}

/// The end of what a program says, in one line.
fn words(output: &Output) -> String {
    const SHOWN: usize = 2000;
    let text = String::from_utf8_lossy(&output.stderr);
    let words: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    if words.is_empty() {
        return "it says nothing".to_owned();
    }
    words[words.len().saturating_sub(SHOWN)..].iter().collect::<String>().escape_debug().to_string()
}
