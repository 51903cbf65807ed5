//! Every way in which a login by ticket can fail, as a sentence with its cure.

/// Why a login by Kerberos ticket failed. The sentences are for the person who can do something about it: the one who called a
/// tool, or the operator who reads a daemon's log. What a server tells a client is [`public`](Self::public).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// Client: nothing to log in with.
    #[error(
        "there is no Kerberos ticket: run kinit; a daemon needs KRB5_CLIENT_KTNAME to name a keytab it can read ({said})"
    )]
    NoTicket {
        /// What the library said.
        said: String,
    },
    /// Client: the ticket is too old.
    #[error(
        "the Kerberos ticket has expired: run kinit; a daemon gets a new one by itself when KRB5_CLIENT_KTNAME names the \
         keytab of the very principal whose ticket is in KRB5CCNAME"
    )]
    Expired,
    /// Both: the clocks differ by more than five minutes, or whatever krb5.conf says.
    #[error(
        "the clocks of this machine, the other one and the KDC differ by more than Kerberos allows: set them by NTP ({said})"
    )]
    ClockSkew {
        /// What the library said.
        said: String,
    },
    /// Client: the KDC does not know such a server.
    #[error(
        "the KDC knows no {service}: the URL has to have the full host name that the server's principal has, not an \
         address or a short name; if it has, make that principal ({said})"
    )]
    UnknownService {
        /// The service asked for, as in `HTTP@farm.example.org`.
        service: String,
        /// What the library said.
        said: String,
    },
    /// Client: the server is in a realm to which ours has no way.
    #[error(
        "the server is in another realm than the ticket, as far as its host name tells, and there is no trust between the two: \
         correct the URL, get a ticket of the server's realm, or correct [domain_realm] in krb5.conf ({said})"
    )]
    WrongRealm {
        /// What the library said.
        said: String,
    },
    /// Client: the KDC gives this principal nothing.
    #[error("the KDC gives this principal no tickets: it is disabled or was deleted; ask who runs the realm ({said})")]
    Disabled {
        /// What the library said.
        said: String,
    },
    /// Client: the key in the daemon's keytab is not the one that the KDC has.
    #[error("the KDC does not take the key in the keytab that KRB5_CLIENT_KTNAME names: make the keytab anew ({said})")]
    WrongClientKey {
        /// What the library said.
        said: String,
    },
    /// Client: no KDC answers.
    #[error("no KDC answers: it is down, or krb5.conf does not say where it is ({said})")]
    KdcUnreachable {
        /// What the library said.
        said: String,
    },
    /// Client: whoever answered is not the server, or cannot show that it is.
    #[error("the server did not prove that it is {service}: do not trust what answers there ({said})")]
    ServerNotProven {
        /// The service asked for.
        service: String,
        /// What is wrong with its proof.
        said: String,
    },
    /// Server: no keytab.
    #[error(
        "there is no keytab that can be read: let KRB5_KTNAME name one that belongs to the user this runs as ({said})"
    )]
    NoKeytab {
        /// What the library said.
        said: String,
    },
    /// Server: no key for what the ticket is for.
    #[error(
        "the keytab has no key for that principal: add it (kadmin: ktadd), or correct the name; klist -k lists what is in \
         the keytab ({said})"
    )]
    NoKey {
        /// What the library said.
        said: String,
    },
    /// Server: the key in the keytab is not the one that the KDC has.
    #[error(
        "the key in the keytab is not the one that the KDC uses now: add the new one (kadmin: ktadd) and leave the old one \
         in place until the tickets made with it have expired ({said})"
    )]
    WrongKeyVersion {
        /// What the library said.
        said: String,
    },
    /// Server: this token has been seen before.
    #[error("this login was used before: somebody repeats what he overheard, or a program sends a token twice")]
    Replay,
    /// Server: the memory of what was seen does not work.
    #[error(
        "the replay cache does not work, so nobody can log in: let KRB5RCACHEDIR name a folder of this process's user ({said})"
    )]
    ReplayCache {
        /// What is wrong with it.
        said: String,
    },
    /// Server: something else than Kerberos, NTLM as a rule.
    #[error(
        "the client offers another way to log in than Kerberos: it has no ticket for this server, and tries NTLM or the like"
    )]
    NotKerberos,
    /// Server: the client wants to talk first.
    #[error("the client's login takes more than one round: it came without a ticket in its first token")]
    SecondRound,
    /// Server: no token at all.
    #[error("what came as a Negotiate token is none: {said}")]
    Malformed {
        /// What is wrong with it.
        said: String,
    },
    /// Server: a ticket that says nothing about who holds it.
    #[error("the ticket is anonymous")]
    Anonymous,
    /// Anything else, in the words of the library.
    #[error("Kerberos says: {said}")]
    Other {
        /// What the library said.
        said: String,
    },
}

impl NegotiateError {
    /// What a server may tell the client: what the client can mend, and nothing about the server.
    pub fn public(&self) -> &'static str {
        match self {
            Self::ClockSkew { .. } => {
                "your clock and the server's differ by more than Kerberos allows: set yours by NTP"
            }
            Self::Expired => "the ticket has expired: run kinit",
            Self::Replay => "this login was used before: every request needs a new Negotiate token",
            Self::NotKerberos | Self::SecondRound => {
                "the server takes Kerberos tickets in one round and nothing else: run kinit"
            }
            Self::Malformed { .. } => "that is no Negotiate token",
            Self::Anonymous => "anonymous tickets are not taken",
            Self::NoKeytab { .. } | Self::ReplayCache { .. } => {
                "the server cannot check tickets at the moment; its log says why"
            }
            Self::NoKey { .. } | Self::WrongKeyVersion { .. } | Self::WrongRealm { .. } => {
                "the ticket is for another server than this, or for an old key of it: run kinit again; if that does not help, \
                 the server's log says why"
            }
            _ => "the ticket was not accepted; the server's log says why",
        }
    }

    /// Whether it may well succeed a little later, with nobody doing anything here.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::KdcUnreachable { .. })
    }

    /// Whether it is the server that cannot check tickets, whoever comes: 503 rather than 401.
    pub fn is_servers_fault(&self) -> bool {
        matches!(self, Self::NoKeytab { .. } | Self::ReplayCache { .. })
    }
}
