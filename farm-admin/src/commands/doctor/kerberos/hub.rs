//! The builder's way to the hub.

use super::{super::finding::Finding, daemon::Subject, host, login::Login, tools::Tools};

/// Whether there is a ticket for the hub that the builder calls.
pub(super) fn check(tools: &Tools, subject: &Subject, login: &Login) -> Option<Finding> {
    let topic = subject.topic("hub");
    let url = subject.settings.hub.as_deref()?;
    let Some(host) = host_of(url) else {
        let cure = format!("farm-builder --check-config --config {}", subject.file.display());
        return Some(Finding::wrong(&topic, format!("there is no host in hub = \"{url}\"")).mend(cure));
    };
    if host::is_address(host) {
        let detail = format!("hub = \"{url}\" is an address: tickets are for names");
        return Some(Finding::wrong(&topic, detail).mend("write the hub's name as in HTTP/hub.example.org"));
    }
    Some(match tools.call(&login.ticket, "HTTP", host, None) {
        Ok(_) => Finding::ok(&topic, format!("there are tickets for HTTP/{host}")),
        Err(said) => host::unknown(&topic, "HTTP", host, &said),
    })
}

fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_a_hub_stands_between_scheme_and_port() {
        assert_eq!(host_of("https://hub.example.org:8001/"), Some("hub.example.org"));
        assert_eq!(host_of("http://[::1]:8001"), Some("::1"));
        assert_eq!(host_of("hub.example.org"), None);
    }
}
