//! Which server, and who we are there: command line, environment, `~/.config/farm/config.toml`,
//! `/etc/farm/config.toml`, and last this machine.

use std::{
    env, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use farm_api::client::{PeopleClient, Transport};
use serde::Deserialize;

use crate::{cli::Common, exit::Failure, output::warn};

/// What `farm-admin up` listens on.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080/";
/// The configuration of the machine.
const SYSTEM_FILE: &str = "/etc/farm/config.toml";

/// A configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// Address of the server.
    server: Option<String>,
    /// File that holds the token for that server; relative to the configuration file.
    token_file: Option<PathBuf>,
    /// File with the certificates of authorities that we trust beside the system's; relative to the configuration file.
    ca_file: Option<PathBuf>,
}

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Address of the server.
    pub server: String,
    /// File that holds the token for it. Without one, we log in with a Kerberos ticket when the server asks who we are.
    pub token_file: Option<PathBuf>,
    /// File with the certificates of authorities that we trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Config {
    /// Looks in all places; an earlier one wins, each setting for itself.
    pub fn load(common: &Common) -> Result<Self, Failure> {
        let files = [user_file(), Some(PathBuf::from(SYSTEM_FILE))];
        Self::choose(common, files.into_iter().flatten())
    }

    fn choose(common: &Common, files: impl IntoIterator<Item = PathBuf>) -> Result<Self, Failure> {
        let (mut server, mut token_file, mut ca_file) = (None, None, None);
        for file in files {
            let config = read(&file)?;
            server = server.or(config.server);
            let folder = file.parent().unwrap_or(Path::new("/"));
            token_file = token_file.or(config.token_file.map(|name| folder.join(name)));
            ca_file = ca_file.or(config.ca_file.map(|name| folder.join(name)));
        }
        let configured = server.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let server = common.server.clone().unwrap_or_else(|| configured.clone());
        // A configured token is for the configured server: it is not shown to another one.
        let configured_token = token_file.filter(|_| server.trim_end_matches('/') == configured.trim_end_matches('/'));
        Ok(Self { server, token_file: common.token_file.clone().or(configured_token), ca_file })
    }

    /// A client of that server.
    pub fn client(&self) -> Result<PeopleClient, Failure> {
        let program = concat!("farm/", env!("CARGO_PKG_VERSION"));
        let transport = Transport::trusting(&self.server, program, self.ca_file.as_deref())?;
        let transport = match &self.token_file {
            None => transport.with_login("api/v1/token"),
            Some(file) => transport.with_token(&token(file)?)?,
        };
        Ok(PeopleClient::new(transport))
    }
}

fn user_file() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("farm/config.toml"))
}

fn read(file: &Path) -> Result<ConfigFile, Failure> {
    match fs_err::read_to_string(file) {
        Ok(text) => toml::from_str(&text).map_err(|error| Failure::Local(format!("{}: {error}", file.display()))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(ConfigFile::default())
        }
        Err(error) => Err(Failure::Local(error.to_string())),
    }
}

fn token(file: &Path) -> Result<String, Failure> {
    let problem = |error: io::Error| Failure::Local(format!("cannot read the token: {error}"));
    let mode = fs_err::metadata(file).map_err(problem)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn(&format!("others can read your token: chmod 600 {}", file.display()));
    }
    fs_err::read_to_string(file).map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_users_file_goes_before_the_machines_and_the_command_line_before_both() {
        let folder = tempfile::tempdir().unwrap();
        let user = file(folder.path(), "user.toml", "token_file = \"secret\"");
        let system = file(folder.path(), "system.toml", "server = \"http://farm/\"\ntoken_file = \"/etc/other\"");
        let files = [user, system, folder.path().join("missing.toml")];
        let config = Config::choose(&Common::default(), files.clone()).unwrap();
        assert_eq!(config.server, "http://farm/");
        assert_eq!(config.token_file, Some(folder.path().join("secret")));
        let other = Common { server: Some("http://elsewhere/".into()), ..Common::default() };
        let config = Config::choose(&other, files).unwrap();
        assert_eq!(config, Config { server: "http://elsewhere/".into(), token_file: None, ca_file: None });
    }

    #[test]
    fn without_any_configuration_the_server_is_this_machine() {
        assert_eq!(Config::choose(&Common::default(), []).unwrap().server, DEFAULT_SERVER);
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = file(folder.path(), "c.toml", "servr = \"http://farm/\"");
        let message = Config::choose(&Common::default(), [wrong]).unwrap_err().to_string();
        assert!(message.contains("c.toml") && message.contains("servr") && message.contains("line 1"), "{message}");
    }
}
