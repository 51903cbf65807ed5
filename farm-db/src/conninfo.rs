//! What is added to a conninfo before libpq gets it.

/// What a conninfo that does not say otherwise gets, so that a server that vanished without a word, with its machine or its network,
/// is given up in less than half a minute: libpq would wait for it for as long as the kernel does, two hours and more, and a second
/// server in the conninfo would never get its turn.
const PATIENCE: [(&str, &str); 5] = [
    ("connect_timeout", "3"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

/// The conninfo with bounds on how long a server that vanished is waited for. (They mean nothing on a unix socket.)
pub(crate) fn patient(conninfo: &str) -> String {
    let missing = PATIENCE.iter().filter(|(key, _)| !conninfo.contains(key));
    missing.fold(conninfo.to_owned(), |conninfo, (key, value)| with(&conninfo, key, value))
}

/// The conninfo with one more setting, which goes before one of the same name. The value needs no quotes.
pub(crate) fn with(conninfo: &str, key: &str, value: &str) -> String {
    let join = match (conninfo.contains("://"), conninfo.contains('?')) {
        (true, true) => "&",
        (true, false) => "?",
        (false, _) => " ",
    };
    format!("{conninfo}{join}{key}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_left_and_what_is_not_said_is_added_in_both_forms() {
        let words = patient("host=a,b target_session_attrs=read-write connect_timeout=9");
        assert!(
            words.starts_with("host=a,b target_session_attrs=read-write connect_timeout=9 keepalives_idle=10 "),
            "{words}"
        );
        assert!(patient("postgresql:///farm").starts_with("postgresql:///farm?connect_timeout=3&keepalives_idle=10&"));
        assert!(patient("postgresql:///farm?user=x").starts_with("postgresql:///farm?user=x&connect_timeout=3&"));
    }
}
