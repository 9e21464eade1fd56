//! Addresses of MLLP peers on the command line: `host:port`, with or without `mllp://` before it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    /// Name or IP address, an IPv6 one without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Reads an address; errors say what to write.
pub(crate) fn peer_address(text: &str) -> Result<PeerAddress, String> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mllp") => rest,
        Some(_) => return Err("only mllp:// is spoken here: write it like `localhost:2575`".into()),
        None => text,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.parse::<Ipv6Addr>().is_ok() {
        return Err("an IPv6 address stands in brackets before its port, like `[::1]:2575`".into());
    }
    let (host, port) =
        rest.rsplit_once(':').ok_or("the port is missing: write it like `localhost:2575`")?;
    let port = port.parse().map_err(|_| "a port is a number from 0 to 65535, like 2575")?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err("in brackets stands an IPv6 address, like `[::1]:2575`".into()),
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/@?#".contains(c)) {
        return Err("the host is missing: write it like `localhost:2575`".into());
    }
    Ok(PeerAddress { host: host.to_owned(), port })
}

impl PeerAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        ip.map_or(self.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    /// As the standard library's resolver wants it.
    pub(crate) fn pair(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_their_scheme() {
        for (text, shown) in [
            ("localhost:2575", "localhost:2575"),
            ("mllp://lab.internal:2575", "lab.internal:2575"),
            ("MLLP://10.0.0.1:1/", "10.0.0.1:1"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(peer_address(text).map(|address| address.to_string()), Ok(shown.into()));
        }
        for wrong in
            ["", "localhost", ":2575", "2575", "::1", "h:99999", "http://a:1", "[x]:1", "a b:1"]
        {
            assert!(peer_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_what_only_this_machine_reaches() {
        let loopback = |text| peer_address(text).is_ok_and(|address| address.is_loopback());
        assert!(loopback("localhost:1") && loopback("127.1.2.3:1") && loopback("[::1]:1"));
        assert!(!loopback("0.0.0.0:1") && !loopback("lab:1"));
    }
}
