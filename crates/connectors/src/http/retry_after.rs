//! How long a partner asks us to wait (RFC 9110 §10.2.3).

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Longer than this we don't wait, whatever is asked for: it may be a mistake, and messages queue.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Reads the header: a number of seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are longer than we wait.
        Duration::from_secs(value.parse().unwrap_or(if value.is_empty() { 0 } else { u64::MAX }))
    } else {
        let until = rfc2822::parse(value).ok()?.timestamp();
        Duration::try_from(until.duration_since(now)).unwrap_or_default()
    };
    (!asked.is_zero()).then(|| asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).expect("a header"));
        let now = "2026-01-05T10:00:00Z".parse().expect("a time");
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn seconds_and_dates() {
        check("120", Some(120));
        check("3600", Some(3_600));
        check("3601", Some(3_600));
        check("99999999999999999999999", Some(3_600));
        check("Mon, 05 Jan 2026 10:01:30 GMT", Some(90));
        check("Mon, 05 Jan 2026 09:59:00 GMT", None);
        for nothing in ["", "0", "soon", "-5", "1.5"] {
            check(nothing, None);
        }
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }
}
