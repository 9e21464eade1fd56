//! The header `Prefer` (FHIR R4 §3.1.0.1.7, §3.1.1.1.2).

use http::HeaderMap;

/// What a client would like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// What a change gives back.
    pub(crate) give_back: GiveBack,
    /// What becomes of search parameters nobody knows.
    pub(crate) handling: Handling,
    /// Whether a Binary that is given back says its address (`url`), which R4 has not: `MedplumClient` asks for its server's
    /// own elements by `X-Medplum: extended`, and makes attachments of this one.
    pub(crate) binary_url: bool,
}

/// `return=…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GiveBack {
    /// Headers only.
    Minimal,
    /// The resource as it stands now.
    #[default]
    Representation,
    /// What happened.
    Outcome,
}

/// `handling=…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Handling {
    /// An error.
    Strict,
    /// They are passed over, with a warning in the answer.
    #[default]
    Lenient,
}

impl Prefer {
    /// Reads the headers of that name; what is unknown is passed over, as RFC 7240 wants it.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split([',', ';'])) {
            let Some((name, value)) = preference.split_once('=') else { continue };
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            match (name.trim().to_ascii_lowercase().as_str(), value.as_str()) {
                ("return", "minimal") => prefer.give_back = GiveBack::Minimal,
                ("return", "representation") => prefer.give_back = GiveBack::Representation,
                ("return", "operationoutcome") => prefer.give_back = GiveBack::Outcome,
                ("handling", "strict") => prefer.handling = Handling::Strict,
                ("handling", "lenient") => prefer.handling = Handling::Lenient,
                _ => {}
            }
        }
        let medplum = headers.get("x-medplum").map(http::HeaderValue::as_bytes);
        prefer.binary_url = medplum == Some(b"extended");
        prefer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read() {
        let check = |text: &str, give_back, handling| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", text.parse().expect("a header"));
            let expected = Prefer { give_back, handling, binary_url: false };
            assert_eq!(Prefer::of_headers(&headers), expected, "{text}");
        };
        check("return=minimal", GiveBack::Minimal, Handling::Lenient);
        check("Return=OperationOutcome, handling=strict", GiveBack::Outcome, Handling::Strict);
        check(
            "handling=lenient; return=\"representation\"",
            GiveBack::Representation,
            Handling::Lenient,
        );
        check("respond-async, return=perhaps", GiveBack::Representation, Handling::Lenient);
    }
}
