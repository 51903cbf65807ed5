//! The server's side: who comes with a ticket.

use std::{sync::Arc, time::Duration};

use libgssapi::{
    context::{SecurityContext as _, ServerCtx},
    credential::{Cred, CredUsage},
    error::Error,
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE, Oid, OidSet},
};

use super::{NegotiateError, gss::explain};

/// What NTLM begins with when it comes without SPNEGO around it.
const NTLM: &[u8] = b"NTLMSSP\0";
/// What the name of someone who is nobody begins with (RFC 8062).
const ANONYMOUS: &str = "WELLKNOWN/ANONYMOUS";

/// Checks tickets with the keys of a service. A key that is added to the keytab later is seen without a restart.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

struct Inner {
    credential: Cred,
    service: String,
}

/// Who came.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The principal with its realm, as in `alice@EXAMPLE.ORG`.
    pub principal: String,
    /// The token that proves the server to the client: it belongs into `WWW-Authenticate` of the answer that succeeds.
    pub reply: Vec<u8>,
    /// For how long the ticket is good; the library adds the clock skew that is allowed. Nothing that the ticket brought should live
    /// longer.
    pub lifetime: Duration,
}

impl Acceptor {
    /// With the key of a service, as in `HTTP@farm.example.org`, or whatever keys are in the keytab (`KRB5_KTNAME`).
    /// Fails if there is none. It reads files: not for the async threads of a server that already runs.
    pub fn new(service: Option<&str>) -> Result<Self, NegotiateError> {
        check_replay_cache()?;
        let service_text = service.unwrap_or("any service").to_owned();
        let explained = |error| explain(error, &service_text);
        let name = service.map(|name| Name::new(name.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)));
        let name = name.transpose().map_err(explained)?;
        let acquire = |mechanisms: &[Oid<'static>]| {
            let set = set_of(mechanisms)?;
            Cred::acquire(name.as_ref(), None, CredUsage::Accept, Some(&set))
        };
        // Asked of Kerberos first: SPNEGO would only say that there is nothing to negotiate with.
        acquire(&[GSS_MECH_KRB5]).map_err(explained)?;
        // Both, for with one alone the clients that speak the other are refused.
        let credential = acquire(&[GSS_MECH_SPNEGO, GSS_MECH_KRB5]).map_err(explained)?;
        Ok(Self(Arc::new(Inner { credential, service: service_text })))
    }

    /// Checks the token of a request. It takes a tenth of a millisecond or a disk access, on a thread for that.
    pub async fn accept(&self, token: Vec<u8>) -> Result<Accepted, NegotiateError> {
        let acceptor = self.clone();
        tokio::task::spawn_blocking(move || acceptor.accept_blocking(&token))
            .await
            .unwrap_or_else(|error| Err(NegotiateError::Other { said: error.to_string() }))
    }

    /// The same on this thread.
    pub fn accept_blocking(&self, token: &[u8]) -> Result<Accepted, NegotiateError> {
        if token.starts_with(NTLM) {
            return Err(NegotiateError::NotKerberos);
        }
        let explained = |error| explain(error, &self.0.service);
        let mut context = ServerCtx::new(Some(self.0.credential.clone()));
        let reply = context.step(token, None).map_err(explained)?;
        if !context.is_complete() {
            return Err(NegotiateError::SecondRound);
        }
        let name = context.source_name().and_then(|name| name.display_name()).map_err(explained)?;
        let principal = String::from_utf8(name.to_vec())
            .map_err(|_| NegotiateError::Other { said: "the name in the ticket is not UTF-8".to_owned() })?;
        if principal.starts_with(ANONYMOUS) {
            return Err(NegotiateError::Anonymous);
        }
        let lifetime = context.lifetime().map_err(explained)?;
        Ok(Accepted { principal, reply: reply.map(|reply| reply.to_vec()).unwrap_or_default(), lifetime })
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("service", &self.0.service).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { principal, lifetime, .. } = self;
        f.debug_struct("Accepted").field("principal", principal).field("lifetime", lifetime).finish_non_exhaustive()
    }
}

fn set_of(mechanisms: &[Oid<'static>]) -> Result<OidSet, Error> {
    let mut set = OidSet::new();
    for mechanism in mechanisms {
        set.add(*mechanism)?;
    }
    Ok(set)
}

/// Without a memory of what was seen, who overhears a token can use it too.
fn check_replay_cache() -> Result<(), NegotiateError> {
    for variable in ["KRB5RCACHENAME", "KRB5RCACHETYPE"] {
        let value = std::env::var(variable).unwrap_or_default();
        if value == "none" || value.starts_with("none:") {
            return Err(NegotiateError::ReplayCache { said: format!("the environment has {variable}={value}") });
        }
    }
    Ok(())
}
