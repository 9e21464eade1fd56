//! What stands behind the `?` of an address, and in the form of a POST to `_search`.

use std::fmt;

/// The most parameters of one request.
pub(crate) const PARAMETERS_MAX: usize = 500;

/// The most bytes of one request's parameters, as they were sent.
pub(crate) const QUERY_BYTES_MAX: usize = 64 * 1024;

/// The parameters of a request, decoded, in their order. Their values may speak of patients.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// Why a query can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// A `%` without two digits, or bytes that are no UTF-8.
    #[error("parameter {position} is not percent-encoded UTF-8")]
    Encoding {
        /// Which, from 1.
        position: usize,
    },
    /// More than the limit.
    #[error("more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// Longer than the limit.
    #[error("the parameters are longer than {QUERY_BYTES_MAX} bytes")]
    TooLong,
}

impl Query {
    /// Reads `a=b&c=d`. A `+` is a space, as HTML forms write it and FHIR's clients do.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == PARAMETERS_MAX {
                return Err(QueryError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let position = pairs.len() + 1;
            let text = |text: &str| {
                decoded(&text.replace('+', " ")).ok_or(QueryError::Encoding { position })
            };
            pairs.push((text(name)?, text(value)?));
        }
        Ok(Self(pairs))
    }

    /// All parameters.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first parameter of this name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Appends a parameter.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Takes another's parameters behind these: what stands in the address and what the form holds count alike
    /// (FHIR R4 §3.1.1.1).
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), QueryError> {
        if self.0.len() + other.0.len() > PARAMETERS_MAX {
            return Err(QueryError::TooMany);
        }
        self.0.extend(other.0);
        Ok(())
    }

    /// Keeps the parameters for which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// The parameters as they stand in an address.
    pub(crate) fn encoded(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push('&');
            }
            encode(name, &mut out);
            out.push('=');
            encode(value, &mut out);
        }
        out
    }
}

/// Names only: the values may speak of patients.
impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The text behind percent-encoding; `None` where it is none or no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let code = digit()? * 16 + digit()?;
        out.push(u8::try_from(code).ok()?);
    }
    String::from_utf8(out).ok()
}

/// Appends a text so that it can stand in a query. What people read in FHIR's parameters stays readable.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b',' | b'/' | b'$' | b'*' | b'@');
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], QueryError>) {
        let expected = expected.map(|pairs| {
            Query(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        });
        assert_eq!(Query::parse(text), expected, "{text}");
    }

    #[test]
    fn queries_are_read() {
        check("", Ok(&[]));
        check("a=1&b=&c", Ok(&[("a", "1"), ("b", ""), ("c", "")]));
        check("&&a=b=c&", Ok(&[("a", "b=c")]));
        check("name=J%C3%B6+%2B", Ok(&[("name", "Jö +")]));
        check("a=1&a=%ff", Err(QueryError::Encoding { position: 2 }));
        check("a=%4", Err(QueryError::Encoding { position: 1 }));
    }

    #[test]
    fn there_are_limits() {
        let many = |count: usize| vec!["a=1"; count].join("&");
        assert!(Query::parse(&many(PARAMETERS_MAX)).is_ok());
        assert_eq!(Query::parse(&many(PARAMETERS_MAX + 1)), Err(QueryError::TooMany));
        assert!(Query::parse(&"a".repeat(QUERY_BYTES_MAX)).is_ok());
        assert_eq!(Query::parse(&"a".repeat(QUERY_BYTES_MAX + 1)), Err(QueryError::TooLong));
    }

    #[test]
    fn values_are_not_printed() {
        let query = Query::parse("name=Smith").expect("a query");
        assert_eq!(format!("{query:?}"), "[\"name\"]");
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_the_same(pairs in proptest::collection::vec((".+", ".*"), 0..5)) {
            let query = Query(pairs);
            prop_assert_eq!(Query::parse(&query.encoded()), Ok(query));
        }

        #[test]
        fn no_query_panics(text in ".*") {
            let _ = Query::parse(&text);
        }
    }
}
