//! Which endpoints may be called.
//!
//! Whoever may create a Subscription has this server call an address of his choice from inside the network (SSRF).
//! So only hosts that the installation names are called; where it names none, only this machine. What leaves the
//! machine goes by HTTPS unless the rule says `http://`.

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// How long an endpoint may be.
const URL_BYTES_MAX: usize = 2048;

/// Headers that are the connection's, or ours.
const HEADERS_REFUSED: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "x-signature",
];

/// Which endpoints may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointRules {
    hosts: Option<Vec<HostRule>>,
}

/// One host that may be called: `hooks.example.org`, `*.example.org`, `hooks.example.org:8443`,
/// `http://10.1.2.3:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    plain: bool,
    below: bool,
    host: String,
    port: Option<u16>,
}

/// A text is no rule for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a host as `hooks.example.org`, `*.example.org`, `hooks.example.org:8443` or `http://10.1.2.3:8080`"
)]
pub struct HostRuleError;

impl HostRule {
    /// Reads a rule.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, HostRuleError> {
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        // Read as a URL is, so that both spell a host the same way.
        let url = Url::parse(&format!("ws://{rest}")).map_err(|_| HostRuleError)?;
        let whole = url.path() == "/"
            && !rest.contains(['/', '?', '#', '@', '*'])
            && url.query().is_none()
            && url.username().is_empty();
        let host = url.host_str().filter(|host| whole && !host.is_empty()).ok_or(HostRuleError)?;
        let port = rest.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Ok(Self { plain, below, host: host.to_owned(), port })
    }

    fn allows(&self, url: &Url, host: &str) -> bool {
        let named = if self.below {
            host.strip_suffix(&self.host).is_some_and(|before| before.ends_with('.'))
        } else {
            host == self.host
        };
        let port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        named && port && (url.scheme() == "https" || self.plain)
    }
}

impl EndpointRules {
    /// Only these hosts; `None` for this machine alone.
    pub fn new(hosts: Option<Vec<HostRule>>) -> Self {
        Self { hosts }
    }

    /// An address that may be called.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn allowed(&self, text: &str) -> Result<Url, &'static str> {
        self.check(text)
    }

    /// An endpoint that may be called.
    pub(super) fn check(&self, text: &str) -> Result<Url, &'static str> {
        if text.len() > URL_BYTES_MAX {
            return Err("the endpoint is longer than 2048 bytes");
        }
        let url = Url::parse(text)
            .map_err(|_| "the endpoint is no address: write it as `https://host/path`")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the endpoint must be an http or https address");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the endpoint has a user or password; send them in channel.header");
        }
        let host = url.host_str().ok_or("the endpoint has no host")?;
        match &self.hosts {
            None if is_this_machine(host) => Ok(url),
            None => Err(
                "this server calls endpoints on its own machine only; whoever runs it can allow \
                         others in pipehat.yaml: `datastore: { subscriptions: { hosts: […] } }`",
            ),
            Some(rules) if rules.iter().any(|rule| rule.allows(&url, host)) => Ok(url),
            Some(_) => Err("this server may not call that endpoint: its host is not among \
                            `datastore: { subscriptions: { hosts: […] } }` in pipehat.yaml, or only by https"),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Reads a line of `channel.header`: `Name: value`.
pub(super) fn header(line: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = line.split_once(':').ok_or("write a header as `Name: value`")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| "the header's name has characters that no name has")?;
    if HEADERS_REFUSED.contains(&name.as_str()) {
        return Err("this header is set by the server");
    }
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| "the header's value has characters that no value has")?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: Option<&[&str]>, endpoint: &str, allowed: bool) {
        let rule = |text: &&str| HostRule::parse(text).expect("a rule");
        let rules = EndpointRules::new(rules.map(|rules| rules.iter().map(rule).collect()));
        assert_eq!(
            rules.check(endpoint).is_ok(),
            allowed,
            "{endpoint}: {:?}",
            rules.check(endpoint)
        );
    }

    #[test]
    fn without_rules_only_this_machine_is_called() {
        for endpoint in [
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9/",
            "http://[::1]:80/",
            "https://localhost",
        ] {
            check(None, endpoint, true);
        }
        for endpoint in [
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost.example.org/",
            "https://example.org/",
            "http://[::ffff:10.0.0.1]/",
            "http://0x0a000001/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "http://user:word@127.0.0.1/",
            "127.0.0.1:80",
            "",
        ] {
            check(None, endpoint, false);
        }
        // Other spellings of this machine.
        check(None, "http://0x7f000001/", true);
        check(None, "http://127.1/", true);
        check(None, &format!("http://127.0.0.1/{}", "x".repeat(URL_BYTES_MAX)), false);
    }

    #[test]
    fn rules_name_hosts() {
        let rules: Option<&[&str]> =
            Some(&["hooks.example.org", "*.lab.org:8443", "http://10.1.2.3:8080"]);
        check(rules, "https://hooks.example.org/a", true);
        check(rules, "https://HOOKS.example.org/a", true);
        check(rules, "http://hooks.example.org/a", false);
        check(rules, "https://hooks.example.org:444/a", false);
        check(rules, "https://x.hooks.example.org/a", false);
        check(rules, "https://a.lab.org:8443/", true);
        check(rules, "https://lab.org:8443/", false);
        check(rules, "https://evillab.org:8443/", false);
        check(rules, "http://10.1.2.3:8080/", true);
        check(rules, "http://10.1.2.3/", false);
        check(rules, "http://127.0.0.1/", false);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in
            ["", "*", "*.", "a b", "example.org/path", "ftp://example.org", "u@h", "h:99999"]
        {
            assert_eq!(HostRule::parse(text), Err(HostRuleError), "{text}");
        }
    }

    #[test]
    fn headers() {
        let read = |line| header(line).map(|(name, _)| name.to_string());
        assert_eq!(read("Authorization: Bearer x"), Ok("authorization".to_owned()));
        for line in
            ["", "x", "Host: a", "content-length: 1", "a b: c", "X: a\nY: b", "X-Signature: 1"]
        {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
