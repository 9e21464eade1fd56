//! Plaintext that leaves this machine: somebody must have decided it, and have written down when and why.

use pipehat_config::{Address, Diagnostic, Diagnostics, FieldSchema, Kind, Required, Settings};

use crate::tls::codes;

/// The keys of `accepted_risk:`, beside `tls:` in sources and destinations.
pub(crate) const ACCEPTED_RISK: &[FieldSchema] = &[
    FieldSchema {
        name: "reason",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "Why messages may travel unencrypted here.",
        example: "the analyser speaks no TLS; separate VLAN, ticket 4711",
    },
    FieldSchema {
        name: "date",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The day this was decided, as year-month-day.",
        example: "2026-03-31",
    },
];

/// Which way connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// We listen: whoever reaches the port may send and read. Refused.
    Listen,
    /// We connect to a partner that may have no TLS to offer. A warning.
    Connect,
}

/// Judges an address without or with TLS; false when the configuration must be refused.
///
/// `settings` is the connector's: its `tls` and `accepted_risk` are looked at.
pub(crate) fn check_exposure(
    settings: &Settings,
    address_name: &'static str,
    direction: Direction,
    diagnostics: &mut Diagnostics,
) -> bool {
    let accepted = match settings.section("accepted_risk") {
        None => None,
        Some(risk) if is_date(risk.text("date").unwrap_or_default()) => Some(risk),
        Some(risk) => {
            let span = risk.span_of("date").unwrap_or_else(|| risk.span());
            let error = Diagnostic::error(codes::RISK_DATE, span, "this is not a date");
            diagnostics.push(error.with_help("write year, month and day, such as `2026-03-31`"));
            return false;
        }
    };
    let loopback = settings.address(address_name).is_some_and(Address::is_loopback);
    if loopback || settings.contains("tls") || accepted.is_some() {
        return true;
    }
    let span = settings.span_of(address_name).unwrap_or_else(|| settings.span());
    let help =
        "add `tls:`, or write down who decided otherwise: `accepted_risk: { reason: …, date: … }`";
    let diagnostic = match direction {
        Direction::Listen => {
            let message = "without TLS this may only listen on this machine itself (127.0.0.1)";
            Diagnostic::error(codes::PLAINTEXT_LISTENER, span, message)
        }
        Direction::Connect => {
            let message = "messages leave this machine unencrypted";
            Diagnostic::warning(codes::PLAINTEXT_CONNECTION, span, message)
        }
    };
    diagnostics.push(diagnostic.with_help(help));
    direction == Direction::Connect
}

/// Judges an address to listen on that has no TLS, if there is one.
pub(crate) fn check_plaintext_listener(
    settings: &Settings,
    address_name: &'static str,
    diagnostics: &mut Diagnostics,
) -> bool {
    let Some(address) = settings.address(address_name) else { return true };
    if address.is_loopback() || settings.contains("accepted_risk") {
        return true;
    }
    let span = settings.span_of(address_name).unwrap_or_else(|| settings.span());
    let message = "without TLS this may only listen on this machine itself (127.0.0.1)";
    diagnostics
        .push(Diagnostic::error(codes::PLAINTEXT_LISTENER, span, message).with_help(
            "write down who decided otherwise: `accepted_risk: { reason: …, date: … }`",
        ));
    false
}

/// `2026-03-31`: no calendar is kept here, only the form.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| (part.len(), part.parse::<u16>().unwrap_or(0)));
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some((4, 1900..)), Some((2, 1..=12)), Some((2, 1..=31)), None)
    )
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn a_date_has_year_month_and_day() {
        assert!(is_date("2026-03-31"));
        for odd in [
            "",
            "2026",
            "2026-3-31",
            "2026-13-01",
            "2026-03-32",
            "2026-03-00",
            "31-03-2026",
            "2026-03-31-1",
        ] {
            assert!(!is_date(odd), "{odd}");
        }
    }
}
