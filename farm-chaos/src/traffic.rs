//! What a way understands of the HTTP that passes on it: just enough to see single requests, and what a builder is told of its log.

use farm_api::hub::LEASE_HEADER;
use farm_types::{AttemptNumber, TaskId};

/// A request that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whether all of it is there.
    pub is_whole: bool,
    /// Of which attempt it brings a piece of the log, if it does.
    pub log_of: Option<(TaskId, AttemptNumber)>,
}

/// The request that begins with these bytes, if one does.
pub fn asked(bytes: &[u8]) -> Option<Asked> {
    const METHODS: [&[u8]; 4] = [b"GET ", b"PUT ", b"POST ", b"PATCH "];
    if !METHODS.iter().any(|method| bytes.starts_with(method)) {
        return None;
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0_usize);
    let is_log = head.starts_with("PUT /hub/v1/log");
    let log_of = header(LEASE_HEADER).filter(|_| is_log).and_then(|lease| {
        let mut parts = lease.split('/');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    Some(Asked { is_whole: bytes.len() == end + 4 + length && header("transfer-encoding").is_none(), log_of })
}

/// Where the log goes on, if these bytes are the hub's answer to a piece of it.
pub fn acknowledged(answer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_str(body).ok().filter(|_| head.starts_with("HTTP/1.1 200 "))?;
    body.get("next")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_log_is_known_by_its_lease() {
        let request = b"PUT /hub/v1/log?start=5 HTTP/1.1\r\nfarm-lease: 12/3/secret\r\ncontent-length: 2\r\n\r\nab";
        let known = Some((TaskId(12), AttemptNumber(3)));
        assert_eq!(asked(request), Some(Asked { is_whole: true, log_of: known }));
        assert_eq!(asked(&request[..request.len() - 1]), Some(Asked { is_whole: false, log_of: known }));
        let other = b"POST /hub/v1/stage HTTP/1.1\r\nfarm-lease: 12/3/secret\r\n\r\n";
        assert_eq!(asked(other), Some(Asked { is_whole: true, log_of: None }));
        assert_eq!(asked(b"the middle of something"), None);
    }

    #[test]
    fn only_a_good_answer_acknowledges() {
        assert_eq!(acknowledged(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"next\":77}"), Some(77));
        assert_eq!(acknowledged(b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"next\":77}"), None);
    }
}
