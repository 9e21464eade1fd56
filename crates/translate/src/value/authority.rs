//! URIs of assigning authorities and coding systems.

use std::fmt::Write;

use crate::plan::Plan;
use crate::settings::Settings;

/// An assigning authority as v2 names it (HD, HL7 v2.5.1 §2.A.33; the last components of EI).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authority<'t> {
    /// The namespace id.
    pub(crate) namespace: &'t str,
    /// The universal id.
    pub(crate) universal: &'t str,
    /// The universal id's type.
    pub(crate) kind: &'t str,
}

impl Authority<'_> {
    /// Whether its namespace and its universal id can be told by one URI. A universal id of no known type says something
    /// else, where the namespace gives the URI.
    pub(crate) fn is_one(&self) -> bool {
        let Self { namespace, universal, kind } = *self;
        namespace.is_empty()
            || universal.is_empty() && kind.is_empty()
            || Universal::of(universal, kind).is_some()
    }

    /// Its URI: by the overlay's or the tables' list, by its universal id, by the setting for namespaces.
    pub(crate) fn uri(&self, plan: &Plan, settings: &Settings) -> Option<String> {
        let Self { namespace, universal, kind } = *self;
        let listed = |name: &str| {
            let meaning = plan.vocabulary("AssigningAuthority")?.meaning(name)?;
            meaning.uri().map(str::to_owned)
        };
        [namespace, universal]
            .into_iter()
            .filter(|name| !name.is_empty())
            .find_map(listed)
            .or_else(|| universal_uri(universal, kind))
            .or_else(|| {
                let base = settings.system_base.as_deref()?;
                let name = if namespace.is_empty() { universal } else { namespace };
                (!name.is_empty()).then(|| on_base(base, name))
            })
    }
}

/// What a universal id is (table 0301).
enum Universal {
    Oid,
    Uuid,
    Uri,
    Dns,
}

impl Universal {
    fn of(universal: &str, kind: &str) -> Option<Self> {
        if universal.is_empty() {
            return None;
        }
        match kind {
            "ISO" | "" if is_oid(bare_oid(universal)) => Some(Self::Oid),
            "UUID" | "GUID" | "" if is_uuid(universal) => Some(Self::Uuid),
            "URI" if is_uri(universal) => Some(Self::Uri),
            "DNS" if !universal.contains(char::is_whitespace) => Some(Self::Dns),
            "" if universal.contains("://") && is_uri(universal) => Some(Self::Uri),
            _ => None,
        }
    }
}

fn bare_oid(universal: &str) -> &str {
    universal.strip_prefix("urn:oid:").unwrap_or(universal)
}

/// The URI of a universal id.
fn universal_uri(universal: &str, kind: &str) -> Option<String> {
    Some(match Universal::of(universal, kind)? {
        Universal::Oid => format!("urn:oid:{}", bare_oid(universal)),
        Universal::Uuid => format!("urn:uuid:{}", universal.to_ascii_lowercase()),
        Universal::Uri => universal.to_owned(),
        Universal::Dns => format!("urn:dns:{universal}"),
    })
}

pub(crate) fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    matches!(arcs.next(), Some("0" | "1" | "2"))
        && text.contains('.')
        && arcs.all(|arc| {
            arc == "0"
                || (!arc.is_empty()
                    && !arc.starts_with('0')
                    && arc.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_uri(text: &str) -> bool {
    text.contains(':') && !text.contains(char::is_whitespace)
}

/// The system of numbers that no authority is told of: the sender's own, by its name or else by MSH-3 and MSH-4.
pub(crate) fn sender_system(
    settings: &Settings,
    application: &str,
    facility: &str,
) -> Option<String> {
    let base = settings.system_base.as_deref()?;
    let names = match &settings.sender {
        Some(sender) => [sender.as_str(), ""],
        None => [application, facility],
    };
    let mut names = names.into_iter().filter(|name| !name.is_empty());
    let first = on_base(base, names.next()?);
    Some(names.fold(first, |system, name| on_base(&system, name)))
}

/// A name behind the setting's URI, percent-encoded (RFC 3986 §2.1).
pub(crate) fn on_base(base: &str, name: &str) -> String {
    let mut uri = String::with_capacity(base.len() + name.len() + 1);
    uri.push_str(base);
    if !base.ends_with(['/', ':', '#', '=']) {
        uri.push('/');
    }
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            // Writing to a String does not fail.
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

/// Coding systems with a name of table 0396 for each year: what the names begin with, and the URI.
pub(crate) const YEARLY: [(&str, &str); 3] = [
    ("ICD10GM", "http://fhir.de/CodeSystem/bfarm/icd-10-gm"),
    ("OPS", "http://fhir.de/CodeSystem/bfarm/ops"),
    ("ALPHAID", "http://fhir.de/CodeSystem/bfarm/alpha-id"),
];

/// The URI and the year of a name like `ICD10GM2026`: the table ends years before the systems do.
pub(crate) fn edition(name: &str) -> Option<(&'static str, &str)> {
    let name = name.trim();
    YEARLY.into_iter().find_map(|(prefix, uri)| {
        let year = name.strip_prefix(prefix)?;
        (year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit())).then_some((uri, year))
    })
}

/// The URI of a coding system as v2 names it (table 0396).
pub(crate) fn code_system(name: &str, plan: &Plan, settings: &Settings) -> Option<String> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    let listed = plan.vocabulary("CodingSystem").and_then(|systems| {
        let found = systems.meaning(name);
        found.or_else(|| systems.meaning(&name.to_ascii_uppercase()))?.uri()
    });
    if let Some(uri) = listed {
        return Some(uri.to_owned());
    }
    if let Some((uri, _)) = edition(name) {
        return Some(uri.to_owned());
    }
    if let Some(number) = name.strip_prefix("HL7")
        && number.len() == 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(format!("http://terminology.hl7.org/CodeSystem/v2-{number}"));
    }
    universal_uri(name, "").or_else(|| {
        let base = settings.system_base.as_deref()?;
        Some(on_base(base, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: [&str; 3], base: Option<&str>, expected: Option<&str>) {
        let [namespace, universal, kind] = authority;
        let settings = Settings { system_base: base.map(str::to_owned), ..Settings::default() };
        let found = Authority { namespace, universal, kind }.uri(&Plan::default(), &settings);
        assert_eq!(found.as_deref(), expected, "{authority:?}");
    }

    #[test]
    fn the_sender_is_named_by_the_setting_or_the_header() {
        let settings = |base: Option<&str>, sender: Option<&str>| Settings {
            system_base: base.map(str::to_owned),
            sender: sender.map(str::to_owned),
            ..Settings::default()
        };
        let base = Some("https://lab.example/id/");
        let check = |settings: Settings, expected: Option<&str>| {
            assert_eq!(sender_system(&settings, "EHR", "GOOD HOPE").as_deref(), expected);
        };
        check(settings(base, None), Some("https://lab.example/id/EHR/GOOD%20HOPE"));
        check(settings(base, Some("ward")), Some("https://lab.example/id/ward"));
        check(settings(None, Some("ward")), None);
        assert_eq!(sender_system(&settings(base, None), "", ""), None);
    }

    #[test]
    fn authorities_have_uris_by_their_universal_id_or_the_setting() {
        check(["GOOD", "1.2.36.146", "ISO"], None, Some("urn:oid:1.2.36.146"));
        check(["", "1.2.36.146", ""], None, Some("urn:oid:1.2.36.146"));
        check(
            ["", "C757873D-EC9A-4326-A141-556F43239520", "UUID"],
            None,
            Some("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
        );
        check(["GOOD", "", ""], None, None);
        check(
            ["GOOD HOPE", "", ""],
            Some("https://lab.example/id"),
            Some("https://lab.example/id/GOOD%20HOPE"),
        );
        check(["", "not.an.oid", "ISO"], None, None);
    }
}
