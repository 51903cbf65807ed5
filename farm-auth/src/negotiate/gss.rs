//! From what the library says to what is wrong.
//!
//! A code and a text come with a failure. The code is of use only when the mechanism is Kerberos itself: below SPNEGO it is a
//! number that is given out as needed (100001, 100002 …). The text is always there, and not translated, as no program
//! of the farm calls `setlocale`. So both are known for each kind. All of them were seen with MIT Kerberos 1.20, the codes
//! are those of its `krb5.h`.

use libgssapi::error::{Error, MajorFlags};

use super::NegotiateError;

/// What went wrong while `service` was asked for or offered. To be called in the thread in which it happened, which keeps
/// the text.
pub(super) fn explain(error: Error, service: &str) -> NegotiateError {
    let text: String = error.to_string().chars().filter(|c| *c != '\0').collect();
    // `General sentence (what really happened)`
    let said = match text.split_once(" (") {
        Some((_, detail)) if error.minor != 0 => detail.strip_suffix(')').unwrap_or(detail).to_owned(),
        _ => text.replace(" (Unknown error)", ""),
    };
    let routine = (error.major & MajorFlags::from_bits_retain(0xff << 16)).bits();
    // Also while a login is under way: the ticket was good when it began.
    let expired = [MajorFlags::GSS_S_CONTEXT_EXPIRED, MajorFlags::GSS_S_CREDENTIALS_EXPIRED];
    if expired.map(|flag| flag.bits()).contains(&routine) {
        return NegotiateError::Expired;
    }
    if error.minor == 0 {
        if routine == MajorFlags::GSS_S_DEFECTIVE_TOKEN.bits() {
            return NegotiateError::Malformed { said };
        }
        if routine == MajorFlags::GSS_S_BAD_MECH.bits() {
            return NegotiateError::NotKerberos;
        }
    }
    kind(error.minor.cast_signed(), said, service)
}

fn kind(code: i32, said: String, service: &str) -> NegotiateError {
    let is = |codes: &[i32], texts: &[&str]| codes.contains(&code) || texts.iter().any(|text| said.contains(text));
    let service = || service.to_owned();
    // The more special text first: that of a replay cache names a file that is missing.
    if is(&[-1_765_328_350], &["Request is a replay"]) {
        NegotiateError::Replay
    } else if is(&[], &["rcache", "Replay cache", "replay cache"]) {
        NegotiateError::ReplayCache { said }
    } else if is(
        &[-1_765_328_243, -1_765_328_189],
        &["No Kerberos credentials available", "No credentials cache found"],
    ) {
        NegotiateError::NoTicket { said }
    } else if is(&[-1_765_328_352], &["Ticket expired"]) {
        NegotiateError::Expired
    } else if is(&[-1_765_328_347, -1_765_328_351], &["Clock skew too great", "Ticket not yet valid"]) {
        NegotiateError::ClockSkew { said }
    } else if is(&[-1_765_328_378, -1_765_328_366], &["Client's credentials have been revoked", "Client '"]) {
        NegotiateError::Disabled { said }
    } else if said.contains("krbtgt/") && said.contains("not found in Kerberos database") {
        NegotiateError::WrongRealm { said }
    } else if is(&[-1_765_328_377], &["not found in Kerberos database"]) {
        NegotiateError::UnknownService { service: service(), said }
    } else if is(
        &[-1_765_328_228, -1_765_328_230, -1_765_328_164],
        &["Cannot contact any KDC", "Cannot find KDC", "Cannot resolve network address for KDC"],
    ) {
        NegotiateError::KdcUnreachable { said }
    } else if is(&[-1_765_328_353, -1_765_328_360], &["Decrypt integrity check failed", "Preauthentication failed"]) {
        NegotiateError::WrongClientKey { said }
    } else if is(&[], &["keytab is likely out of date", "but cannot decrypt ticket"]) {
        NegotiateError::WrongKeyVersion { said }
    } else if is(&[39_756_033], &["not found in keytab", "No key table entry found matching"]) {
        NegotiateError::NoKey { said }
    } else if is(
        &[-1_765_328_203, -1_765_328_171],
        &["Key table file", "is nonexistent or empty", "Permission denied", "key table format"],
    ) {
        NegotiateError::NoKeytab { said }
    } else {
        NegotiateError::Other { said }
    }
}
