//! What a conninfo of libpq says of the server.

use std::collections::HashMap;

/// The settings that matter here, from `host=db user=x`, or from `postgresql://x@db/farm?…`. libpq reads it too, and says what is
/// wrong with it.
pub(super) fn settings(conninfo: &str) -> HashMap<String, String> {
    let uri = ["postgresql://", "postgres://"].iter().find_map(|scheme| conninfo.strip_prefix(scheme));
    match uri {
        Some(rest) => from_uri(rest),
        None => from_words(conninfo),
    }
}

fn from_uri(rest: &str) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = before.split('/').next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            settings.insert(key.to_owned(), value.replace("%2F", "/").replace("%2f", "/"));
        }
    };
    put("host", host);
    put("user", user.split(':').next().unwrap_or_default());
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        put(key, value);
    }
    settings
}

/// `key = value` in any number, values in quotes if need be, backslash before a quote or backslash.
fn from_words(conninfo: &str) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let mut chars = conninfo.trim_start().chars().peekable();
    while chars.peek().is_some() {
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=') {
            key.push(c);
        }
        chars.next();
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        while let Some(c) = chars.next_if(|c| if quoted { *c != '\'' } else { !c.is_whitespace() }) {
            value.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
        }
        if quoted {
            chars.next();
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        settings.insert(key.trim().to_owned(), value);
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_conninfo_are_read() {
        let words = settings(r" host = db.example.org user='farm_\'web' dbname=farm");
        assert_eq!((words["host"].as_str(), words["user"].as_str()), ("db.example.org", "farm_'web"));
        let uri = settings("postgresql://farm_web@db.example.org:5432/farm?gssencmode=require");
        assert_eq!((uri["host"].as_str(), uri["user"].as_str()), ("db.example.org", "farm_web"));
        assert_eq!(uri["gssencmode"], "require");
        assert_eq!(settings("postgresql:///farm?host=%2Frun&user=x")["host"], "/run");
        assert_eq!(settings("postgresql://[::1]:1/")["host"], "::1");
    }

    #[test]
    fn what_is_no_conninfo_does_no_harm() {
        for text in ["", "=", "host", "host='", "a=b=c", "postgresql://", "host=\\"] {
            let _ = settings(text);
        }
    }
}
