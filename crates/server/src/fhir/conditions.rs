//! What must hold for a request: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-None-Exist`; and the
//! entity tags and dates they speak of.

use http::{HeaderMap, StatusCode, header};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::Precondition;

use super::address::version_number;
use super::problem::Problem;
use super::query_string::Query;

const MICROSECONDS: i64 = 1_000_000;

/// The conditions of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Conditions {
    /// `If-Match`.
    pub(crate) if_match: Option<Tag>,
    /// `If-None-Match`: one of these.
    pub(crate) if_none_match: Vec<Tag>,
    /// `If-Modified-Since`, in seconds since 1970.
    pub(crate) if_modified_since: Option<i64>,
    /// `If-None-Exist`.
    pub(crate) if_none_exist: Option<Query>,
}

/// An entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `*`.
    Any,
    /// `W/"3"`.
    Version(u64),
    /// One that is not of ours.
    Foreign,
}

impl Conditions {
    /// Reads the headers of a request.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name: &header::HeaderName| -> Result<Option<&str>, Problem> {
            let Some(value) = headers.get(name) else { return Ok(None) };
            value.to_str().map(Some).map_err(|_| {
                Problem::bad_request(IssueCode::Value, format!("the header {name} is not ASCII"))
            })
        };
        Self::of_texts(
            text(&header::IF_MATCH)?,
            text(&header::IF_NONE_MATCH)?,
            text(&header::IF_MODIFIED_SINCE)?,
            text(&IF_NONE_EXIST)?,
        )
    }

    /// Reads them one by one, as an entry of a Bundle has them. There `If-Modified-Since` is an instant.
    pub(crate) fn of_texts(
        if_match: Option<&str>,
        if_none_match: Option<&str>,
        if_modified_since: Option<&str>,
        if_none_exist: Option<&str>,
    ) -> Result<Self, Problem> {
        let if_match = match if_match.map(tags) {
            None => None,
            Some(tags) => match *tags.as_slice() {
                [tag] => Some(tag),
                _ => {
                    return Err(Problem::bad_request(
                        IssueCode::Value,
                        "If-Match takes one entity tag",
                    )
                    .at_location("If-Match"));
                }
            },
        };
        let if_none_exist = match if_none_exist {
            None => None,
            Some(text) => Some(criteria(text)?),
        };
        Ok(Self {
            if_match,
            if_none_match: if_none_match.map(tags).unwrap_or_default(),
            // RFC 9110 §13.1.3: one that is no date is passed over.
            if_modified_since: if_modified_since.and_then(seconds),
            if_none_exist,
        })
    }

    /// Whether a version need not be sent, for who asks has it (RFC 9110 §13.2.2: the tags decide where there
    /// are any).
    pub(crate) fn not_modified(&self, version: u64, last_updated: i64) -> bool {
        if !self.if_none_match.is_empty() {
            return self
                .if_none_match
                .iter()
                .any(|tag| matches!(tag, Tag::Any) || *tag == Tag::Version(version));
        }
        // The header counts whole seconds.
        self.if_modified_since.is_some_and(|since| last_updated.div_euclid(MICROSECONDS) <= since)
    }

    /// What must hold for a change, but for `If-Match: *`, which needs a look.
    pub(crate) fn precondition(&self) -> Result<Precondition, Problem> {
        match (self.if_match, self.if_none_match.as_slice()) {
            (None, []) | (Some(Tag::Any), []) => Ok(Precondition::None),
            (Some(Tag::Version(version)), []) => Ok(Precondition::Version(version)),
            (Some(Tag::Foreign), []) => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                IssueCode::Conflict,
                "If-Match names no version of this server: they look like W/\"3\"",
            )
            .at_location("If-Match")),
            (None, [Tag::Any]) => Ok(Precondition::Absent),
            (None, _) => Err(Problem::bad_request(
                IssueCode::Value,
                "If-None-Match of a change can only be `*`: nothing stands there",
            )
            .at_location("If-None-Match")),
            (Some(_), _) => Err(Problem::bad_request(
                IssueCode::Value,
                "If-Match and If-None-Match can't both be asked for",
            )
            .at_location("If-Match")),
        }
    }
}

/// `If-None-Exist` (FHIR R4 §3.1.0.8.1).
pub(crate) const IF_NONE_EXIST: header::HeaderName =
    header::HeaderName::from_static("if-none-exist");

/// The criteria of `If-None-Exist`: a query, which some write with its `?` or even its type.
fn criteria(text: &str) -> Result<Query, Problem> {
    let text = text.split_once('?').map_or(text, |(_, query)| query).trim();
    let query = Query::parse(text).map_err(|error| {
        Problem::bad_request(IssueCode::Value, error.to_string()).at_location("If-None-Exist")
    })?;
    if query.is_empty() {
        // Without criteria everything would match.
        return Err(Problem::bad_request(
            IssueCode::Required,
            "If-None-Exist has no search parameter",
        )
        .at_location("If-None-Exist"));
    }
    Ok(query)
}

fn tags(text: &str) -> Vec<Tag> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(tag).collect()
}

/// One entity tag. Quotes and `W/` may be missing: some clients send the bare version.
fn tag(text: &str) -> Tag {
    if text == "*" {
        return Tag::Any;
    }
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let opaque = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(opaque);
    version_number(opaque).map_or(Tag::Foreign, Tag::Version)
}

/// The entity tag of a version.
pub(crate) fn entity_tag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// A time as `Last-Modified` has it (RFC 9110 §5.6.7), from microseconds since 1970.
pub(crate) fn http_date(microseconds: i64) -> String {
    let seconds = u64::try_from(microseconds.div_euclid(MICROSECONDS)).unwrap_or(0);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

/// A time as FHIR's `instant` has it, from microseconds since 1970.
pub(crate) fn instant(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn seconds(text: &str) -> Option<i64> {
    if let Ok(time) = httpdate::parse_http_date(text) {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        return i64::try_from(since.as_secs()).ok();
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: &'static str, value: &str) -> Result<Conditions, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        Conditions::of_headers(&headers)
    }

    #[test]
    fn tags_are_read() {
        for (text, expected) in [
            ("W/\"3\"", Tag::Version(3)),
            ("\"3\"", Tag::Version(3)),
            ("3", Tag::Version(3)),
            ("*", Tag::Any),
            ("W/\"03\"", Tag::Foreign),
            ("W/\"x\"", Tag::Foreign),
            ("\"", Tag::Foreign),
        ] {
            assert_eq!(tag(text), expected, "{text}");
        }
    }

    #[test]
    fn preconditions_of_changes() {
        let check = |name, value, expected: Result<Precondition, u16>| {
            let found = conditions(name, value).and_then(|conditions| conditions.precondition());
            assert_eq!(found.map_err(|problem| problem.status().as_u16()), expected, "{value}");
        };
        check("if-match", "W/\"3\"", Ok(Precondition::Version(3)));
        check("if-match", "W/\"abc\"", Err(412));
        check("if-match", "W/\"1\", W/\"2\"", Err(400));
        check("if-none-match", "*", Ok(Precondition::Absent));
        check("if-none-match", "W/\"1\"", Err(400));
        check("accept", "*/*", Ok(Precondition::None));
    }

    #[test]
    fn what_is_known_is_not_sent() {
        const AT: i64 = 1_445_412_480_700_000;
        let check = |name, value, expected| {
            let conditions = conditions(name, value).expect("conditions");
            assert_eq!(conditions.not_modified(2, AT), expected, "{name}: {value}");
        };
        check("if-none-match", "W/\"2\"", true);
        check("if-none-match", "W/\"1\", W/\"2\"", true);
        check("if-none-match", "*", true);
        check("if-none-match", "W/\"1\"", false);
        check("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT", true);
        check("if-modified-since", "Wed, 21 Oct 2015 07:27:59 GMT", false);
        check("if-modified-since", "yesterday", false);
        assert_eq!(http_date(AT), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(instant(AT), "2015-10-21T07:28:00.700Z");
    }

    #[test]
    fn criteria_are_a_query() {
        let read =
            |text| criteria(text).map(|query| query.encoded()).map_err(|p| p.status().as_u16());
        assert_eq!(read("identifier=a|b").as_deref(), Ok("identifier=a%7Cb"));
        assert_eq!(read("?identifier=a").as_deref(), Ok("identifier=a"));
        assert_eq!(read("Patient?identifier=a").as_deref(), Ok("identifier=a"));
        assert_eq!(read(""), Err(400));
        assert_eq!(read("?"), Err(400));
    }
}
