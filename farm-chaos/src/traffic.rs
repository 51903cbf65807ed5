//! What a way understands of the HTTP that passes on it: just enough to see single requests, and what a builder is told of its log and of
//! the end of its build.

use farm_api::hub::LEASE_HEADER;
use farm_types::{AttemptNumber, TaskId};

/// An attempt of a task.
pub type Attempt = (TaskId, AttemptNumber);

/// A request that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whether all of it is there.
    pub is_whole: bool,
    /// What it brings of an attempt, if the answer to that is a promise.
    pub brings: Option<(Brought, Attempt)>,
}

/// What a builder brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// A piece of its log.
    Log,
    /// Its end.
    End,
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
    let brought = match head.split(['?', ' ']).take(2).collect::<Vec<_>>()[..] {
        ["PUT", "/hub/v1/log"] => Some(Brought::Log),
        ["POST", "/hub/v1/finish"] => Some(Brought::End),
        _ => None,
    };
    let attempt = header(LEASE_HEADER).and_then(|lease| {
        let mut parts = lease.split('/');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    let is_whole = bytes.len() == end + 4 + length && header("transfer-encoding").is_none();
    Some(Asked { is_whole, brings: brought.zip(attempt) })
}

/// Whether these bytes are an answer that all is well.
pub fn is_good(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 2")
}

/// Where the log goes on, if these bytes are the hub's answer to a piece of it.
pub fn next_of_log(answer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_str(body).ok().filter(|_| head.starts_with("HTTP/1.1 200 "))?;
    body.get("next")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_is_known_by_its_lease() {
        let request = b"PUT /hub/v1/log?start=5 HTTP/1.1\r\nfarm-lease: 12/3/secret\r\ncontent-length: 2\r\n\r\nab";
        let attempt = (TaskId(12), AttemptNumber(3));
        let brings = Some((Brought::Log, attempt));
        assert_eq!(asked(request), Some(Asked { is_whole: true, brings }));
        assert_eq!(asked(&request[..request.len() - 1]), Some(Asked { is_whole: false, brings }));
        let end = b"POST /hub/v1/finish HTTP/1.1\r\nfarm-lease: 12/3/secret\r\n\r\n";
        assert_eq!(asked(end), Some(Asked { is_whole: true, brings: Some((Brought::End, attempt)) }));
        let other = b"POST /hub/v1/stage HTTP/1.1\r\nfarm-lease: 12/3/secret\r\n\r\n";
        assert_eq!(asked(other), Some(Asked { is_whole: true, brings: None }));
        assert_eq!(asked(b"the middle of something"), None);
    }

    #[test]
    fn only_a_good_answer_acknowledges() {
        assert_eq!(next_of_log(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"next\":77}"), Some(77));
        assert_eq!(next_of_log(b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"next\":77}"), None);
        assert!(is_good(b"HTTP/1.1 204 No Content\r\n\r\n"));
        assert!(!is_good(b"HTTP/1.1 410 Gone\r\n\r\n"));
    }
}
