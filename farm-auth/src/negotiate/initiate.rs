//! The client's side: going somewhere with a ticket, and making sure of who answers.

use libgssapi::{
    context::{ClientCtx, CtxFlags, SecurityContext as _},
    error::Error,
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE, Oid},
};

use super::{NegotiateError, gss::explain};

/// A login that waits for the server's proof.
pub struct Initiator {
    context: ClientCtx,
    service: String,
}

impl Initiator {
    /// Begins a login at the web server on a host, named as in its principal `HTTP/host`. Gives the token for the request.
    ///
    /// It takes the ticket of this process's user, or gets one with the keytab that `KRB5_CLIENT_KTNAME` names. It may ask the
    /// KDC and take as long as that takes: not for async threads.
    pub fn new(host: &str) -> Result<(Self, Vec<u8>), NegotiateError> {
        let service = format!("HTTP@{host}");
        let mut context = context(&service, GSS_MECH_SPNEGO).map_err(|error| explain(error, &service))?;
        match context.step(None, None) {
            Ok(Some(token)) => Ok((Self { context, service }, token.to_vec())),
            Ok(None) => Err(NegotiateError::Other { said: "it gives no token to send".to_owned() }),
            Err(error) => Err(reason(error, &service)),
        }
    }

    /// Checks the token that the server answered: only who has the key of that host can make it.
    pub fn finish(mut self, reply: &[u8]) -> Result<(), NegotiateError> {
        let service = self.service;
        let not_proven = |said: String| NegotiateError::ServerNotProven { service: service.clone(), said };
        let failed = |error| match explain(error, &service) {
            NegotiateError::Expired => NegotiateError::Expired,
            error => not_proven(error.to_string()),
        };
        if reply.is_empty() {
            return Err(not_proven("its answer has no token".to_owned()));
        }
        match self.context.step(Some(reply), None) {
            // The flag is asked of the library, not remembered: it is what was reached, not what was wanted.
            Ok(_) if self.context.is_complete() => match self.context.flags() {
                Ok(flags) if flags.contains(CtxFlags::GSS_C_MUTUAL_FLAG) => Ok(()),
                Ok(_) => Err(not_proven("it proved nothing".to_owned())),
                Err(error) => Err(failed(error)),
            },
            Ok(_) => Err(not_proven("it wants a second round".to_owned())),
            Err(error) => Err(failed(error)),
        }
    }
}

impl std::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initiator").field("service", &self.service).finish_non_exhaustive()
    }
}

fn context(service: &str, mechanism: Oid<'static>) -> Result<ClientCtx, Error> {
    let target = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
    Ok(ClientCtx::new(None, target, CtxFlags::GSS_C_MUTUAL_FLAG, Some(mechanism)))
}

/// SPNEGO often says only that there is nothing to negotiate with; Kerberos, asked without it, says why.
fn reason(error: Error, service: &str) -> NegotiateError {
    match explain(error, service) {
        NegotiateError::Other { said } => {
            match context(service, GSS_MECH_KRB5).and_then(|mut context| context.step(None, None)) {
                Err(error) => explain(error, service),
                Ok(_) => NegotiateError::Other { said },
            }
        }
        known => known,
    }
}
