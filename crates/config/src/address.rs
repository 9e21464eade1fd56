//! `host:port`, for listening and for connecting.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A host (name or IP address) and a port. The name is not looked up here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not an address; the caller words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAnAddress {
    PortMissing,
    HostMissing,
    OnlyAPort,
    Port,
    Host,
    Url,
    Ipv6WithoutBrackets,
}

/// The longest host name of the domain name system (RFC 1035 §2.3.4), as text.
const HOST_CHARS_MAX: usize = 253;

impl Address {
    /// The host name or IP address, an IPv6 one without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 lets the system choose when listening.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The IP address, when the host is one and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// IP address and port, when the host is not a name.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.ip().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Whether only this machine can reach it: `127.0.0.0/8`, `::1` or `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.ip().map_or(self.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    pub(crate) fn read(text: &str) -> Result<Self, NotAnAddress> {
        if text.contains("://") {
            return Err(NotAnAddress::Url);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(NotAnAddress::Ipv6WithoutBrackets);
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if digits { NotAnAddress::OnlyAPort } else { NotAnAddress::PortMissing });
        };
        let lawful_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if host.is_empty() {
            return Err(NotAnAddress::HostMissing);
        }
        let port = if lawful_port { port.parse().ok() } else { None };
        let port = port.ok_or(NotAnAddress::Port)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => {
                inner.parse::<Ipv6Addr>().map(|_| inner).map_err(|_| NotAnAddress::Host)?
            }
            None if is_host_name(host) => host,
            None => return Err(NotAnAddress::Host),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Letters, digits, `-`, `_` (met in the wild) and `.`; all digits and dots must be an IPv4 address.
fn is_host_name(host: &str) -> bool {
    if host.len() > HOST_CHARS_MAX {
        return false;
    }
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return host.parse::<IpAddr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|character| character.is_alphanumeric() || matches!(character, '-' | '_'))
    })
}

/// `host:port`, with brackets around an IPv6 address.
impl fmt::Display for Address {
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

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, u16), NotAnAddress>) {
        let read = Address::read(text);
        assert_eq!(
            read.as_ref().map(|address| (address.host(), address.port())).map_err(|why| *why),
            expected
        );
        if let Ok(address) = read {
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn hosts_and_ports_are_read() {
        check("0.0.0.0:2575", Ok(("0.0.0.0", 2575)));
        check("lab.internal:1", Ok(("lab.internal", 1)));
        check("lab_2:65535", Ok(("lab_2", 65535)));
        check("[::1]:0", Ok(("::1", 0)));
    }

    #[test]
    fn each_way_to_be_wrong_has_a_name() {
        check("lab.internal", Err(NotAnAddress::PortMissing));
        check("", Err(NotAnAddress::PortMissing));
        check("2575", Err(NotAnAddress::OnlyAPort));
        check(":2575", Err(NotAnAddress::HostMissing));
        check("lab:65536", Err(NotAnAddress::Port));
        check("lab:+1", Err(NotAnAddress::Port));
        check("lab:", Err(NotAnAddress::Port));
        check("999.0.0.1:1", Err(NotAnAddress::Host));
        check("a b:1", Err(NotAnAddress::Host));
        check("a..b:1", Err(NotAnAddress::Host));
        check("[::g]:1", Err(NotAnAddress::Host));
        check(&format!("{}:1", "a.".repeat(127)), Err(NotAnAddress::Host));
        check("::1", Err(NotAnAddress::Ipv6WithoutBrackets));
        check("mllp://lab:1", Err(NotAnAddress::Url));
    }

    #[test]
    fn loopback_is_known_by_address_and_by_name() {
        let loopback = ["127.0.0.1:1", "[::1]:1", "localhost:1", "0.0.0.0:1", "lab:1"]
            .map(|text| Address::read(text).expect("an address").is_loopback());
        assert_eq!(loopback, [true, true, true, false, false]);
    }
}
