//! Who makes a request.

/// Who makes a request, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The principal, as in `alice@EXAMPLE.ORG` or `builder/host1@EXAMPLE.ORG`.
    pub principal: String,
    /// How that is known.
    pub how: Way,
}

/// How it is known who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// By a token.
    Token,
    /// By being on the machine of a farm for one person, which asks no questions.
    Local,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Local => "local",
        })
    }
}
