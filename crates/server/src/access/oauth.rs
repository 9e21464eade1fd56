//! What a token request says, and how it is refused (RFC 6749 §4.4, §5; RFC 7523 §2.2).
//!
//! Pure: who the client is and what it may do is for [`super::service`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use pipehat_resource::search::query_pairs;
use serde_json::{Value, json};

use super::assertion::AssertionError;
use super::scope::{SmartScope, covers};

/// A refusal with one of RFC 6749's codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OAuthError {
    pub(super) code: &'static str,
    pub(super) status: StatusCode,
    pub(super) description: String,
    /// Where it is to be tried again.
    pub(super) retry_after: Option<u32>,
}

impl OAuthError {
    pub(super) fn request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", StatusCode::BAD_REQUEST, description)
    }

    /// One text for all ways to be nobody: what is wrong is for the client's owner to find.
    pub(super) fn client() -> Self {
        let text = "the client is unknown, was revoked, or did not prove who it is";
        Self::new("invalid_client", StatusCode::UNAUTHORIZED, text)
    }

    pub(super) fn assertion(error: AssertionError) -> Self {
        Self::new("invalid_client", StatusCode::UNAUTHORIZED, error.to_string())
    }

    pub(super) fn scope(description: impl Into<String>) -> Self {
        Self::new("invalid_scope", StatusCode::BAD_REQUEST, description)
    }

    pub(super) fn too_many(seconds: u32) -> Self {
        let text = "too many attempts failed; try again later";
        let error = Self::new("invalid_client", StatusCode::TOO_MANY_REQUESTS, text);
        Self { retry_after: Some(seconds), ..error }
    }

    pub(super) fn unavailable() -> Self {
        let text = "the audit can't be written; without it nobody signs in";
        let error = Self::new("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE, text);
        Self { retry_after: Some(5), ..error }
    }

    fn new(code: &'static str, status: StatusCode, description: impl Into<String>) -> Self {
        Self { code, status, description: description.into(), retry_after: None }
    }

    pub(super) fn body(&self) -> Value {
        json!({ "error": self.code, "error_description": self.description })
    }
}

/// The parameters of a request to the token or introspection endpoint.
#[derive(Default)]
pub(super) struct TokenForm {
    pub(super) grant_type: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) assertion_type: Option<String>,
    pub(super) assertion: Option<String>,
    pub(super) token: Option<String>,
}

impl TokenForm {
    /// Reads a form. Parameters without a value count as left out, unknown ones are ignored, and none may come twice
    /// (RFC 6749 §3.2).
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let kind = headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::request(
                "send a form: Content-Type: application/x-www-form-urlencoded",
            ));
        }
        let text =
            std::str::from_utf8(body).map_err(|_| OAuthError::request("the form is not UTF-8"))?;
        let mut form = Self::default();
        for (name, value) in query_pairs(text) {
            let place = match name.as_str() {
                "grant_type" => &mut form.grant_type,
                "scope" => &mut form.scope,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "client_assertion_type" => &mut form.assertion_type,
                "client_assertion" => &mut form.assertion,
                "token" => &mut form.token,
                _ => continue,
            };
            if place.is_some() {
                return Err(OAuthError::request(format!("`{name}` comes twice")));
            }
            if !value.is_empty() {
                *place = Some(value);
            }
        }
        Ok(form)
    }
}

/// The id and secret of HTTP Basic (RFC 7617).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = credentials(headers, "basic")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// A bearer token (RFC 6750 §2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer")
}

fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Two would let each reader choose another.
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (found, credentials) = value.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// The scopes a token gets: those asked for, all of which must be granted; all where none are asked for.
///
/// Scopes of users and patients beside those of a system are passed over (RFC 6749 §3.3): clients such as
/// fhirclient always ask for `launch/patient`, and read in the answer what they got.
pub(super) fn scopes_for(
    granted: &[SmartScope],
    asked: Option<&str>,
) -> Result<Vec<SmartScope>, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let of_system: Vec<_> =
        asked.split_ascii_whitespace().filter(|scope| scope.starts_with("system/")).collect();
    let asked = match of_system.as_slice() {
        [] => asked.to_owned(),
        _ => of_system.join(" "),
    };
    let asked =
        SmartScope::parse_list(&asked).map_err(|error| OAuthError::scope(error.to_string()))?;
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    match asked.iter().find(|scope| !covers(granted, scope)) {
        None => Ok(asked),
        Some(scope) => Err(OAuthError::scope(format!(
            "the client was not granted `{scope}`, or not all of it"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn credentials_are_read() {
        let check = |values: &[&str], expected: (Option<(&str, &str)>, Option<&str>)| {
            let pairs: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
            let headers = headers(&pairs);
            let found = basic(&headers);
            let found = found.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
            assert_eq!((found, bearer(&headers)), expected, "{values:?}");
        };
        check(&["Basic YTpiOmM="], (Some(("a", "b:c")), None));
        check(&["basic YTpi"], (Some(("a", "b")), None));
        check(&["Basic YQ=="], (None, None));
        check(&["Basic !"], (None, None));
        check(&["Bearer x.y.z"], (None, Some("x.y.z")));
        check(&["bearer  x"], (None, Some("x")));
        check(&["Bearer x", "Bearer y"], (None, None));
        check(&["x"], (None, None));
        check(&[], (None, None));
    }

    #[test]
    fn forms_are_read() {
        let kind = "application/x-www-form-urlencoded; charset=UTF-8";
        let check = |kind: &str, body: &str, expected: Result<Option<&str>, &str>| {
            let read = TokenForm::read(&headers(&[("content-type", kind)]), body.as_bytes());
            let found = read.map(|form| form.scope).map_err(|error| error.description);
            match (found, expected) {
                (Ok(scope), Ok(expected)) => assert_eq!(scope.as_deref(), expected, "{body}"),
                (Err(text), Err(expected)) => assert!(text.contains(expected), "{text}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        };
        check(kind, "scope=a+b%20c&other=x&other=y", Ok(Some("a b c")));
        check(kind, "scope=", Ok(None));
        check(kind, "", Ok(None));
        check(kind, "scope=a&scope=b", Err("`scope` comes twice"));
        check("application/json", "{}", Err("Content-Type"));
        check(kind, "scope=%FF", Ok(Some("\u{fffd}")));
    }

    #[test]
    fn scopes_asked_for_must_be_granted() {
        let granted = SmartScope::parse_list("system/Patient.rs system/Observation.cruds").unwrap();
        let check = |asked: Option<&str>, expected: Result<&str, &str>| {
            let found = scopes_for(&granted, asked);
            let found = found.map(|scopes| super::super::scope::joined(&scopes));
            assert_eq!(found.as_deref().map_err(|error| error.code), expected, "{asked:?}");
        };
        check(None, Ok("system/Patient.rs system/Observation.cruds"));
        check(Some(" "), Ok("system/Patient.rs system/Observation.cruds"));
        check(Some("system/Patient.r"), Ok("system/Patient.r"));
        check(
            Some("system/Patient.read system/Observation.c"),
            Ok("system/Patient.read system/Observation.c"),
        );
        check(Some("system/Patient.cruds"), Err("invalid_scope"));
        check(Some("system/*.rs"), Err("invalid_scope"));
        check(Some("openid"), Err("invalid_scope"));
        check(Some("launch/patient openid system/Patient.r"), Ok("system/Patient.r"));
        check(Some("launch/patient system/Patient.cruds"), Err("invalid_scope"));
        check(Some("user/*.* patient/*.read openid profile"), Err("invalid_scope"));
    }
}
