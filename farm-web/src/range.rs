//! Conditional requests and ranges (RFC 9110, sections 13 and 14), for files that never change.

use axum::http::{HeaderMap, header};

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// 304: the client has it.
    NotModified,
    /// 200: all of it.
    Whole,
    /// 206: from the first byte to before the second.
    Range(u64, u64),
    /// 416: there are no such bytes.
    Unsatisfiable,
}

/// What a client asks for of a file of that size and entity tag (with its quotes).
pub fn part(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, etag)) {
        return Part::NotModified;
    }
    // A client that has a part of something else needs all of this.
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Part::Whole;
    }
    text(header::RANGE).map_or(Part::Whole, |range| parse(range, size))
}

fn matches(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// One range. Several, or none that can be read, mean the whole file: a server may ignore ranges.
fn parse(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    let (begin, end) = match (first, last, number(first), number(last)) {
        ("", "", ..) | (_, _, None, _) | (_, _, _, None) => return Part::Whole,
        ("", _, _, Some(length)) => (size.saturating_sub(length), if length == 0 { 0 } else { size }),
        (_, "", Some(begin), _) => (begin, size),
        (_, _, Some(begin), Some(last)) if begin <= last => (begin, last.saturating_add(1).min(size)),
        _ => return Part::Whole,
    };
    if begin < end { Part::Range(begin, end) } else { Part::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn asked(pairs: &[(HeaderName, &'static str)]) -> Part {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        part(&headers.collect(), ETAG, 100)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (range, expected) in [
            ("bytes=0-0", Part::Range(0, 1)),
            ("bytes=0-", Part::Range(0, 100)),
            ("bytes=10-19", Part::Range(10, 20)),
            ("bytes=90-1000", Part::Range(90, 100)),
            ("bytes=-10", Part::Range(90, 100)),
            ("bytes=-1000", Part::Range(0, 100)),
            ("bytes=99-", Part::Range(99, 100)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=99999999999999999999-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=20-10", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(asked(&[(header::RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn a_file_that_the_client_has_is_not_sent_again() {
        for (tags, expected) in [
            ("\"abc\"", Part::NotModified),
            ("\"x\", W/\"abc\"", Part::NotModified),
            ("*", Part::NotModified),
            ("\"abcd\"", Part::Whole),
            ("abc", Part::Whole),
        ] {
            assert_eq!(asked(&[(header::IF_NONE_MATCH, tags)]), expected, "{tags}");
        }
    }

    #[test]
    fn a_part_of_another_file_is_not_continued_with_this_one() {
        let range = (header::RANGE, "bytes=5-");
        assert_eq!(asked(&[range.clone(), (header::IF_RANGE, ETAG)]), Part::Range(5, 100));
        assert_eq!(asked(&[range, (header::IF_RANGE, "\"other\"")]), Part::Whole);
    }

    #[test]
    fn of_an_empty_file_there_is_no_range() {
        assert_eq!(parse("bytes=0-", 0), Part::Unsatisfiable);
    }
}
