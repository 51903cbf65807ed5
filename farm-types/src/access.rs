//! Who may do what, as words: rights, scopes of tokens, and the ways in which it is known who acts.

use std::{fmt, str::FromStr};

use crate::{UnknownLabel, label::label_enum};

label_enum! {
    /// How it is known who acts.
    Way, "way" {
        /// By a Kerberos ticket.
        Ticket = "ticket",
        /// By a token.
        Token = "token",
        /// By the session of a browser.
        Session = "session",
        /// By being on the machine of a farm for one person, which asks no questions.
        Local = "local",
        /// By a way to the database itself.
        Operator = "operator",
        /// A builder, by what it holds.
        Lease = "lease",
        /// A process of the farm, on its own account.
        Daemon = "daemon",
    }
}

label_enum! {
    /// What a token is good for. A person who came with a ticket has them all.
    Scope, "scope" {
        /// See what the person may see.
        Read = "read",
        /// Upload and hand in jobs.
        Submit = "submit",
        /// Cancel and retry the own jobs; with `Admin` also those of others that the person may change.
        Cancel = "cancel",
        /// Administer what the person may administer, make and revoke tokens.
        Admin = "admin",
    }
}

label_enum! {
    /// What a token in the database is.
    TokenKind, "kind of token" {
        /// Made by hand, for scripts.
        Api = "api",
        /// For some minutes, given for a ticket.
        Login = "login",
        /// In a browser's cookie.
        Session = "session",
    }
}

label_enum! {
    /// What a person may do. Those about an object are given for one or for all of its kind.
    Right, "right" {
        /// Hand in jobs to a bucket.
        Submit = "submit",
        /// See what is in a bucket that is not public.
        See = "see",
        /// Own a bucket: submit to it, see it, cancel and retry whatever is in it.
        Own = "own",
        /// Build on a platform.
        Build = "build",
        /// Use a class.
        Class = "class",
        /// Let builds use the network, where the platform allows it.
        Network = "network",
        /// Define macros and set build conditions for one's builds.
        Define = "define",
        /// Let builds install from repositories that are not the farm's.
        External = "external",
        /// Cancel and retry the jobs of others.
        Change = "change",
        /// Administer builders.
        Builders = "builders",
        /// Administer platforms.
        Platforms = "platforms",
        /// Administer buckets.
        Buckets = "buckets",
        /// Everything.
        Admin = "admin",
    }
}

impl Right {
    /// Whether it is about one object of a kind: a bucket, a platform, a class.
    pub const fn has_object(self) -> bool {
        matches!(self, Self::Submit | Self::See | Self::Own | Self::Build | Self::Class)
    }
}

/// A right as it is given: `submit:scratch`, `build:*`, `admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What for.
    pub right: Right,
    /// On what; `None`: on all, or on the farm as a whole.
    pub object: Option<String>,
}

/// A text that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseGrantError {
    /// There is no such right.
    #[error(transparent)]
    Unknown(#[from] UnknownLabel),
    /// It lacks its object.
    #[error("the right {0} is about one thing or all: {0}:NAME or {0}:*")]
    NoObject(Right),
    /// It has an object that it cannot have.
    #[error("the right {0} is for the whole farm, without “:”")]
    ForAll(Right),
}

impl FromStr for Grant {
    type Err = ParseGrantError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (right, object) = match text.split_once(':') {
            Some((right, object)) => (right.parse::<Right>()?, Some(object)),
            None => (text.parse::<Right>()?, None),
        };
        match (right.has_object(), object) {
            (true, None | Some("")) => Err(ParseGrantError::NoObject(right)),
            (false, Some(_)) => Err(ParseGrantError::ForAll(right)),
            (_, object) => Ok(Self { right, object: object.filter(|object| *object != "*").map(str::to_owned) }),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, self.right.has_object()) {
            (Some(object), _) => write!(f, "{}:{object}", self.right),
            (None, true) => write!(f, "{}:*", self.right),
            (None, false) => self.right.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_reads_back_what_it_prints() {
        for text in ["submit:scratch", "build:*", "own:my.bucket", "class:urgent", "network", "admin"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        assert_eq!("build:*".parse::<Grant>().unwrap().object, None);
    }

    #[test]
    fn a_right_without_its_object_or_with_one_too_many_is_refused() {
        assert_eq!("submit".parse::<Grant>(), Err(ParseGrantError::NoObject(Right::Submit)));
        assert_eq!("submit:".parse::<Grant>(), Err(ParseGrantError::NoObject(Right::Submit)));
        assert_eq!("admin:x".parse::<Grant>(), Err(ParseGrantError::ForAll(Right::Admin)));
        assert!("everything".parse::<Grant>().unwrap_err().to_string().contains("known are"));
    }
}
