//! Repositories that a job names beside those of its platforms.

use std::fmt;

use farm_types::RepositoryName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest URL that is taken.
const URL_BYTES: usize = 500;

/// A repository that a job names, as it is handed in: one of the platform's by its `name`, or any other by its `baseurl`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewRepository {
    /// What the recipes of the platforms call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseurl: Option<String>,
    /// URL of the key that signs its packages; without, signatures are not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpgkey: Option<String>,
    /// As in dnf: the lower number wins; 99 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
}

impl From<ExtraRepository> for NewRepository {
    fn from(asked: ExtraRepository) -> Self {
        match asked {
            ExtraRepository::Named { name } => {
                Self { name: Some(name.to_string()), baseurl: None, gpgkey: None, priority: None }
            }
            ExtraRepository::External { baseurl, gpgkey, priority } => {
                Self { name: None, baseurl: Some(baseurl), gpgkey, priority }
            }
        }
    }
}

/// A repository that a job names, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ExtraRepository {
    /// One of the platform's, which are not all enabled for every build.
    Named {
        /// What the recipe calls it.
        name: RepositoryName,
    },
    /// One that is not the farm's.
    External {
        /// Where it is: http, https or ftp.
        baseurl: String,
        /// URL of the key that signs its packages; without, signatures are not checked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gpgkey: Option<String>,
        /// As in dnf: the lower number wins; 99 when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<u16>,
    },
}

impl NewRepository {
    /// What it means, or everything that is wrong with it.
    pub(super) fn check(&self) -> Result<ExtraRepository, Vec<String>> {
        match (&self.name, &self.baseurl) {
            (Some(name), None) => {
                if self.gpgkey.is_some() || self.priority.is_some() {
                    return Err(vec![format!(
                        "repository {}: key and priority of a platform's repository stand in its recipe",
                        name.escape_debug()
                    )]);
                }
                name.parse().map(|name| ExtraRepository::Named { name }).map_err(|error| vec![error.to_string()])
            }
            (None, Some(baseurl)) => {
                let problems: Vec<_> = [Some(baseurl), self.gpgkey.as_ref()]
                    .into_iter()
                    .flatten()
                    .filter_map(|url| problem(url))
                    .collect();
                if !problems.is_empty() {
                    return Err(problems);
                }
                let (baseurl, gpgkey, priority) = (baseurl.clone(), self.gpgkey.clone(), self.priority);
                Ok(ExtraRepository::External { baseurl, gpgkey, priority })
            }
            _ => Err(vec!["a repository has either a name, which the platforms know, or a baseurl".to_owned()]),
        }
    }
}

/// What is wrong with a URL. dnf takes lists of them, and files of the host that it runs on: a job may name neither.
fn problem(url: &str) -> Option<String> {
    let rest = ["https://", "http://", "ftp://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let why = match host {
        _ if url.len() > URL_BYTES => "it is longer than 500 bytes",
        None => "it takes https://, http:// or ftp://",
        Some("") => "it names no host",
        // Everybody who sees the job sees the URL.
        Some(host) if host.contains('@') => "it holds a user or a password, which everybody could read",
        _ if !url.chars().all(|c| c.is_ascii_graphic()) || url.contains([',', '"', '\'', '\\', '<', '>', '{', '}']) => {
            "it has characters that belong into no URL; write them as %2C, %20 and so on"
        }
        _ => return None,
    };
    Some(format!("repository “{}”: {why}", url.chars().take(120).collect::<String>().escape_debug()))
}

impl fmt::Display for ExtraRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name } => name.fmt(f),
            Self::External { baseurl, gpgkey, priority } => {
                f.write_str(baseurl)?;
                if let Some(key) = gpgkey {
                    write!(f, " gpgkey={key}")?;
                }
                priority.map_or(Ok(()), |priority| write!(f, " priority={priority}"))
            }
        }
    }
}
