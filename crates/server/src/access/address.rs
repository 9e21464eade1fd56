//! Where this server is, as clients call it.

use http::{HeaderMap, header};

const FHIR_PATH: &str = "/fhir/R4";

/// The addresses of the server.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    base: Option<String>,
}

impl Addresses {
    /// With the public address of the FHIR API, where one is set.
    pub(super) fn new(base: Option<String>) -> Self {
        Self { base: base.map(|base| base.trim_end_matches('/').to_owned()) }
    }

    /// The public address of the FHIR API, where one is set.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The server's root: what comes before `/fhir/R4` and `/oauth2/token`. What `Host` says, where no address is set.
    pub(super) fn root(&self, headers: &HeaderMap) -> Option<String> {
        match &self.base {
            Some(base) => Some(root_of(base).to_owned()),
            None => host(headers).map(|host| format!("http://{host}")),
        }
    }

    /// What an assertion may name as its `aud`: the token address (SMART Backend Services), or the issuer (RFC 7523
    /// §3).
    ///
    /// With a configured address only that counts. Without one it is what the client called us, which can only be a name
    /// of this machine's loopback ([`own_host`](crate::own_host)).
    pub(super) fn audiences(&self, headers: &HeaderMap) -> Vec<String> {
        let Some(root) = self.root(headers) else { return Vec::new() };
        vec![format!("{root}/oauth2/token"), root]
    }
}

/// What comes before the path of the FHIR API.
pub fn root_of(base: &str) -> &str {
    if let Some(root) = base.strip_suffix(FHIR_PATH) {
        return root;
    }
    let authority = base.find("://").map_or(0, |at| at + 3);
    let rest = base.get(authority..).unwrap_or_default();
    let path = rest.find('/').map_or(base.len(), |at| authority + at);
    base.get(..path).unwrap_or(base)
}

fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_')
        });
    plain.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots() {
        let check = |base: Option<&str>, host: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let addresses = Addresses::new(base.map(str::to_owned));
            assert_eq!(addresses.root(&headers).as_deref(), expected, "{base:?} {host}");
        };
        check(None, "localhost:8103", Some("http://localhost:8103"));
        check(None, "[::1]:8103", Some("http://[::1]:8103"));
        check(None, "a/b", None);
        check(None, "", None);
        let public = Some("https://fhir.example.org/fhir/R4");
        check(public, "evil.example.net", Some("https://fhir.example.org"));
        check(Some("https://example.org/x/fhir/R4/"), "h", Some("https://example.org/x"));
        check(Some("https://example.org/r4"), "h", Some("https://example.org"));
        check(Some("https://example.org"), "h", Some("https://example.org"));
    }
}
